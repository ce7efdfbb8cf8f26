"""Run waitress: all listeners in one process and one thread, with their limits."""

from __future__ import annotations

import contextlib
import heapq
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer, TcpWSGIServer, UnixWSGIServer
from waitress.utilities import build_http_date

from cccr_web.serve.channel import Channel
from cccr_web.serve.event_loop import Poller, announce_shutdown, finish_connections
from cccr_web.systemd import SystemdNotifier

if TYPE_CHECKING:
    from cccr_web.serve.prepared import ResponseCache
    from cccr_web.serve.sites import AppSwitch

_log = logging.getLogger(__name__)

# waitress's settings, where the defaults do not suit.
_SETTINGS: dict[str, Any] = {
    # No Server header.
    "ident": None,
    # A request head is a path and a few headers; a larger one is an attack.
    "max_request_header_size": 16 * 1024,
    # GET and HEAD have no body: with 0 waitress rejects every body with 413.
    "max_request_body_size": 0,
    # The event loop itself writes, so it must never wait for a client to read.
    "outbuf_high_watermark": 2**62,
    # Never log a client's address, not even of one that disconnected.
    "log_socket_errors": False,
    "expose_tracebacks": False,
    "clear_untrusted_proxy_headers": True,
}

# Connections of all listeners together, each of one descriptor and some kilobytes. At this
# limit the connections of least use are closed (RFC 9112, section 9.5).
_CONNECTION_LIMIT = 2000
_OTHER_FILES = 64
_ACCEPTED_AT_ONCE = 64

_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # Bytes that the kernel holds for a slow client (tcp(7)); without it megabytes.
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 128 * 1024),
]


class _NoThreads:
    """Replaces waitress's thread pool: channels answer in the event loop (``channel.py``)."""

    def add_task(self, task: object) -> None:
        """Leave the task to the channel."""

    def shutdown(self) -> None:
        """Do nothing: there are no threads."""


class _LimitedServer(BaseWSGIServer):  # type: ignore[misc]  # it has no types
    """A listener that always accepts; at the connection limit it closes other connections."""

    channel_class = Channel
    apps: AppSwitch
    index: int
    notifier: SystemdNotifier
    is_healthy: Callable[[], bool]
    cleanup_interval = 1.0
    next_channel_cleanup = 0.0
    _dated = (0, b"")

    @property
    def app(self) -> ResponseCache:
        """The app of this listener; a reload replaces it."""
        return self.apps.current[self.index]

    def readable(self) -> bool:
        """Accept always."""
        return True

    def clean_up(self) -> None:
        """Once a second close connections past their deadline.

        Also send systemd's watchdog message then, because the loop runs.
        """
        now = time.monotonic()
        if now >= self.next_channel_cleanup:
            self.next_channel_cleanup = now + self.cleanup_interval
            if self.is_healthy():
                self.notifier.alive()
            for channel in list(self.active_channels.values()):
                if channel.deadline < now:
                    channel.expire(now)

    def handle_accept(self) -> None:
        """Accept waiting connections in batches, so that accepted ones are read in between."""
        for _ in range(min(_ACCEPTED_AT_ONCE, max(self.adj.connection_limit // 4, 1))):
            if len(self._map) >= self.adj.connection_limit:
                self._evict()
            before = len(self._map)
            super().handle_accept()
            if len(self._map) == before:
                return

    def accept(self) -> Any:
        """Accept a connection; without a free descriptor free some for the next attempt."""
        try:
            return super().accept()
        except OSError:
            self._evict()
            raise

    def _evict(self) -> None:
        channels = [each for each in self._map.values() if isinstance(each, Channel)]
        number = max(len(channels) // 20, 1)
        now = time.monotonic()
        for channel in heapq.nsmallest(number, channels, key=lambda each: each.eviction_order(now)):
            channel.reset()

    def handle_error(self) -> None:
        """Continue after an error in accepting a connection; waitress would close the listener."""
        error = sys.exc_info()[0]
        _log.error("A connection was not accepted: %s", error.__name__ if error else "unknown")

    def pull_trigger(self) -> None:
        """Do nothing: no other thread needs to wake the loop."""

    def wake(self) -> None:
        """Wake the loop from a signal handler."""
        self.trigger.pull_trigger()

    def stop_accepting(self) -> None:
        """Accept the connections that wait already, then close the listener alone."""
        for _ in range(1 + self.adj.backlog // _ACCEPTED_AT_ONCE):
            before = len(self._map)
            self.handle_accept()
            if len(self._map) <= before:
                break
        wasyncore.dispatcher.close(self)

    def http_date(self, now: float) -> bytes:
        """Return a time as an HTTP date (RFC 9110, section 5.6.7)."""
        second = int(now)
        if second != self._dated[0]:
            self._dated = second, build_http_date(second).encode("ascii")
        return self._dated[1]


class _TcpServer(_LimitedServer, TcpWSGIServer):  # type: ignore[misc]  # it has no types
    pass


class _UnixServer(_LimitedServer, UnixWSGIServer):  # type: ignore[misc]  # it has no types
    pass


def serve(
    listeners: Sequence[socket.socket],
    apps: AppSwitch,
    *,
    ready: Callable[[], None] = lambda: None,
    notifier: SystemdNotifier | None = None,
    is_healthy: Callable[[], bool] = lambda: True,
) -> None:
    """Serve ``apps``, one for each listener, until SIGTERM or SIGINT; then shut down gracefully.

    ``ready`` is called once the listeners accept requests. ``notifier`` gets watchdog messages
    while the loop runs and ``is_healthy`` returns true. A second signal ends at once. Must run
    in the main thread. Closes the listeners.
    """
    sockets = Poller()
    limit = _raise_connection_limit()
    notifier = notifier or SystemdNotifier({})
    # The watchdog needs a message in half of its time, and so the loop must run twice as often.
    interval = min(1.0, (notifier.half_time or 2.0) / 2)
    servers = []
    for index, listener in enumerate(listeners):
        server = _create_server(listener, apps, index, sockets, limit)
        server.notifier, server.is_healthy = notifier, is_healthy
        server.cleanup_interval = interval
        servers.append(server)
    signals = 0

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        # At once: requests that have arrived may be answered in the current turn of the loop.
        announce_shutdown(sockets)
        # A signal alone does not end the loop's wait (PEP 475).
        servers[0].wake()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready()
        while not signals:
            for server in servers:
                server.clean_up()
            sockets.turn(interval)
        notifier.stopping()
        for server in servers:
            server.stop_accepting()
        finish_connections(sockets, lambda: signals > 1)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for server in servers:
            server.close()
        sockets.close()


def _create_server(
    listener: socket.socket, apps: AppSwitch, index: int, sockets: Poller, limit: int
) -> _LimitedServer:
    adjustments = Adjustments(
        sockets=[listener],
        url_scheme=apps.current[index].policy.url_scheme,
        connection_limit=limit,
        **_SETTINGS,
    )
    adjustments.socket_options = _SOCKET_OPTIONS
    server = (_UnixServer if listener.family == socket.AF_UNIX else _TcpServer)(
        apps.wsgi_app(index),
        sockets,
        _sock=listener,
        dispatcher=_NoThreads(),
        adj=adjustments,
        bind_socket=False,
        sockinfo=(listener.family, listener.type, listener.proto, listener.getsockname()),
    )
    server.apps, server.index = apps, index
    return server


def _raise_connection_limit() -> int:
    """Raise the limit of open files, and return the number of connections it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTION_LIMIT + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(min(soft - _OTHER_FILES, _CONNECTION_LIMIT), 1)
    return _CONNECTION_LIMIT
