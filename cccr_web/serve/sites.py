"""What each listener serves: the names, the header policy and the app of a release.

``ResponseCache`` holds all three of one listener, so a reload replaces them together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cccr_web.errors import CccrError, counted
from cccr_web.listen import Listen, SystemdSocket, Tcp, Unix, address_of, listening
from cccr_web.release import Release
from cccr_web.serve.hosts import Hosts, clearnet_hosts, onion_hosts
from cccr_web.serve.policy import Policy, listener_policy
from cccr_web.serve.prepared import ResponseCache, prepare
from cccr_web.serve.server import serve
from cccr_web.systemd import SystemdNotifier

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class AppSwitch:
    """The apps of all listeners, replaced together in one assignment.

    Each response comes from a single app, and so from a single release.
    """

    def __init__(self, apps: Sequence[ResponseCache]) -> None:
        self.current = tuple(apps)

    def replace(self, apps: Sequence[ResponseCache]) -> None:
        """Serve these apps from the next request on, in the order of the listeners."""
        if len(apps) != len(self.current):
            raise ValueError(
                f"{counted(len(apps), 'app')} for {counted(len(self.current), 'listener')}"
            )
        self.current = tuple(apps)

    def wsgi_app(self, index: int) -> WSGIApplication:
        """Return a WSGI app that passes each request to the current app of a listener."""

        def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return self.current[index](environ, start_response)

        return app


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where to listen, and the names to answer to in addition to those of the release.

    ``hsts_preload`` is that of ``listener_policy``.
    """

    clearnet: Listen | None
    onion_socket: Unix | SystemdSocket | None
    domains: tuple[str, ...] = ()
    onions: tuple[str, ...] = ()
    hsts_preload: bool = False

    def make_apps(self, release: Release) -> list[ResponseCache]:
        """Return the app of each listener. Raises ``CccrError``."""
        facts = release.metadata
        sites: list[tuple[Policy, Hosts]] = []
        if self.clearnet is not None:
            policy = listener_policy("clearnet", facts, self.onions, hsts_preload=self.hsts_preload)
            sites.append((policy, self._clearnet_hosts(self.clearnet, release)))
        if self.onion_socket is not None:
            onions = {*self.onions, *facts.onions}
            if not onions:
                raise CccrError(
                    "The release names no onion address, so the server cannot know its own.",
                    "Use --onion-address, or write it into site.toml.",
                )
            sites.append((listener_policy("onion", facts), onion_hosts(onions)))
        return prepare(release, sites)

    def _clearnet_hosts(self, where: Listen, release: Release) -> Hosts:
        own = release.metadata.domain
        names = (*((own,) if own else ()), *self.domains)
        loopback = isinstance(where, Tcp) and where.is_loopback
        if not (names or loopback):
            raise CccrError(
                "The release names no clearnet address, so the server cannot know its own.",
                "Use --domain, or write it into site.toml.",
            )
        return clearnet_hosts(names, loopback=loopback)

    def serve(
        self,
        apps: AppSwitch,
        started: Callable[[list[str]], None],
        *,
        notifier: SystemdNotifier,
        status: Callable[[], str],
        is_healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        """Listen and serve ``apps`` until the process receives SIGTERM or SIGINT.

        ``started`` gets a line for each listener, such as “clearnet http://127.0.0.1:80/”.
        ``status`` returns a sentence for systemd. Raises ``CccrError``.
        """
        with contextlib.ExitStack() as stack:
            sockets, lines = [], []
            for name, where in (("clearnet", self.clearnet), ("onion-socket", self.onion_socket)):
                if where is not None:
                    unix_only = where is self.onion_socket
                    sockets.append(stack.enter_context(listening(where, unix_only=unix_only)))
                    lines.append(f"{name} {address_of(where, sockets[-1])}")

            def ready() -> None:
                started(lines)
                notifier.ready(status())

            serve(sockets, apps, ready=ready, notifier=notifier, is_healthy=is_healthy)
