"""A hundred readers of an onion at the same time."""

from __future__ import annotations

import contextlib
import http.client
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
    """Readers of an onion, each on a circuit of its own, who fetch its page again and again."""

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
        circuit = f"reader {threading.get_ident()}"
        while not self._stopped.is_set():
            got = self._gets_page(circuit)
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

    def wait_for_all(self, limit: float) -> None:
        """Wait until every reader's last fetch got a page, and ended after this call."""
        since = time.monotonic()

        def done() -> bool:
            own = [fetches[-1] for fetches in self._fetches if fetches]
            return len(own) == self.count and all(ok and at > since for at, ok in own)

        wait_until(done, limit)

    def failed_for(self, since: float) -> float:
        """Return the seconds from ``since`` until the last reader got a page again."""
        ends = [since]
        for fetches in self._fetches:
            later = [(at, ok) for at, ok in fetches if at > since]
            lost = max((at for at, ok in later if not ok), default=None)
            if lost is not None:
                ends.append(min(at for at, ok in later if ok and at > lost))
        return max(ends) - since

    def share(self, since: float) -> float:
        """Return the share of fetches that got a page, until the last reader got one again."""
        until = since + self.failed_for(since)
        results = [ok for each in self._fetches for at, ok in each if since < at <= until]
        return sum(results) / len(results) if results else 1.0
