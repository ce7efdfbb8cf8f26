"""The thread that reloads the release on request, and compares the disk with memory meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from cccr_web.errors import CccrError
from cccr_web.release import Release
from cccr_web.serve.prepared import ResponseCache
from cccr_web.serve.sites import AppSwitch, Listeners
from cccr_web.serve.source import Source
from cccr_web.systemd import SystemdNotifier

_log = logging.getLogger(__name__)

# The reloader's requests. A signal handler may put into a SimpleQueue.
ReloadQueue = queue.SimpleQueue[bool]
RELOAD = True
_STOP = False

# Seconds after which unfinished work counts as hung: 30,000 pages take some minutes on a
# slow machine.
HUNG_SECONDS = 600.0
# Seconds that a shutdown waits for unfinished work.
_STOP_SECONDS = 5.0


class Reloader:
    """Loads the release of ``source`` into ``apps`` on request, or keeps the current one.

    ``make_apps`` returns the apps of a release, or raises ``CccrError``. Each ``RELOAD`` in
    ``requests`` causes one reload. At the start and every ``recheck`` seconds the disk is
    compared with memory and the expiry date with the clock, and each problem is logged once.
    ``notifier`` gets the status.
    """

    def __init__(
        self,
        source: Source,
        release: Release,
        make_apps: Callable[[Release], Sequence[ResponseCache]],
        apps: AppSwitch,
        requests: ReloadQueue,
        *,
        recheck: float = 300.0,
        notifier: SystemdNotifier | None = None,
    ) -> None:
        self.release = release
        self._source = source
        self._make_apps = make_apps
        self._apps = apps
        self._requests = requests
        self._recheck = recheck
        self._notifier = notifier or SystemdNotifier({})
        self._logged: set[str] = set()
        self._reloads = 0
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="reloader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.put(_STOP)
        self._thread.join(_STOP_SECONDS)

    @property
    def is_healthy(self) -> bool:
        """Whether the thread runs and does not hang."""
        since = self._busy_since
        return self._thread.is_alive() and (
            since is None or time.monotonic() < since + HUNG_SECONDS
        )

    @property
    def status(self) -> str:
        """Which release is served: a sentence, then fields for deploy/server/release.sh."""
        return self._status("")

    def _status(self, rejection: str) -> str:
        sentence = f"Serving release {self._sequence} of {self.release.metadata.time:%Y-%m-%d}."
        result = "rejected" if rejection else "accepted"
        fields = f"(release={self._sequence} reloads={self._reloads} result={result})"
        return " ".join(filter(None, (sentence, rejection, fields)))

    def reload(self) -> None:
        """Load the release from the source's path, and serve it if it passes all checks."""
        self._notifier.reloading()
        rejection = self._load()
        self._reloads += 1
        self._notifier.ready(self._status(rejection))

    def _load(self) -> str:
        """Return why the release was rejected, or an empty string if it is served now."""
        try:
            release = self._source.load()
            apps = self._make_apps(release)
            # Recorded before the first response: then nobody gets an older release again.
            self._source.accept(release)
        except CccrError as error:
            _log.error("%s Rejected: still serving release %d.", error, self._sequence)
            return f"Rejected: {error}"
        self._apps.replace(apps)
        self.release = release
        self._logged.clear()
        _log.info("Now serving release %d.", self._sequence)
        self._source.keep(release)
        self.compare()
        _free_memory()
        return ""

    def compare(self) -> None:
        """Compare the release in memory with the disk and the clock; log each problem once."""
        found = set(self._source.problems(self.release))
        for sentence in sorted(found - self._logged):
            _log.warning("%s Still serving release %d.", sentence, self._sequence)
        self._logged = found

    @property
    def _sequence(self) -> int:
        return self.release.metadata.sequence

    def _run(self) -> None:
        with self._busy():
            self._source.keep(self.release)
            self.compare()
        while True:
            try:
                request = self._requests.get(timeout=self._recheck)
            except queue.Empty:
                with self._busy():
                    self.compare()
                continue
            if request is _STOP:
                return
            with self._busy():
                self.reload()

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        self._busy_since = time.monotonic()
        yield
        self._busy_since = None


def _free_memory() -> None:
    """Free the replaced release now: Flask's apps are cycles, and malloc keeps what was freed."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # malloc_trim(3) is glibc's
        ctypes.CDLL(None).malloc_trim(0)


def serve_source(
    source: Source,
    listeners: Listeners,
    requests: ReloadQueue,
    started: Callable[[list[str]], None],
    *,
    recheck: float,
    notifier: SystemdNotifier,
) -> None:
    """Serve the release of ``source``, and reload it on request, as ``Listeners.serve`` does.

    Raises ``CccrError``.
    """
    release, first = source.open(listeners.make_apps)
    apps = AppSwitch(first)
    with Reloader(
        source, release, listeners.make_apps, apps, requests, recheck=recheck, notifier=notifier
    ) as reloader:
        del release, first  # or they would stay in memory after a reload
        listeners.serve(
            apps,
            started,
            notifier=notifier,
            status=lambda: reloader.status,
            is_healthy=lambda: reloader.is_healthy,
        )
