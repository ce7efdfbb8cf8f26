"""How the server ends: nobody who has asked goes without an answer.

No more connections are taken; where systemd holds the socket, the next process finds
them there. Each open one gets the answers to what it has asked, the last with
“Connection: close”, so that who keeps connections, such as nginx, opens the next one
elsewhere without a failure. One that asks nothing is closed between two requests, where
a client may safely ask again (RFC 9112, section 9.3.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from waitress import wasyncore

from cccr_web.serve.channel import Channel

# Seconds for answers on their way, and for requests of which a part has come.
ENDS_WITHIN = 5.0
# Seconds in which a new connection must have asked something.
NEW_SECONDS = 2.0
# Seconds in which one that had an answer may ask again: who is at it does so at once.
REST_SECONDS = 0.25
_TURN = 0.05


class Listener(Protocol):
    """A server as it is seen here."""

    def retire(self) -> None:
        """Take no more connections."""


def end(listeners: Sequence[Listener], sockets: dict[int, Any], hurry: Callable[[], bool]) -> None:
    """Answer what was asked and close all, in ``ENDS_WITHIN`` seconds or when ``hurry`` says so."""
    for listener in listeners:
        listener.retire()
    begin = time.monotonic()
    # Connections that were accepted since the signal.
    mark_last_answers(sockets)
    while not hurry() and time.monotonic() < begin + ENDS_WITHIN:
        wasyncore.loop(timeout=_TURN, use_poll=True, map=sockets, count=1)
        now = time.monotonic()
        for channel in _channels(sockets):
            if _has_done(channel, begin, now):
                channel.handle_close()
        if not _channels(sockets):
            return


def mark_last_answers(sockets: dict[int, Any]) -> None:
    """Make the last response on every open connection carry “Connection: close”."""
    for channel in _channels(sockets):
        channel.last_call()


def _channels(sockets: dict[int, Any]) -> list[Channel]:
    return [each for each in sockets.values() if isinstance(each, Channel)]


def _has_done(channel: Channel, begin: float, now: float) -> bool:
    if channel.answering or channel.asking:
        return False
    wait = NEW_SECONDS if channel.is_new else REST_SECONDS
    return now >= max(begin, channel.since) + wait
