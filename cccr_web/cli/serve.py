"""``serve``: hand out a release, and take the next one without a dropped request."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli.site import FOLDER, ONION, Reader, press_release
from cccr_web.cli.terminal import example
from cccr_web.config import Config, find_tree, read_domain, read_onion_socket
from cccr_web.errors import CccrError
from cccr_web.listen import Handed, Listen, Tcp, Unix, parse_listen
from cccr_web.systemd import Notifier

if TYPE_CHECKING:
    from cccr_web.release import Release
    from cccr_web.serve import Front, Policy, Source

_DEFAULT_CLEARNET = Tcp("127.0.0.1", 8080)
_RECHECK = 300  # seconds

LISTEN = Reader("HOST:PORT|unix:PATH|systemd:NAME", parse_listen)
ONION_SOCKET = Reader("unix:PATH|systemd:NAME", read_onion_socket)

_log = logging.getLogger(__name__)


@click.command()
@click.option("--release", type=FOLDER, help="The release; without it the texts are built first.")
@click.option("--public-key", help="The organisation's key: a file, or RW… itself.")
@click.option("--state", type=FOLDER, help="Where to remember what was served; never in a release.")
@click.option(
    "--recheck",
    type=click.FloatRange(min=0.1),
    default=_RECHECK,
    show_default=True,
    help="Seconds between two looks whether the disk still holds what is served.",
)
@click.option(
    "--clearnet",
    type=LISTEN,
    help="Where to listen for clearnet readers: HOST:PORT, unix:/PATH or systemd:NAME.",
)
@click.option("--onion-socket", type=ONION_SOCKET, help="The socket that tor connects to.")
@click.option(
    "--domain",
    "domains",
    type=Reader("NAME", read_domain),
    multiple=True,
    help="A further name to answer to on the clearnet. May be repeated.",
)
@click.option(
    "--onion-address",
    "onions",
    type=ONION,
    multiple=True,
    help="A further onion to answer to. May be repeated.",
)
@example("cccr-web serve --release current --public-key cccr.pub --state state")
def serve(
    release: Path | None,
    public_key: str | None,
    state: Path | None,
    recheck: float,
    clearnet: Listen | None,
    onion_socket: Unix | Handed | None,
    domains: tuple[str, ...],
    onions: tuple[str, ...],
) -> None:
    """Serve a release on the clearnet, on a unix socket for tor, or on both.

    The listener decides which headers a reader gets, never anything that the
    reader sends. The whole release is read into memory and checked; after that
    nothing on the disk changes what is served. On SIGHUP it takes the release that
    is at the same path then: a link such as "current" can be changed before. One
    that is not in order is refused, and the last good release is served on; with
    --state also at the next start. On SIGTERM it takes no more connections and ends
    once all that was asked is answered.

    As a service of systemd (Type=notify) it tells when it is ready, what it serves and,
    with WatchdogSec=, that it is not hung. A listener systemd:NAME is the socket of the
    socket unit with FileDescriptorName=NAME: a restart refuses nobody.

    Settings CCCR_RELEASE, CCCR_PUBLIC_KEY, CCCR_STATE, CCCR_CLEARNET,
    CCCR_ONION_SOCKET, CCCR_DOMAINS and CCCR_ONIONS stand for the options that are
    not given.
    """
    from cccr_web.serve import RELOAD, Bell

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("cccr_web").setLevel(logging.INFO)
    # From now on, so that no SIGHUP ends us while we start.
    bell = Bell()
    signal.signal(signal.SIGHUP, lambda _number, _frame: bell.put(RELOAD))
    settings = Config.from_environment(os.environ)
    clearnet = clearnet or settings.clearnet
    onion_socket = onion_socket or settings.onion_socket
    if clearnet is None and onion_socket is None:
        clearnet = _DEFAULT_CLEARNET
    listeners = _Listeners(
        clearnet,
        onion_socket,
        domains or settings.domains,
        onions or settings.onions,
        Notifier(),
    )
    source = _source(
        release or settings.release, public_key or settings.public_key, state or settings.state
    )
    if source is None:
        listeners.serve(press_release(find_tree("translations"), None))
    else:
        listeners.serve_from(source, bell, recheck)


def _source(release: Path | None, public_key: str | None, state: Path | None) -> Source | None:
    from cccr_web.release import RollbackGuard, read_public_key, verify_in_subprocess
    from cccr_web.serve import Source

    if release is None:
        return None
    key = read_public_key(public_key) if public_key else None
    if key is None:
        _log.warning("No --public-key: nobody vouches for %s. Good for trying out only.", release)
    elif state is None:
        _log.warning("No --state: an older release cannot be told from a new one.")
    guard = RollbackGuard(state) if state else None
    return Source(release, key, guard, verify_in_subprocess)


@dataclass(frozen=True, slots=True)
class _Listeners:
    """Where to listen, and which names to answer to beside those of the release."""

    clearnet: Listen | None
    onion_socket: Unix | Handed | None
    domains: tuple[str, ...]
    onions: tuple[str, ...]
    notifier: Notifier

    def serve(self, release: Release) -> None:
        """Serve one release until ended."""
        with contextlib.ExitStack() as stack:
            self._run(
                stack,
                self._policies(release),
                self._apps(release),
                lambda: f"Serving release {release.metadata.sequence}.",
            )

    def serve_from(self, source: Source, bell: Any, recheck: float) -> None:
        """Serve what ``source`` gives, now and whenever the bell rings, until ended."""
        from cccr_web.serve import Caretaker, Switch

        release, apps = source.open(self._apps)
        source.accept(release)
        switch = Switch(apps)
        with contextlib.ExitStack() as stack:
            caretaker = stack.enter_context(
                Caretaker(
                    source,
                    release,
                    self._apps,
                    switch,
                    bell,
                    recheck=recheck,
                    notifier=self.notifier,
                )
            )
            fronts = [switch.listener(index) for index in range(len(apps))]
            self._run(
                stack,
                self._policies(release),
                fronts,
                lambda: caretaker.status,
                lambda: caretaker.healthy,
            )

    def _run(
        self,
        stack: contextlib.ExitStack,
        policies: Sequence[Policy],
        apps: Sequence[Front],
        status: Callable[[], str],
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        from cccr_web import serve as server

        sites: list[server.Site] = []
        names: list[str] = []
        for where, policy, app in zip(self._places(), policies, apps, strict=True):
            listener = stack.enter_context(server.listening(where, unix=where is self.onion_socket))
            sites.append(server.Site(listener, app, policy))
            names.append(
                f"onion-socket {_address(where, None)}"
                if where is self.onion_socket
                else f"clearnet {_address(where, listener.getsockname())}"
            )

        def ready() -> None:
            click.echo("\n".join(names))
            self.notifier.ready(status())

        server.serve(sites, ready=ready, notifier=self.notifier, healthy=healthy)

    def _places(self) -> list[Listen]:
        return [where for where in (self.clearnet, self.onion_socket) if where is not None]

    def _policies(self, release: Release) -> list[Policy]:
        from cccr_web import serve as server

        policies = []
        if self.clearnet is not None:
            policies.append(server.clearnet_policy(release.metadata, self._own_onions(release)))
        if self.onion_socket is not None:
            policies.append(server.onion_policy(release.metadata))
        return policies

    def _apps(self, release: Release) -> Sequence[Front]:
        """Return the app of each listener. Raises ``CccrError``."""
        from cccr_web import serve as server

        onions = self._own_onions(release)
        hosts = []
        if self.clearnet is not None:
            own = release.metadata.clearnet
            names = (own.removeprefix("https://"),) if own else ()
            loopback = isinstance(self.clearnet, Tcp) and self.clearnet.is_loopback
            if not (names or self.domains or loopback):
                raise CccrError(
                    "The release names no clearnet address, so the server cannot know its own.",
                    "Give it by --domain, or write it into translations/site.toml.",
                )
            hosts.append(server.clearnet_hosts((*names, *self.domains), loopback=loopback))
        if self.onion_socket is not None:
            if not onions:
                raise CccrError(
                    "The release names no onion address, so the server cannot know its own.",
                    "Give it by --onion-address, or write it into translations/site.toml.",
                )
            hosts.append(server.onion_hosts(onions))
        return server.prepare(release, list(zip(self._policies(release), hosts, strict=True)))

    def _own_onions(self, release: Release) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.onions, *release.metadata.onions)))


def _address(where: Listen, bound: Any) -> str:
    if isinstance(where, Unix):
        return f"unix:{where.path}"
    if isinstance(where, Handed):
        return f"systemd:{where.name}"
    # The kernel has chosen the port if it was 0.
    host = f"[{where.host}]" if ":" in where.host else where.host
    return f"http://{host}:{bound[1]}/"
