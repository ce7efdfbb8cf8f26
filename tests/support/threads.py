"""Threads that work until a block ends."""

from __future__ import annotations

import abc
import threading
from typing import Self


class BackgroundThreads(abc.ABC):
    """``with`` runs ``_run`` in ``count`` threads, which must return once ``_stopped`` is set."""

    count = 1

    def __enter__(self) -> Self:
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(self.count)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @abc.abstractmethod
    def _run(self) -> None:
        """Work until ``_stopped`` is set."""
