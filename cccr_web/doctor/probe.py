"""Requests to one address of the site, and a record of every response."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from cccr_web.watch import (
    Address,
    HttpConnection,
    RequestBudget,
    RequestLimits,
    Response,
    Route,
)

# Bytes of a response that is read whole; the site's largest files are compared elsewhere.
_MAX_BODY: Final = 1024 * 1024
# Seconds. A slow site must not delay each of the many requests by the whole time limit.
_REQUEST_TIMEOUT: Final = 60.0


@dataclass(slots=True)
class Probe:
    """Requests to ``address`` by ``route``; ``responses`` holds each with its request line."""

    name: str
    address: Address
    route: Route
    seconds: float
    responses: list[tuple[str, Response]] = field(default_factory=list)

    def budget(self) -> RequestBudget:
        """Return what one request may use."""
        return RequestBudget(RequestLimits(min(self.seconds, _REQUEST_TIMEOUT)))

    def request(
        self, target: str, *headers: str, method: str = "GET", host: str | None = None
    ) -> Response:
        """Send one request. Raises ``UnreachableError``."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host or self.address.netloc}", *headers]
        request = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
        return self.send(request, method)

    def send(self, request: bytes, method: str = "GET") -> Response:
        """Send exactly these bytes. Raises ``UnreachableError``."""
        with self.connection() as connection:
            response = connection.send(request, _MAX_BODY, method=method)
        request_line = request.partition(b"\r\n")[0][:60].decode("latin-1")
        self.responses.append((request_line, response))
        return response

    def get(self, connection: HttpConnection, target: str) -> Response:
        """Send a plain request on a connection that is kept. Raises ``UnreachableError``."""
        response = connection.get(target, _MAX_BODY, keep_body=True)
        self.responses.append((f"GET {target}", response))
        return response

    def without_tls(self) -> Probe:
        """Return a probe of the same port that does not use TLS; it shares ``responses``."""
        return replace(self, address=replace(self.address, scheme="http"))

    @contextlib.contextmanager
    def connection(self) -> Iterator[HttpConnection]:
        """Open a connection for several requests."""
        opened = HttpConnection(self.address, self.budget(), self.route)
        with contextlib.closing(opened):
            yield opened
