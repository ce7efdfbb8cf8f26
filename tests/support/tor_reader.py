"""One request over tor as Tor Browser sends it.

The client sends exact bytes in few calls, so that benchmarks measure tor and not the client.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from support.socks import connect, receive, receive_exactly

# The headers of Tor Browser on an onion (Firefox ESR 140, the same for every user).
BROWSER = (
    "User-Agent: Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate\r\n"
    "Connection: keep-alive\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
)


class NoAnswerError(Exception):
    """Tor rejected the connection, or it closed before the response was complete."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The response: its status, its size in bytes with the head, and the seconds it took."""

    status: int
    size: int
    seconds: float


def request_for(host: str, path: str) -> bytes:
    """Return the request for a page as Tor Browser sends it."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{BROWSER}\r\n".encode("ascii")


def expected_size(head: bytes) -> int:
    """Return the length of the body according to its head. Raises ``NoAnswerError``."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise NoAnswerError(f"A response has no Content-Length: {head[:80]!r}")


def fetch(
    socks: int, host: str, path: str, circuit: str, timeout: float = 30.0, *, port: int = 80
) -> Fetched:
    """Fetch a page on a new stream of that circuit. Raises ``NoAnswerError``.

    The time runs from opening the connection to the last byte.
    """
    begin = time.monotonic()
    deadline = begin + timeout
    try:
        with connect(socks, host, port, circuit=circuit, timeout=timeout) as link:
            link.sendall(request_for(host, path))
            received = b""
            while b"\r\n\r\n" not in received:
                received += receive(link, 65536, deadline)
            head, _, body = received.partition(b"\r\n\r\n")
            left = expected_size(head) - len(body)
            if left > 0:
                receive_exactly(link, left, deadline)
            size = len(received) + max(left, 0)
            return Fetched(int(head[9:12]), size, time.monotonic() - begin)
    except OSError as error:
        raise NoAnswerError(str(error)) from error
