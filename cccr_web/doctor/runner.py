"""All checks, in the order in which a person reads their results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

from cccr_web.doctor.baseline import check_baseline
from cccr_web.doctor.clearnet import check_certificate, check_redirect
from cccr_web.doctor.host import check_clock, check_disk, check_tor_version, own_version
from cccr_web.doctor.leaks import check_images, check_leaks
from cccr_web.doctor.model import (
    CheckResult,
    CheckVerdict,
    PrivatePath,
    Target,
    not_applicable,
    not_checked,
    ok,
    wrong,
)
from cccr_web.doctor.permissions import check_permissions
from cccr_web.doctor.probe import Probe
from cccr_web.doctor.release import check_release, check_served_files
from cccr_web.doctor.responses import check_banners, check_responses, check_status_pages
from cccr_web.doctor.services import check_units
from cccr_web.doctor.tor import TorClient, check_descriptor, check_hosting, tor_client
from cccr_web.errors import OnionError
from cccr_web.onion import ControlConnection, connect, load_key
from cccr_web.release import Release
from cccr_web.watch import Address, Route

Needed = TypeVar("Needed")
# Yields results, and returns what later checks need, if available.
_Results = Generator[CheckResult, None, Needed | None]

_CLEARNET, _ONION = "clearnet", "onion"
_KEY = "onion key"
# The checks of each route, for when they cannot run.
_CHECKS = ("bytes", "headers", "responses", "status pages", "banners")
_CLEARNET_CHECKS = ("certificate", "redirect")


def run_checks(
    target: Target, progress: Callable[[str], None] = lambda _what: None
) -> Iterator[CheckResult]:
    """Run every check and yield its results; ``progress`` gets the name of what is checked."""
    progress("the release")
    release, results = check_release(target)
    yield from results
    if release is not None:
        yield from check_images(release)
    yield from _Checks(target, release, progress).run()


class _Checks:
    """The checks through Tor and over HTTPS, and then of this machine.

    One fault makes many requests fail. ``_down`` is the first check that found why one of the
    site's programs does not answer; whatever fails later for that reason is not checked.
    """

    def __init__(
        self, target: Target, release: Release | None, progress: Callable[[str], None]
    ) -> None:
        self._target = target
        self._release = release
        self._progress = progress
        facts = release.metadata if release else None
        self._domain = target.domain or (facts.domain if facts else None)
        self._probes: list[Probe] = []
        self._down: str | None = None
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
            if self._key_error is not None:
                yield wrong(_KEY, self._key_error.problem, self._key_error.remedy)
            hosting = yield from self._check_hosting(stack)
            no_client = self._down if hosting else None
            clearnet_down = yield from self._check_connections()
            client = None
            if self._onion is not None:
                client = yield from self._check_onion(stack, self._onion, no_client)
            if self._domain is not None:
                route = Route(None, self._target.https, self._target.authorities)
                probe = self._probe(_CLEARNET, Address("https", self._domain, 443), route)
                foreign = (self._onion,) if self._onion else ()
                yield from self._check_route(probe, foreign, clearnet_down)
            yield from self._check_machine(client)
            if self._onion is not None:
                link = hosting or (client.link if client else None)
                if link is not None:
                    yield from check_tor_version(link)
                else:
                    yield not_checked("versions", "tor")

    def _probe(self, name: str, address: Address, route: Route) -> Probe:
        return Probe(name, address, route, self._target.seconds)

    def _check_hosting(self, stack: contextlib.ExitStack) -> _Results[ControlConnection]:
        if self._onion is None:
            for name in _names(_ONION, "tor", "descriptor"):
                yield not_applicable(name, "The site has no onion.")
            return None
        self._progress("the hosting tor")
        try:
            link: ControlConnection = stack.enter_context(connect(self._target.control))
        except OnionError as error:
            self._down = "tor"
            yield wrong("tor", error.problem, error.remedy)
            return None
        for result in check_hosting(link, self._onion):
            if result.verdict is CheckVerdict.WRONG:
                self._down = "tor"
            yield result
        return link

    def _check_connections(self) -> _Results[str]:
        """Check TLS and port 80; return the check that found why HTTPS cannot be checked."""
        if self._domain is None:
            for name in _names(_CLEARNET, *_CLEARNET_CHECKS):
                yield not_applicable(name, "The site has no domain.")
            return None
        target = self._target
        route = Route(None, target.https, target.authorities)
        trusted = yield from check_certificate(
            self._probe(_CLEARNET, Address("https", self._domain, 443), route)
        )
        if trusted is None:
            self._down = self._down or "certificate"
            yield not_checked("redirect", "certificate")
        elif self._release is not None:
            plain = self._probe(
                _CLEARNET, Address("http", self._domain, 80), Route(None, target.http)
            )
            self._probes.append(plain)
            yield from check_redirect(self._release, plain)
        return None if trusted else "certificate"

    def _check_onion(
        self, stack: contextlib.ExitStack, onion: str, no_client: str | None
    ) -> _Results[TorClient]:
        target = self._target
        names = _names(_ONION, "descriptor", "proof of work")
        if no_client:
            for name in ("tor client", *names):
                yield not_checked(name, no_client)
            return None
        self._progress("the onion: starting a Tor client")
        try:
            client = stack.enter_context(tor_client(target.torrc, target.seconds))
            proxy = client.proxy
        except OnionError as error:
            yield wrong("tor client", error.problem, error.remedy)
            for name in names:
                yield not_checked(name, "tor client")
            return None
        yield ok("tor client", "A Tor client on this machine has joined the network.")
        self._progress("the onion's descriptor")
        self._down = yield from check_descriptor(client, onion, target.seconds / 5, self._down)
        probe = self._probe(_ONION, Address("http", onion, 80), Route(proxy))
        yield from self._check_route(probe, (self._domain,) if self._domain else ())
        return client

    def _check_route(
        self, probe: Probe, foreign_hosts: tuple[str, ...], cause: str | None = None
    ) -> Iterator[CheckResult]:
        """Check what is served. With ``cause``, which found why nothing is, check nothing."""
        if self._release is None or cause:
            for name in _names(probe.name):
                yield not_checked(name, cause or "release")
            return
        self._probes.append(probe)
        cause = yield from check_served_files(
            self._target,
            self._release,
            probe,
            (self._target.onion,) if self._target.onion else (),
            lambda done, total: self._progress(f"the {probe.name}: file {done} of {total}"),
            self._down if probe.address.is_onion else None,
        )
        if cause:
            self._down = self._down or cause
            for name in list(_names(probe.name))[2:]:
                yield not_checked(name, cause)
            return
        self._progress(f"the {probe.name}: every kind of response")
        yield from check_responses(self._release, probe, foreign_hosts)
        yield from check_status_pages(probe)
        yield from check_banners(probe)

    def _check_machine(self, client: TorClient | None) -> Iterator[CheckResult]:
        target = self._target
        if target.onion_key and self._key_error:
            yield not_checked("permissions", _KEY)
        elif target.onion_key:
            yield from check_permissions([PrivatePath(target.onion_key)])
        yield from check_permissions(target.private, self._down)
        yield from check_disk(target)
        if self._release is not None:
            public = [name for name in (self._domain, self._onion) if name]
            yield from check_leaks(self._release, self._probes, public)
        no_client = (self._down or "tor client") if self._onion and client is None else None
        yield from check_clock(client, cause=no_client)
        if target.units:
            yield from check_units(target.units)
        if target.baseline is not None:
            yield from check_baseline(target.baseline)
        yield own_version()


def _names(route: str, *more: str) -> Iterator[str]:
    yield from more
    yield from (f"{route} {check}" for check in _CHECKS)
