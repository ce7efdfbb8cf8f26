"""waitress, set for this site: two listeners in one process, and their limits."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from cccr_web.serve.app import bare_headers
from cccr_web.serve.policy import Policy

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# What waitress is told, and why. The rest of its settings keep their defaults.
SETTINGS: dict[str, Any] = {
    # Say nothing of the program or its version.
    "ident": None,
    # A request needs no thread for long: each is a look-up.
    "threads": 2,
    # A request head is a path and a few headers; more is somebody's attack.
    "max_request_header_size": 16 * 1024,
    # GET and HEAD have no body: 0 makes waitress refuse every one with 413.
    "max_request_body_size": 0,
    # Slow connections must not shut readers out; each costs one descriptor.
    "connection_limit": 900,
    # Seconds that an idle connection may stay, and between looks for such ones.
    "channel_timeout": 20,
    "cleanup_interval": 5,
    # poll() has no limit of 1024 descriptors, unlike select().
    "asyncore_use_poll": True,
    # No reader's address in a log, not even of one who hung up.
    "log_socket_errors": False,
    "expose_tracebacks": False,
    "clear_untrusted_proxy_headers": True,
}


@dataclass(frozen=True, slots=True)
class Site:
    """One listener: its socket, the app that answers there, and its policy."""

    listener: socket.socket
    app: WSGIApplication
    policy: Policy


class _Refusal(ErrorTask):  # type: ignore[misc]  # it has no types
    """What waitress answers by itself, to a request too malformed or too big for the app.

    Its own would repeat parts of the request and carry none of our headers.
    """

    def execute(self) -> None:
        """Answer with the status and the policy's headers, and close."""
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(self.channel.server.refusal_headers)
        self.set_close_on_finish()
        self.content_length = 0
        self.write(b"")


class _Channel(HTTPChannel):  # type: ignore[misc]  # it has no types
    error_task_class = _Refusal


def _create_server(site: Site, sockets: dict[int, Any]) -> Any:
    scheme = site.policy.url_scheme
    server = create_server(
        site.app, map=sockets, sockets=[site.listener], url_scheme=scheme, **SETTINGS
    )
    server.channel_class = _Channel
    server.refusal_headers = bare_headers(site.policy)
    return server


def serve(sites: list[Site], *, ready: Callable[[], None] = lambda: None) -> None:
    """Answer on every listener until SIGTERM or SIGINT.

    ``ready`` is called once when requests are being taken. Must run in the main
    thread. The listeners are closed at the end.
    """
    # Under load it warns of every seventh request, which says nothing.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    sockets: dict[int, Any] = {}
    servers = [_create_server(site, sockets) for site in sites]
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        # Wake the loop: a signal alone does not end its wait (PEP 475).
        servers[0].pull_trigger()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready()
        while not stopping:
            wasyncore.loop(timeout=1, use_poll=True, map=sockets, count=1)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for server in servers:
            server.task_dispatcher.shutdown()
            server.close()
        wasyncore.close_all(sockets)
