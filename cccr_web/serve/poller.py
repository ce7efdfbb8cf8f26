"""The event loop's wait: with epoll(7), so that idle connections cost next to nothing.

waitress's own loop asks each connection before each wait whether it wants to read or write.
"""

from __future__ import annotations

import contextlib
import select
from typing import Any

from waitress import wasyncore


class Poller(dict[int, Any]):
    """waitress's map of descriptors and dispatchers, each of which is registered with epoll."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self._interests: dict[int, int] = {}
        self._added: set[int] = set()

    def __setitem__(self, descriptor: int, dispatcher: Any) -> None:
        """Add a dispatcher. It is in construction, and first waits to read."""
        self._epoll.register(descriptor, select.EPOLLIN)
        super().__setitem__(descriptor, dispatcher)
        self._interests[descriptor] = select.EPOLLIN
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
            wasyncore.readwrite(dispatcher, events)  # epoll's events have the numbers of poll's
            if self.get(descriptor) is dispatcher:
                self._set_interest(descriptor, dispatcher)

    def close(self) -> None:
        """Close all dispatchers, and epoll."""
        wasyncore.close_all(self)
        self._epoll.close()

    def _set_interest(self, descriptor: int, dispatcher: Any) -> None:
        interest = select.EPOLLIN if dispatcher.readable() else 0
        if dispatcher.writable() and not dispatcher.accepting:
            interest |= select.EPOLLOUT
        if interest != self._interests[descriptor]:
            self._interests[descriptor] = interest
            self._epoll.modify(descriptor, interest)
