"""The thread beside the server: takes a new release when told, looks at the disk when not."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from cccr_web.errors import CccrError
from cccr_web.release import Release
from cccr_web.serve.source import Source
from cccr_web.serve.switch import Switch

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = logging.getLogger(__name__)

# What the caretaker is told. A SimpleQueue may be fed from a signal handler.
Bell = queue.SimpleQueue[bool]
RELOAD = True
END = False


class Caretaker:
    """Puts the next release of ``source`` into ``switch``, or goes on with the last good one.

    ``make`` returns the apps of a release, or raises ``CccrError``. ``bell`` says when
    (``RELOAD``). At the start and every ``recheck`` seconds the disk is compared with
    memory and the release's date with the clock, and each trouble is logged once.
    """

    def __init__(
        self,
        source: Source,
        release: Release,
        make: Callable[[Release], Sequence[WSGIApplication]],
        switch: Switch,
        bell: Bell,
        *,
        recheck: float = 300.0,
    ) -> None:
        self.release = release
        self._source = source
        self._make = make
        self._switch = switch
        self._bell = bell
        self._recheck = recheck
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="caretaker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bell.put(END)
        self._thread.join()

    def reload(self) -> None:
        """Take the release that is at the path now, if it is a good one."""
        try:
            release = self._source.load()
            apps = self._make(release)
            # Remembered first: once a reader saw it, nothing older may follow.
            self._source.accept(release)
        except CccrError as error:
            _log.error("%s Refused: still serving release %d.", error, self._number)
            return
        self._switch.replace(apps)
        self.release = release
        self._told.clear()
        _log.info("Now serving release %d.", self._number)
        self._source.keep(release)
        self.compare()

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
        self._source.keep(self.release)
        self.compare()
        while True:
            try:
                told = self._bell.get(timeout=self._recheck)
            except queue.Empty:
                self.compare()
                continue
            if told is END:
                return
            self.reload()
