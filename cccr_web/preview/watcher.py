"""Watch the texts, and read them again when a file changes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

from watchfiles import watch
from watchfiles._rust_notify import WatchfilesRustInternalError

from cccr_web.preview.edition import Edition, EditionReader

# Milliseconds. A program that saves several files is waited for until it pauses for a step.
_STEP: Final = 20
_LONGEST: Final = 200
_ROUND: Final = 500


class Watcher:
    """The current ``edition``, which another thread replaces when a file changes.

    ``report`` gets each edition.
    """

    def __init__(
        self, reader: EditionReader, report: Callable[[Edition], None] = lambda _edition: None
    ) -> None:
        self._reader = reader
        self._report = report
        self._changed = threading.Condition()
        self.edition = reader.read()
        report(self.edition)

    def run(self, stop: threading.Event) -> None:
        """Watch until ``stop`` is set; an unexpected error sets it, too."""
        # For what has changed before the watch began.
        again = True
        try:
            # A folder that is moved away or not readable ends it, as does a name that is no text.
            with contextlib.suppress(OSError, WatchfilesRustInternalError):
                for changes in self._rounds(stop):
                    if changes or again:
                        again = not self._read()
            while not stop.wait(_ROUND / 1000):
                self._read()
        finally:
            stop.set()

    def _rounds(self, stop: threading.Event) -> Iterator[object]:
        """Yield what has changed in each round, until ``stop`` is set."""
        return watch(
            *self._reader.folders,
            debounce=_LONGEST,
            step=_STEP,
            rust_timeout=_ROUND,
            yield_on_timeout=True,
            stop_event=stop,
            raise_interrupt=False,
        )

    def _read(self) -> bool:
        """Read the texts, and return whether no program removed a file meanwhile."""
        try:
            self.read()
        except FileNotFoundError:
            return False
        return True

    def read(self) -> None:
        """Read the texts again, and wake whoever waits if they differ."""
        edition = self._reader.read(self.edition)
        if edition is not self.edition:
            with self._changed:
                self.edition = edition
                self._changed.notify_all()
            self._report(edition)

    def wait(self, shown: str, seconds: float) -> bool:
        """Wait until the edition is another than the one ``shown``; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.edition.id != shown, seconds)
