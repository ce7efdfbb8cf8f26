"""All checks, in the order in which a person reads their results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from cccr_web.doctor.clearnet import check_certificate, check_redirect
from cccr_web.doctor.host import check_clock, check_disk, check_versions
from cccr_web.doctor.leaks import check_images, check_leaks
from cccr_web.doctor.model import CheckResult, PrivatePath, Target, not_applicable, ok, wrong
from cccr_web.doctor.permissions import check_permissions
from cccr_web.doctor.probe import Probe
from cccr_web.doctor.release import check_release, check_served_files
from cccr_web.doctor.responses import check_banners, check_responses, check_status_pages
from cccr_web.doctor.tor import TorClient, check_descriptor, check_hosting, tor_client
from cccr_web.errors import OnionError
from cccr_web.onion import ControlConnection, connect, load_key
from cccr_web.release import Release
from cccr_web.watch import Address, Route

Progress = Callable[[str], None]
Needed = TypeVar("Needed")
# Yields results, and returns what later checks need, if available.
_Results = Generator[CheckResult, None, Needed | None]

_CLEARNET, _ONION = "clearnet", "onion"
# The checks of each route, for when they cannot run.
_CHECKS = ("bytes", "headers", "responses", "status pages", "banners")
_CLEARNET_CHECKS = ("certificate", "redirect")


def run_checks(target: Target, progress: Progress = lambda _what: None) -> Iterator[CheckResult]:
    """Run every check and yield its results; ``progress`` gets the name of what is checked."""
    progress("the release")
    release, results = check_release(target)
    yield from results
    if release is not None:
        yield from check_images(release)
    key = [PrivatePath(target.onion_key)] if target.onion_key else []
    yield from check_permissions([*key, *target.private])
    yield from check_disk(target)
    yield from _NetworkChecks(target, release, progress).run()


class _NetworkChecks:
    """The checks through Tor and over HTTPS."""

    def __init__(self, target: Target, release: Release | None, progress: Progress) -> None:
        self._target = target
        self._release = release
        self._progress = progress
        facts = release.metadata if release else None
        named = facts.clearnet.removeprefix("https://") if facts and facts.clearnet else None
        self._domain = target.domain or named
        self._probes: list[Probe] = []
        self._onion = target.onion
        self._key_error: OnionError | None = None
        if self._onion is None and target.onion_key is not None:
            try:
                self._onion = load_key(target.onion_key).address
            except OnionError as error:
                self._key_error = error
        if self._onion is None and facts is not None:
            self._onion = next(iter(facts.onions), None)

    def run(self) -> Iterator[CheckResult]:
        with contextlib.ExitStack() as stack:
            hosting: ControlConnection | None = None
            client: TorClient | None = None
            if self._key_error is not None:
                yield wrong("onion key", self._key_error.problem, self._key_error.remedy)
            if self._onion is None:
                for name in _names(_ONION, "tor", "descriptor"):
                    yield not_applicable(name, "The site has no onion.")
            else:
                hosting = yield from self._check_hosting(stack, self._onion)
                client = yield from self._check_onion(stack, self._onion)
            if self._domain is None:
                for name in _names(_CLEARNET, *_CLEARNET_CHECKS):
                    yield not_applicable(name, "The site has no domain.")
            else:
                yield from self._check_clearnet(self._domain)
            if self._release is not None:
                public = [name for name in (self._domain, self._onion) if name]
                yield from check_leaks(self._release, self._probes, public)
            yield from check_clock(client)
            if self._onion is None:
                yield next(check_versions(None))
            else:
                yield from check_versions(hosting or (client.link if client else None))

    def _check_hosting(
        self, stack: contextlib.ExitStack, onion: str
    ) -> _Results[ControlConnection]:
        self._progress("the hosting tor")
        try:
            link: ControlConnection = stack.enter_context(connect(self._target.control))
        except OnionError as error:
            yield wrong("tor", error.problem, error.remedy)
            return None
        yield from check_hosting(link, onion)
        return link

    def _check_onion(self, stack: contextlib.ExitStack, onion: str) -> _Results[TorClient]:
        target = self._target
        self._progress("the onion: starting a Tor client")
        try:
            client = stack.enter_context(tor_client(target.torrc, target.seconds))
            proxy = client.proxy
        except OnionError as error:
            yield wrong("tor client", error.problem, error.remedy)
            yield from _cannot_run("there is no Tor client", _ONION, "descriptor", "proof of work")
            return None
        yield ok("tor client", "A Tor client on this machine has joined the network.")
        self._progress("the onion's descriptor")
        yield from check_descriptor(client, onion, target.seconds / 5)
        probe = Probe(_ONION, Address("http", onion, 80), Route(proxy), target.seconds)
        yield from self._check_route(probe, (self._domain,) if self._domain else ())
        return client

    def _check_clearnet(self, domain: str) -> Iterator[CheckResult]:
        target = self._target
        route = Route(None, target.https, target.authorities)
        probe = Probe(_CLEARNET, Address("https", domain, 443), route, target.seconds)
        yield from check_certificate(probe)
        if self._release is not None:
            plain = Address("http", domain, 80)
            http = Probe(
                _CLEARNET, plain, Route(None, target.http), target.seconds, probe.responses
            )
            yield from check_redirect(self._release, http)
        yield from self._check_route(probe, (self._onion,) if self._onion else ())

    def _check_route(self, probe: Probe, foreign_hosts: tuple[str, ...]) -> Iterator[CheckResult]:
        if self._release is None:
            yield from _cannot_run("there is no release to compare with", probe.name)
            return
        self._probes.append(probe)
        yield from check_served_files(
            self._target,
            self._release,
            probe,
            (self._target.onion,) if self._target.onion else (),
            lambda done, total: self._progress(f"the {probe.name}: file {done} of {total}"),
        )
        self._progress(f"the {probe.name}: every kind of response")
        yield from check_responses(self._release, probe, foreign_hosts)
        yield from check_status_pages(probe)
        yield from check_banners(probe)


def _names(route: str, *more: str) -> Iterator[str]:
    yield from more
    yield from (f"{route} {check}" for check in _CHECKS)


def _cannot_run(reason: str, route: str, *more: str) -> Iterator[CheckResult]:
    for name in _names(route, *more):
        yield wrong(name, f"It cannot be checked: {reason}.", "Fix that first.")
