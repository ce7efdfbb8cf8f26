"""waitress, set for this site: two listeners in one process and one thread, and their limits."""

from __future__ import annotations

import contextlib
import heapq
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, TcpWSGIServer, UnixWSGIServer
from waitress.utilities import build_http_date

from cccr_web.serve.app import bare_headers
from cccr_web.serve.channel import Channel
from cccr_web.serve.ending import end, mark_last_answers
from cccr_web.serve.policy import Policy
from cccr_web.systemd import Notifier

if TYPE_CHECKING:
    from cccr_web.serve.ready import Front

_log = logging.getLogger(__name__)

# What waitress is told, and why. The rest of its settings keep their defaults.
SETTINGS: dict[str, Any] = {
    # Say nothing of the program or its version.
    "ident": None,
    # A request head is a path and a few headers; more is somebody's attack.
    "max_request_header_size": 16 * 1024,
    # GET and HEAD have no body: 0 makes waitress refuse every one with 413.
    "max_request_body_size": 0,
    # The loop itself writes, so it must never wait until a reader has read.
    "outbuf_high_watermark": 2**62,
    # No reader's address in a log, not even of one who hung up.
    "log_socket_errors": False,
    "expose_tracebacks": False,
    "clear_untrusted_proxy_headers": True,
}

# Both listeners' connections together, each of one descriptor and some kilobytes. When
# they are as many, those worth least go (RFC 9112, section 9.5).
CONNECTIONS = 2000
_OTHER_FILES = 64
_AT_A_TIME = 64

_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # What the kernel holds for a slow reader (tcp(7)); megabytes without it.
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 128 * 1024),
]


@dataclass(frozen=True, slots=True)
class Site:
    """One listener: its socket, the app that answers there, and its policy."""

    listener: socket.socket
    app: Front
    policy: Policy


class _NoThreads:
    """In the place of waitress's threads: each connection answers in the loop (``channel.py``)."""

    def add_task(self, task: object) -> None:
        """Leave it to the connection."""

    def shutdown(self) -> None:
        """There is nothing to end."""


class _Crowd(BaseWSGIServer):  # type: ignore[misc]  # it has no types
    """A listener that always takes one more: who waits or reads worst must go."""

    channel_class = Channel
    front: Front
    refusal_headers: list[tuple[str, str]]
    notifier: Notifier
    healthy: Callable[[], bool]
    look_every = 1.0
    _dated = (0, b"")
    _next_look = 0.0

    def readable(self) -> bool:
        """Take connections, always; once a second end those whose time is over.

        Also tell systemd then that the loop goes round, and all that belongs to it.
        """
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self.look_every
            if self.healthy():
                self.notifier.alive()
            for channel in list(self.active_channels.values()):
                if channel.until < now:
                    channel.cut()
        return True

    def handle_accept(self) -> None:
        """Take all who wait, some at a time: whoever was taken is heard before room is made."""
        for _ in range(min(_AT_A_TIME, max(self.adj.connection_limit // 4, 1))):
            if len(self._map) >= self.adj.connection_limit:
                self._make_room()
            before = len(self._map)
            super().handle_accept()
            if len(self._map) == before:
                return

    def accept(self) -> Any:
        """Take one, or none; without a free descriptor the next try finds one."""
        try:
            return super().accept()
        except OSError:
            self._make_room()
            raise

    def _make_room(self) -> None:
        channels = [each for each in self._map.values() if isinstance(each, Channel)]
        few = max(len(channels) // 20, 1)
        now = time.monotonic()
        for channel in heapq.nsmallest(few, channels, key=lambda each: each.worth(now)):
            channel.cut()

    def handle_error(self) -> None:
        """Go on after an error while taking a connection; waitress would stop to listen."""
        error = sys.exc_info()[0]
        _log.error("A connection was not taken: %s", error.__name__ if error else "unknown")

    def pull_trigger(self) -> None:
        """Do nothing: no other thread needs to wake the loop."""

    def wake(self) -> None:
        """Wake the loop from a signal handler."""
        self.trigger.pull_trigger()

    def retire(self) -> None:
        """Take those who wait already, and nobody after them; who is connected stays."""
        self.handle_accept()
        wasyncore.dispatcher.close(self)

    def date(self, now: float) -> bytes:
        """Return the moment as HTTP writes it (RFC 9110, section 5.6.7)."""
        second = int(now)
        if second != self._dated[0]:
            self._dated = second, build_http_date(second).encode("ascii")
        return self._dated[1]


class _Tcp(_Crowd, TcpWSGIServer):  # type: ignore[misc]  # it has no types
    pass


class _Unix(_Crowd, UnixWSGIServer):  # type: ignore[misc]  # it has no types
    pass


def _create_server(
    site: Site,
    sockets: dict[int, Any],
    limit: int,
    notifier: Notifier,
    healthy: Callable[[], bool],
) -> _Crowd:
    listener = site.listener
    adjustments = Adjustments(
        sockets=[listener],
        url_scheme=site.policy.url_scheme,
        connection_limit=limit,
        **SETTINGS,
    )
    adjustments.socket_options = _SOCKET_OPTIONS
    server = (_Unix if listener.family == socket.AF_UNIX else _Tcp)(
        site.app,
        sockets,
        _sock=listener,
        dispatcher=_NoThreads(),
        adj=adjustments,
        bind_socket=False,
        sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
    )
    server.front = site.app
    server.refusal_headers = bare_headers(site.policy)
    server.notifier = notifier
    server.healthy = healthy
    server.look_every = _turn(notifier)
    return server


def _most_connections() -> int:
    """Return how many connections to hold, once the limit of open files is raised for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(soft - _OTHER_FILES, 1)
    return CONNECTIONS


def _turn(notifier: Notifier) -> float:
    """Return the seconds after which the loop goes round though nothing happens."""
    return min(1.0, (notifier.half_time or 2.0) / 2)


def serve(
    sites: list[Site],
    *,
    ready: Callable[[], None] = lambda: None,
    notifier: Notifier | None = None,
    healthy: Callable[[], bool] = lambda: True,
) -> None:
    """Answer on every listener until SIGTERM or SIGINT; then end as ``ending`` says.

    ``ready`` is called once when requests are being taken. ``notifier`` is told that
    the loop goes round as long as it does and ``healthy`` says yes. A second signal ends
    at once. Must run in the main thread. The listeners are closed at the end.
    """
    sockets: dict[int, Any] = {}
    limit = _most_connections()
    notifier = notifier or Notifier({})
    servers = [_create_server(site, sockets, limit, notifier, healthy) for site in sites]
    signals = 0

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        # At once: requests that came before the signal may be answered in this very turn.
        mark_last_answers(sockets)
        # Wake the loop: a signal alone does not end its wait (PEP 475).
        servers[0].wake()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready()
        turn = _turn(notifier)
        while not signals:
            wasyncore.loop(timeout=turn, use_poll=True, map=sockets, count=1)
        notifier.stopping()
        end(servers, sockets, lambda: signals > 1)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for server in servers:
            server.close()
        wasyncore.close_all(sockets)
