"""One look at one address: first its signed list, then every file."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from cccr_web.release import PublicKey, Release
from cccr_web.serve import clearnet_policy, file_addresses, file_headers, onion_policy
from cccr_web.watch.address import Address
from cccr_web.watch.budget import Budget, Limits
from cccr_web.watch.difference import Difference, Kind
from cccr_web.watch.files import file_differences
from cccr_web.watch.front import FRONT, front_differences
from cccr_web.watch.headers import header_differences
from cccr_web.watch.link import Link, Reply, UnreachableError
from cccr_web.watch.report import Seen
from cccr_web.watch.road import Road
from cccr_web.watch.signed import read_signed

# How much of its time an address may take for its list, while the others wait.
_LIST_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Terms:
    """What every address is judged by, and how it is reached.

    ``onions`` are those that the clearnet names before the release's own.
    """

    key: PublicKey
    limits: Limits
    road: Road
    onions: tuple[str, ...]
    allowed: Collection[str]
    tick: Callable[[], None]


class Visit:
    """One look at ``address``: ``read_list``, then ``compare``."""

    def __init__(self, address: Address, terms: Terms) -> None:
        self.address = address
        self._terms = terms
        self._found: set[Difference] = set()
        self._replies: dict[str, Reply] = {}
        self._links: queue.LifoQueue[Link] = queue.LifoQueue()
        self._seconds = 0.0
        self.signed: Release | None = None

    def read_list(self) -> None:
        """Set ``signed`` to what its own list says, if that is signed and whole."""
        limits = self._terms.limits
        budget = Budget(replace(limits, whole=limits.whole * _LIST_SHARE))
        with self._clock(), contextlib.closing(self._link(budget)) as link:
            self.signed = read_signed(
                lambda target, limit: self._fetch(link, target, limit, keep=True),
                self._terms.key,
                self._found.add,
            )

    def expected(self, reference: Release | None) -> int:
        """Return how many answers ``compare`` will look at."""
        known = self._known(reference)
        return len(file_addresses(known)) + 1 if known else 0

    def _known(self, reference: Release | None) -> Release | None:
        return (self.signed or reference) if self._replies else None

    def compare(self, reference: Release | None) -> Seen:
        """Compare every file with its own list if that is signed, else with ``reference``."""
        count = 0
        with self._clock():
            if reference and self.signed:
                self._found.update(_list_differences(self.signed, reference))
            known = self._known(reference)
            if known:
                count = self._compare_files(known)
        sequence = self.signed.metadata.sequence if self.signed else None
        return Seen(str(self.address), sequence, count, self._seconds, tuple(sorted(self._found)))

    def _compare_files(self, known: Release) -> int:
        facts = known.metadata
        onion = self.address.is_onion
        onions = (*self._terms.onions, *facts.onions)
        policy = onion_policy(facts) if onion else clearnet_policy(facts, onions)
        headers = file_headers(known, policy)
        paths = file_addresses(known)
        budget, allowed = Budget(self._terms.limits), self._terms.allowed

        def look(target: str) -> list[Difference]:
            with self._borrowed(budget) as link:
                reply = self._replies.get(target) or self._fetch(link, target, budget.limits.file)
            self._terms.tick()
            if reply is None:
                return []
            if target == FRONT:
                return list(front_differences(self.address, reply, known, headers, allowed))
            found = list(file_differences(target, reply, known.files[paths[target]].sha256))
            if reply.status == 200:
                found += header_differences(target, reply, headers[target], allowed)
            return found

        with ThreadPoolExecutor(self._terms.limits.connections) as pool:
            for found in pool.map(look, (*paths, FRONT)):
                self._found.update(found)
        while not self._links.empty():
            self._links.get().close()
        return len(known.files)

    def _fetch(self, link: Link, target: str, limit: int, *, keep: bool = False) -> Reply | None:
        try:
            reply = link.get(target, limit, keep=keep)
        except UnreachableError as error:
            where = target if self._replies else ""
            self._found.add(Difference(where, Kind.UNREACHABLE, str(error)))
            return None
        self._replies[target] = reply
        return reply

    def _link(self, budget: Budget) -> Link:
        return Link(self.address, budget, self._terms.road)

    @contextlib.contextmanager
    def _borrowed(self, budget: Budget) -> Iterator[Link]:
        try:
            link = self._links.get_nowait()
        except queue.Empty:
            link = self._link(budget)
        yield link
        self._links.put(link)

    @contextlib.contextmanager
    def _clock(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._seconds += time.monotonic() - begin


def _list_differences(ours: Release, reference: Release) -> Iterator[Difference]:
    """Compare two lists that the organisation has signed."""
    has, wanted = ours.metadata.sequence, reference.metadata.sequence
    if has < wanted:
        yield Difference("", Kind.OLDER_RELEASE, f"release {has}, not {wanted}")
    elif has > wanted:
        yield Difference("", Kind.NEWER_RELEASE, f"release {has}, not {wanted}")
    elif ours.manifest_sha256 != reference.manifest_sha256:
        detail = f"signed, but another list of release {has} than elsewhere"
        yield Difference("/SHA256SUMS", Kind.CHANGED, detail)
