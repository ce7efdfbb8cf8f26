"""All checks, in the order in which a person reads their results."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

from cccr_web.doctor.baseline import check_baseline
from cccr_web.doctor.clearnet import check_certificate, check_redirect
from cccr_web.doctor.dns import Resolver, check_dns
from cccr_web.doctor.host import (
    check_clock,
    check_disk,
    check_ssh,
    check_tor_version,
    own_version,
)
from cccr_web.doctor.leaks import check_images, check_leaks, own_addresses, own_names
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
from cccr_web.doctor.tor import TorClient, check_descriptor, check_front, check_hosting, tor_client
from cccr_web.errors import ControlMissingError, OnionError
from cccr_web.listen import Unix
from cccr_web.onion import ControlConnection, connect, find_tor, load_key
from cccr_web.release import Release
from cccr_web.watch import Address, Route

_Needed = TypeVar("_Needed")
# Yields results, and returns what later checks need, if available.
_Results = Generator[CheckResult, None, _Needed | None]

_CLEARNET, _ONION = "clearnet", "onion"
_KEY, _RELEASE, _CERTIFICATE = "onion key", "release", "certificate"
# The checks of each route, for when they cannot run.
_CHECKS = ("bytes", "headers", "responses", "status pages", "banners")


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

    One fault makes many requests fail. What fails because of a fault that another check has
    found is not checked: ``_tor`` is the check that found why the hosting tor may not serve the
    onion, ``_client`` why there is no Tor client, ``_nginx`` why nothing may answer at all, and
    ``_stopped`` what is wrong if a unit, of which it has the first letters, does not run.
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
        self._tor: str | None = None
        self._client: str | None = None
        self._nginx: str | None = None
        self._stopped: dict[str, str] = {}
        self._onion = target.onion
        self._key_error: OnionError | None = None
        if target.onion_key is not None:
            try:
                self._judge_key(load_key(target.onion_key).address, target.onion_key)
            except OnionError as error:
                if self._onion is None:
                    self._key_error = error
        if self._onion is None and facts is not None:
            self._onion = next(iter(facts.onions), None)

    def _judge_key(self, address: str, file: Path) -> None:
        if self._onion is None:
            self._onion = address
        elif self._onion != address:
            self._key_error = OnionError(
                f"{file} is the key of {address}, not of {self._onion}.",
                "Put the right key there. The manager publishes that of its last start.",
            )

    def run(self) -> Iterator[CheckResult]:
        with contextlib.ExitStack() as stack:
            if self._key_error is not None:
                yield wrong(_KEY, self._key_error.problem, self._key_error.remedy)
            hosting = client = None
            if self._onion is not None:
                hosting = yield from self._check_hosting(stack, self._onion)
            else:
                yield _absent(_ONION, "The site has no onion.", self._no_onion())
            untrusted = None
            if self._domain is not None:
                untrusted = yield from self._check_connections(self._domain)
            else:
                unknown = None if self._release else _RELEASE
                yield _absent(_CLEARNET, "The site has no domain.", unknown)
            if self._onion is not None:
                client = yield from self._check_onion(stack, self._onion, hosting)
            if self._domain is not None:
                route = Route(None, self._target.https, self._target.authorities)
                probe = self._probe(_CLEARNET, Address("https", self._domain, 443), route)
                foreign = (self._onion,) if self._onion else ()
                yield from self._check_route(probe, foreign, untrusted)
            if self._target.addresses:
                names = self._target.dns_names or ((self._domain,) if self._domain else ())
                yield from check_dns(names, self._target.addresses, Resolver())
            yield from self._check_machine(client, is_hosting=hosting is not None)
            if self._onion is not None:
                link = hosting or (client.link if client else None)
                if link is not None:
                    yield from check_tor_version(link)
                else:
                    yield not_checked("versions", "tor")

    def _probe(self, name: str, address: Address, route: Route) -> Probe:
        return Probe(name, address, route, self._target.seconds)

    def _check_hosting(
        self, stack: contextlib.ExitStack, onion: str
    ) -> _Results[ControlConnection]:
        self._progress("the hosting tor")
        try:
            link: ControlConnection = stack.enter_context(connect(self._target.control))
        except OnionError as error:
            self._tor = self._stopped["tor@"] = "tor"
            cause = error
            if isinstance(error, ControlMissingError):
                try:
                    find_tor()
                except OnionError as missing:
                    # Nor can a client be started.
                    self._client, cause = "tor", missing
            yield wrong("tor", cause.problem, cause.remedy)
            return None
        for result in check_hosting(link, self._target.backend or onion, self._target.standby):
            if result.verdict is CheckVerdict.WRONG:
                self._tor = self._stopped["cccr-web-manager"] = "tor"
            yield result
        return link

    def _check_connections(self, domain: str) -> _Results[str]:
        """Check TLS and port 80; return the check that found why HTTPS cannot be checked."""
        target = self._target
        route = Route(None, target.https, target.authorities)
        trusted = yield from check_certificate(
            self._probe(_CLEARNET, Address("https", domain, 443), route)
        )
        if trusted is None:
            self._nginx = self._stopped["nginx"] = _CERTIFICATE
            yield not_checked("redirect", _CERTIFICATE)
        elif self._release is None:
            yield not_checked("redirect", _RELEASE)
        else:
            plain = self._probe(_CLEARNET, Address("http", domain, 80), Route(None, target.http))
            self._probes.append(plain)
            yield from check_redirect(self._release, plain)
        return None if trusted else _CERTIFICATE

    def _check_onion(
        self, stack: contextlib.ExitStack, onion: str, hosting: ControlConnection | None
    ) -> _Results[TorClient]:
        target = self._target
        names = _names(_ONION, "descriptor", "proof of work")
        standby = self._target.standby
        if self._target.backend or (standby is not None and standby.exists()):
            yield from self._check_own_onion(onion)
            if hosting is not None and target.front:
                yield from check_front(hosting, onion, target.seconds / 5)
            return TorClient(hosting) if hosting is not None else None
        if hosting is not None and self._tor:
            self._client = self._tor
        if self._client:
            for name in ("tor client", *names):
                yield not_checked(name, self._client)
            return None
        self._progress("the onion: starting a Tor client")
        try:
            client = stack.enter_context(tor_client(target.torrc, target.seconds))
            proxy = client.proxy
        except OnionError as error:
            self._client = "tor client"
            yield wrong("tor client", error.problem, error.remedy)
            for name in names:
                yield not_checked(name, "tor client")
            return None
        yield ok("tor client", "A Tor client on this machine has joined the network.")
        self._progress("the onion's descriptor")
        cause = yield from check_descriptor(client, onion, target.seconds / 5, self._tor)
        probe = self._probe(_ONION, Address("http", onion, 80), Route(proxy))
        foreign = (self._domain,) if self._domain else ()
        yield from self._check_route(probe, foreign, silent=cause or self._nginx)
        return client

    def _check_own_onion(self, onion: str) -> Iterator[CheckResult]:
        """Check what this server would serve if it published the onion."""
        names = ("tor client", *(() if self._target.front else ("descriptor",)), "proof of work")
        for name in names:
            yield not_applicable(name, "This server does not publish the onion.")
        if self._target.onion_socket is None:
            for name in _names(_ONION):
                yield not_applicable(name, "--onion-socket does not say where it is served.")
            return
        route = Route(target=self._target.onion_socket)
        foreign = (self._domain,) if self._domain else ()
        yield from self._check_route(
            self._probe(_ONION, Address("http", onion, 80), route), foreign
        )

    def _check_route(
        self,
        probe: Probe,
        foreign_hosts: tuple[str, ...],
        cause: str | None = None,
        *,
        silent: str | None = None,
    ) -> Iterator[CheckResult]:
        """Check what is served.

        With ``cause``, the check that found why nothing is served, check nothing. ``silent`` is
        the check that found why nothing may answer.
        """
        if self._release is None or cause:
            for name in _names(probe.name):
                yield not_checked(name, cause or _RELEASE)
            return
        self._probes.append(probe)
        cause = yield from check_served_files(
            self._target,
            self._release,
            probe,
            (self._target.onion,) if self._target.onion else (),
            lambda done, total: self._progress(f"the {probe.name}: file {done} of {total}"),
            silent,
        )
        if cause == f"{probe.name} bytes":
            self._stopped[f"cccr-web-{probe.name}"] = cause
        if cause:
            for name in list(_names(probe.name))[2:]:
                yield not_checked(name, cause)
            return
        self._progress(f"the {probe.name}: every kind of response")
        yield from check_responses(self._release, probe, foreign_hosts)
        yield from check_status_pages(probe)
        yield from check_banners(probe)

    def _check_machine(
        self, client: TorClient | None, *, is_hosting: bool
    ) -> Iterator[CheckResult]:
        target = self._target
        if target.onion_key and self._key_error and self._onion is None:
            yield not_checked("permissions", _KEY)
        elif target.onion_key:
            yield from check_permissions([PrivatePath(target.onion_key)])
        # A state folder may be a link (systemd's DynamicUser=).
        causes = {Path(os.path.realpath(path)): "disk" for path in target.states}
        if isinstance(target.control, Unix) and not is_hosting and self._tor:
            causes[target.control.path] = self._tor
        yield from check_permissions(target.private, causes)
        yield from check_disk(target.release, target.states)
        if self._release is not None:
            public = [name for name in (self._domain, self._onion) if name]
            own = own_addresses() | own_names()
            yield from check_leaks(self._release, self._probes, public, own)
        yield from check_clock(client, cause=self._client or self._no_onion())
        if target.units:
            yield from check_units(target.units, self._stopped)
        if target.ssh_keys_only:
            yield check_ssh()
        if target.baseline is not None:
            yield from check_baseline(target.baseline)
        yield own_version()

    def _no_onion(self) -> str | None:
        """Return the check that found why it is unknown which onion the site has, if any."""
        if self._onion is not None:
            return None
        return _KEY if self._key_error else None if self._release else _RELEASE


def _absent(name: str, reason: str, cause: str | None) -> CheckResult:
    """Return the one result for a part that the site does not have, or that ``cause`` hides."""
    return not_checked(name, cause) if cause else not_applicable(name, reason)


def _names(route: str, *more: str) -> Iterator[str]:
    yield from more
    yield from (f"{route} {check}" for check in _CHECKS)
