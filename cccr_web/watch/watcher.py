"""Look at every address of the site at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

from cccr_web.release import PublicKey, Release
from cccr_web.watch.address import Address
from cccr_web.watch.budget import Limits
from cccr_web.watch.report import Report
from cccr_web.watch.road import Road
from cccr_web.watch.visit import Terms, Visit

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Watcher:
    """How to look: by which ``key``, and on which ``road``.

    ``release`` is what every address should hand out; without it that is the newest
    signed release found at any of them, at the first of equals. ``allowed`` are
    names of headers, in lower case, that an address may add. ``onions`` are those that
    the clearnet names before the release's own (“cccr-web serve --onion-address”).
    """

    key: PublicKey
    road: Road = field(default_factory=Road)
    release: Release | None = None
    allowed: Collection[str] = ()
    limits: Limits = field(default_factory=Limits)
    onions: tuple[str, ...] = ()

    def look(
        self, addresses: Sequence[Address], progress: Progress = lambda _done, _total: None
    ) -> Report:
        """Compare all that is handed out at ``addresses``.

        ``progress`` is told how many files of how many are done, from several threads
        but one at a time.
        """
        counter = _Counter(progress)
        terms = Terms(self.key, self.limits, self.road, self.onions, self.allowed, counter.add)
        visits = [Visit(address, terms) for address in addresses]
        with ThreadPoolExecutor(len(visits)) as pool:
            list(pool.map(Visit.read_list, visits))
            reference = self.release or _newest(visits)
            counter.expect(sum(visit.expected(reference) for visit in visits))
            seen = tuple(pool.map(lambda visit: visit.compare(reference), visits))
        return Report(reference, seen)


def _newest(visits: Sequence[Visit]) -> Release | None:
    found = [visit.signed for visit in visits if visit.signed is not None]
    return max(found, key=lambda release: release.metadata.sequence, default=None)


class _Counter:
    """Counts the files that are done, in whichever thread."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0

    def expect(self, total: int) -> Self:
        self._total = total
        return self

    def add(self) -> None:
        with self._lock:
            self._done += 1
            self._progress(self._done, self._total)
