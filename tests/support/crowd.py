"""A hundred readers of an onion at the same time."""

from __future__ import annotations

import contextlib
import http.client
import math
import threading
import time
from typing import TYPE_CHECKING

from support import socks
from support.hosting import wait_until
from support.threads import BackgroundThreads
from support.tornet import exchange

if TYPE_CHECKING:
    from support.tornet import TorNetwork


class Readers(BackgroundThreads):
    """Readers of an onion, each on a circuit of its own, who fetch its page again and again.

    After a failure each uses a new circuit, as Tor Browser's “New Tor circuit for this site” does:
    now and then tor waits two minutes for a rendezvous that will not come.
    """

    count = 100

    def __init__(self, network: TorNetwork, onion: str, page: str = "/") -> None:
        self._network = network
        self._onion = onion
        self._page = page
        # For each reader, when a fetch ended, and whether it got a page.
        self._fetches: list[list[tuple[float, bool]]] = []

    def _run(self) -> None:
        own: list[tuple[float, bool]] = []
        self._fetches.append(own)
        failures = 0
        while not self._stopped.is_set():
            got = self._gets_page(f"reader {threading.get_ident()} {failures}")
            failures += not got
            own.append((time.monotonic(), got))
            self._stopped.wait(2.0)

    def _gets_page(self, circuit: str) -> bool:
        link = http.client.HTTPConnection(self._onion, timeout=20.0)
        with contextlib.suppress(OSError, http.client.HTTPException):
            link.sock = socks.connect(
                self._network.socks_port, self._onion, circuit=circuit, timeout=20.0
            )
            return exchange(link, "GET", self._page, {}).status == 200
        return False

    def wait_for_all(self, since: float, limit: float) -> float:
        """Wait until every reader has got a page after ``since``; return when the last one did."""

        def first(own: list[tuple[float, bool]]) -> float:
            return next((at for at, ok in own if ok and at > since), math.inf)

        def last() -> float:
            return max(map(first, self._fetches), default=math.inf)

        wait_until(lambda: len(self._fetches) == self.count and last() < math.inf, limit)
        return last()

    def share(self, since: float, until: float) -> float:
        """Return the share of fetches that got a page, of those that ended in that time."""
        results = [ok for each in self._fetches for at, ok in each if since < at <= until]
        return sum(results) / len(results)
