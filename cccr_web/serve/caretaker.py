"""The thread beside the server: takes a new release when told, looks at the disk when not."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from cccr_web.errors import CccrError
from cccr_web.release import Release
from cccr_web.serve.ready import Front
from cccr_web.serve.source import Source
from cccr_web.serve.switch import Switch
from cccr_web.systemd import Notifier

_log = logging.getLogger(__name__)

# What the caretaker is told. A SimpleQueue may be fed from a signal handler.
Bell = queue.SimpleQueue[bool]
RELOAD = True
END = False

# Seconds after which work that is not done is called hung: 30,000 pages take some
# minutes on a slow machine.
HUNG_AFTER = 600.0
# Seconds that the end waits for work under way.
_ENDS_WITHIN = 5.0


class Caretaker:
    """Puts the next release of ``source`` into ``switch``, or goes on with the last good one.

    ``make`` returns the apps of a release, or raises ``CccrError``. ``bell`` says when
    (``RELOAD``). At the start and every ``recheck`` seconds the disk is compared with
    memory and the release's date with the clock, and each trouble is logged once.
    ``notifier`` is told what is served.
    """

    def __init__(
        self,
        source: Source,
        release: Release,
        make: Callable[[Release], Sequence[Front]],
        switch: Switch,
        bell: Bell,
        *,
        recheck: float = 300.0,
        notifier: Notifier | None = None,
    ) -> None:
        self.release = release
        self._source = source
        self._make = make
        self._switch = switch
        self._bell = bell
        self._recheck = recheck
        self._notifier = notifier or Notifier({})
        self._told: set[str] = set()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bell.put(END)
        self._thread.join(_ENDS_WITHIN)

    @property
    def healthy(self) -> bool:
        """Whether the thread runs, and is not held up in its work."""
        since = self._busy_since
        return self._thread.is_alive() and (since is None or time.monotonic() < since + HUNG_AFTER)

    @property
    def status(self) -> str:
        """What is served, in a sentence."""
        return f"Serving release {self._number} of {self.release.metadata.time:%Y-%m-%d}."

    def reload(self) -> None:
        """Take the release that is at the path now, if it is a good one."""
        self._notifier.reloading()
        refusal = self._take()
        self._notifier.ready(f"{self.status} {refusal}")

    def _take(self) -> str:
        """Return why the release was refused; nothing if it is served now."""
        try:
            release = self._source.load()
            apps = self._make(release)
            # Remembered first: once a reader saw it, nothing older may follow.
            self._source.accept(release)
        except CccrError as error:
            _log.error("%s Refused: still serving release %d.", error, self._number)
            return f"Refused: {error}"
        self._switch.replace(apps)
        self.release = release
        self._told.clear()
        _log.info("Now serving release %d.", self._number)
        self._source.keep(release)
        self.compare()
        return ""

    def compare(self) -> None:
        """Log what is not as it should be, once for each trouble."""
        now = set(self._source.troubles(self.release))
        for sentence in sorted(now - self._told):
            _log.warning("%s Still serving release %d.", sentence, self._number)
        self._told = now

    @property
    def _number(self) -> int:
        return self.release.metadata.sequence

    def _run(self) -> None:
        with self._busy():
            self._source.keep(self.release)
            self.compare()
        while True:
            try:
                told = self._bell.get(timeout=self._recheck)
            except queue.Empty:
                with self._busy():
                    self.compare()
                continue
            if told is END:
                return
            with self._busy():
                self.reload()

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        self._busy_since = time.monotonic()
        yield
        self._busy_since = None
