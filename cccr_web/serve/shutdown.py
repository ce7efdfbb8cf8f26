"""Graceful shutdown: every request that has arrived gets its response.

No more connections are accepted; where systemd owns the socket, the next process accepts
them. Every open connection gets its pending responses, the last with “Connection: close”, so
that a client that keeps connections opens its next one elsewhere without an
error. An idle connection is closed between two requests, when a client may safely retry
(RFC 9112, section 9.3.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from cccr_web.serve.channel import Channel
from cccr_web.serve.poller import Poller

# Seconds for pending responses, and for requests of which a part has arrived.
SHUTDOWN_SECONDS = 5.0
# Seconds in which a new connection must send a request.
NEW_SECONDS = 2.0
# Seconds in which a used connection may send another: busy clients do so at once.
USED_SECONDS = 0.25
_LOOP_SECONDS = 0.05


def announce_shutdown(sockets: Poller) -> None:
    """Let every open connection close after its last request. Safe in a signal handler."""
    for channel in _channels(sockets):
        channel.close_after_last_request()


def finish_connections(sockets: Poller, is_forced: Callable[[], bool]) -> None:
    """Send the pending responses and close, in ``SHUTDOWN_SECONDS`` or until ``is_forced``."""
    began = time.monotonic()
    # Connections that were accepted since the signal.
    announce_shutdown(sockets)
    while not is_forced() and time.monotonic() < began + SHUTDOWN_SECONDS:
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
    seconds = NEW_SECONDS if channel.is_new else USED_SECONDS
    return now >= max(began, channel.idle_since) + seconds
