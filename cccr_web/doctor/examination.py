"""All checks, in the order in which a person would want to hear of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from cccr_web.doctor.answers import check_answers
from cccr_web.doctor.banners import check_banners
from cccr_web.doctor.case import Case
from cccr_web.doctor.certificate import check_certificate
from cccr_web.doctor.client import Client, client
from cccr_web.doctor.clock import check_clock
from cccr_web.doctor.disk import check_disk
from cccr_web.doctor.hosting import check_descriptor, check_hosting
from cccr_web.doctor.images import check_images
from cccr_web.doctor.machine import check_machine
from cccr_web.doctor.private import Private, check_private
from cccr_web.doctor.redirect import check_redirect
from cccr_web.doctor.result import Result, not_applicable, ok, wrong
from cccr_web.doctor.same import check_same
from cccr_web.doctor.signed import check_release
from cccr_web.doctor.status_pages import check_status_pages
from cccr_web.doctor.versions import check_versions
from cccr_web.doctor.way import Way
from cccr_web.errors import OnionError
from cccr_web.onion import ControlConnection, connect, load_key
from cccr_web.release import Release
from cccr_web.watch import Address, Road

Progress = Callable[[str], None]
Kind = TypeVar("Kind")
# Yields results, and returns what the next checks need, if it is there.
_Found = Generator[Result, None, Kind | None]

_CLEARNET, _ONION = "clearnet", "onion"
# What a road's checks are called, for when they cannot be made.
_CHECKS = ("bytes", "headers", "answers", "status pages", "banners")
_OF_DOMAIN = ("certificate", "redirect")


def examine(case: Case, progress: Progress = lambda _what: None) -> Iterator[Result]:
    """Make every check and yield what it finds; ``progress`` is told what is looked at now."""
    progress("the release")
    release, results = check_release(case)
    yield from results
    if release is not None:
        yield from check_images(release)
    private = [Private(case.onion_key)] if case.onion_key else []
    yield from check_private([*private, *case.private])
    yield from check_disk(case)
    yield from _Networks(case, release, progress).examine()


class _Networks:
    """What is seen through tor and over https."""

    def __init__(self, case: Case, release: Release | None, progress: Progress) -> None:
        self._case = case
        self._release = release
        self._progress = progress
        facts = release.metadata if release else None
        named = facts.clearnet.removeprefix("https://") if facts and facts.clearnet else None
        self._domain = case.domain or named
        self._ways: list[Way] = []
        self._onion = case.onion
        self._problem: OnionError | None = None
        if self._onion is None and case.onion_key is not None:
            try:
                self._onion = load_key(case.onion_key).address
            except OnionError as error:
                self._problem = error
        if self._onion is None and facts is not None:
            self._onion = next(iter(facts.onions), None)

    def examine(self) -> Iterator[Result]:
        with contextlib.ExitStack() as stack:
            hosting = None
            if self._problem is not None:
                yield wrong("onion key", self._problem.problem, self._problem.remedy)
            if self._onion is None:
                yield from _without(_ONION, "The site has no onion.", "tor", "descriptor")
            else:
                hosting = yield from self._hosting(stack, self._onion)
            reader = None
            if self._onion is not None:
                reader = yield from self._reader(stack, self._onion)
            yield from self._clearnet()
            if self._release is not None:
                public = [name for name in (self._domain, self._onion) if name]
                yield from check_machine(self._release, self._ways, public)
            yield from check_clock(reader)
            yield from self._versions(hosting, reader)

    def _versions(
        self, hosting: ControlConnection | None, reader: Client | None
    ) -> Iterator[Result]:
        if self._onion is None:
            yield next(check_versions(None))
        else:
            yield from check_versions(hosting or (reader.link if reader else None))

    def _hosting(self, stack: contextlib.ExitStack, onion: str) -> _Found[ControlConnection]:
        self._progress("the hosting tor")
        try:
            link: ControlConnection = stack.enter_context(connect(self._case.control))
        except OnionError as error:
            yield wrong("tor", error.problem, error.remedy)
            return None
        yield from check_hosting(link, onion)
        return link

    def _reader(self, stack: contextlib.ExitStack, onion: str) -> _Found[Client]:
        self._progress("the way through tor: a client is started")
        try:
            reader = stack.enter_context(client(self._case.torrc, self._case.seconds))
            proxy = reader.proxy
        except OnionError as error:
            yield wrong("way through tor", error.problem, error.remedy)
            yield from _unseen(_ONION, "no way through tor", "descriptor", "proof of work")
            return None
        yield ok("way through tor", "A client tor of this machine’s own is in the network.")
        self._progress("the onion’s descriptor")
        yield from check_descriptor(reader, onion, self._case.seconds / 5)
        way = Way(_ONION, Address("http", onion, 80), Road(proxy), self._case.seconds)
        yield from self._look(way, (self._domain,) if self._domain else ())
        return reader

    def _clearnet(self) -> Iterator[Result]:
        if self._domain is None:
            yield from _without(_CLEARNET, "The site has no domain.", *_OF_DOMAIN)
            return
        case = self._case
        road = Road(None, case.web, case.authorities)
        way = Way(_CLEARNET, Address("https", self._domain, 443), road, case.seconds)
        yield from check_certificate(way)
        if self._release is not None:
            plain = Address("http", self._domain, 80)
            http = Way(_CLEARNET, plain, Road(None, case.plain), case.seconds)
            yield from check_redirect(self._release, http)
            way.seen += http.seen
        yield from self._look(way, (self._onion,) if self._onion else ())

    def _look(self, way: Way, others: tuple[str, ...]) -> Iterator[Result]:
        if self._release is None:
            yield from _unseen(way.name, "there is no release to compare with")
            return
        self._ways.append(way)
        onions = (self._case.onion,) if self._case.onion else ()
        yield from check_same(
            self._case,
            self._release,
            way,
            onions,
            lambda done, total: self._progress(f"the {way.name}: file {done} of {total}"),
        )
        self._progress(f"the {way.name}: every kind of answer")
        yield from check_answers(self._release, way, others)
        yield from check_status_pages(way)
        yield from check_banners(way)


def _without(road: str, why: str, *more: str) -> Iterator[Result]:
    for name in (*more, *(f"{road} {check}" for check in _CHECKS)):
        yield not_applicable(name, why)


def _unseen(road: str, why: str, *more: str) -> Iterator[Result]:
    for name in (*more, *(f"{road} {check}" for check in _CHECKS)):
        yield wrong(name, f"It cannot be seen: {why}.", "Mend what is said of that first.")
