"""One way to the site, the onion's or the clearnet's, and every answer that came by it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from cccr_web.watch import Address, Budget, Limits, Link, Reply, Road, UnreachableError, ask

# Of an answer that is looked at as a whole; the site's largest files are compared elsewhere.
MOST: Final = 1024 * 1024
# Seconds; a site that drips must not hold up the doctor for each of its looks.
_ONE_LOOK: Final = 60.0
# tor loses one connection in 150.
_TRIES: Final = 2


@dataclass(slots=True)
class Way:
    """``address`` by ``road``; ``seen`` are the answers so far, with what was asked."""

    name: str
    address: Address
    road: Road
    seconds: float
    seen: list[tuple[str, Reply]] = field(default_factory=list)

    def budget(self) -> Budget:
        """Return what one look may cost."""
        return Budget(Limits(whole=min(self.seconds, _ONE_LOOK)))

    def ask(
        self,
        target: str,
        *headers: str,
        method: str = "GET",
        host: str | None = None,
    ) -> Reply:
        """Make one request. Raises ``UnreachableError``."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or self.address.netloc}", *headers]
        sent = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
        return self.send(sent, method=method)

    def send(self, sent: bytes, method: str = "GET") -> Reply:
        """Send these very bytes. Raises ``UnreachableError``."""
        for left in reversed(range(_TRIES)):
            try:
                reply = ask(self.address, self.road, self.budget(), sent, most=MOST, method=method)
            except UnreachableError:
                if not left:
                    raise
                continue
            first = sent.partition(b"\r\n")[0][:60].decode("latin-1")
            self.seen.append((first, reply))
            return reply
        raise AssertionError

    def plainly(self) -> Way:
        """Return the way to the same port without TLS."""
        return replace(self, address=replace(self.address, scheme="http"), seen=[])

    @contextlib.contextmanager
    def link(self) -> Iterator[Link]:
        """Keep a connection for several plain requests."""
        with contextlib.closing(Link(self.address, self.budget(), self.road)) as link:
            yield link
