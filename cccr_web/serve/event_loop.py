"""The event loop: it waits with epoll(7), and shuts down gracefully.

waitress's own loop asks each connection before each wait whether it wants to read or write.
With epoll idle connections cost next to nothing.

At shutdown every request that has arrived gets its response. No more connections are accepted;
where systemd owns the socket, the next process accepts them. Every open connection gets its
pending responses, the last with “Connection: close”, so that a client that keeps connections
opens its next one elsewhere without an error. An idle connection is closed between two requests,
when a client may safely retry (RFC 9112, section 9.3.1).
"""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore

from cccr_web.serve.channel import Channel

# At shutdown: seconds for pending responses, and for requests of which a part has arrived.
_SHUTDOWN_SECONDS = 5.0
# Seconds in which a new connection must send a request.
_NEW_SECONDS = 2.0
# Seconds in which a used connection may send another: busy clients do so at once.
_USED_SECONDS = 0.25
_LOOP_SECONDS = 0.05


_IN, _OUT = select.EPOLLIN, select.EPOLLOUT


class Poller(dict[int, Any]):
    """waitress's map of descriptors and dispatchers, each of which is registered with epoll."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._interests: dict[int, int] = {}
        self._added: set[int] = set()

    def __setitem__(self, descriptor: int, dispatcher: Any) -> None:
        """Add a dispatcher. It is in construction, and first waits to read."""
        self._epoll.register(descriptor, _IN)
        super().__setitem__(descriptor, dispatcher)
        self._interests[descriptor] = _IN
        self._added.add(descriptor)

    def __delitem__(self, descriptor: int) -> None:
        """Remove a dispatcher, which is about to close its descriptor."""
        super().__delitem__(descriptor)
        del self._interests[descriptor]
        with contextlib.suppress(OSError):  # it is closed already
            self._epoll.unregister(descriptor)

    def turn(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds, then handle each event once."""
        self._added.clear()
        for descriptor, events in self._epoll.poll(timeout):
            dispatcher = self.get(descriptor)
            # A connection accepted in this turn can have the number of one closed in it.
            if dispatcher is None or descriptor in self._added:
                continue
            if events == _IN:
                wasyncore.read(dispatcher)  # as readwrite() would, but sooner
            else:
                wasyncore.readwrite(dispatcher, events)  # epoll's events have poll's numbers
            if self.get(descriptor) is dispatcher:
                self._set_interest(descriptor, dispatcher)

    def close(self) -> None:
        """Close all dispatchers, and epoll."""
        wasyncore.close_all(self)
        self._epoll.close()

    def _set_interest(self, descriptor: int, dispatcher: Any) -> None:
        interest = _IN if dispatcher.readable() else 0
        if dispatcher.writable() and not dispatcher.accepting:
            interest |= _OUT
        if interest != self._interests[descriptor]:
            self._interests[descriptor] = interest
            self._epoll.modify(descriptor, interest)


def announce_shutdown(sockets: Poller) -> None:
    """Let every open connection close after its last request. Safe in a signal handler."""
    for channel in _channels(sockets):
        channel.close_after_last_request()


def finish_connections(sockets: Poller, is_forced: Callable[[], bool]) -> None:
    """Send the pending responses and close, in ``_SHUTDOWN_SECONDS`` or until ``is_forced``."""
    began = time.monotonic()
    # Connections that were accepted since the signal.
    announce_shutdown(sockets)
    while not is_forced() and time.monotonic() < began + _SHUTDOWN_SECONDS:
        sockets.turn(_LOOP_SECONDS)
        now = time.monotonic()
        for channel in _channels(sockets):
            if _is_finished(channel, began, now):
                channel.handle_close()
        if not _channels(sockets):
            return


def _channels(sockets: Poller) -> list[Channel]:
    return [each for each in sockets.values() if isinstance(each, Channel)]


def _is_finished(channel: Channel, began: float, now: float) -> bool:
    if channel.is_sending or channel.is_receiving:
        return False
    seconds = _NEW_SECONDS if channel.is_new else _USED_SECONDS
    return now >= max(began, channel.idle_since) + seconds
