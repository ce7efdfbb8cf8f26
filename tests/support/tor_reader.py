"""One request through tor's SOCKS port, on a circuit selected by name.

Streams with the same SOCKS user share a circuit, and others never do (tor(1),
``IsolateSOCKSAuth``). The client sends exact bytes in few calls, so that benchmarks measure
tor and not the client.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

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


def greeting(host: str, circuit: str, port: int = 80) -> tuple[bytes, bytes, bytes]:
    """Return the three messages to the SOCKS port (RFC 1928, RFC 1929)."""
    user, name = circuit.encode("ascii"), host.encode("ascii")
    return (
        b"\x05\x01\x02",
        bytes([1, len(user)]) + user + b"\x01x",
        b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"),
    )


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
    begin = time.perf_counter()
    deadline = begin + timeout
    try:
        with socket.create_connection(("127.0.0.1", socks), timeout) as link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for sent, length in zip(greeting(host, circuit, port), (2, 2, 10), strict=True):
                link.sendall(sent)
                answer = _read(link, length, deadline)
                if length == 10 and answer[1] != 0:
                    raise NoAnswerError(f"SOCKS reply {answer[1]}")
            link.sendall(request_for(host, path))
            received = b""
            while b"\r\n\r\n" not in received:
                received += _some(link, 65536, deadline)
            head, _, body = received.partition(b"\r\n\r\n")
            left = expected_size(head) - len(body)
            if left > 0:
                _read(link, left, deadline)
            size = len(received) + max(left, 0)
            return Fetched(int(head[9:12]), size, time.perf_counter() - begin)
    except OSError as error:
        raise NoAnswerError(str(error)) from error


def _some(link: socket.socket, most: int, deadline: float) -> bytes:
    left = deadline - time.perf_counter()
    if left <= 0:
        raise NoAnswerError("the response took too long")
    link.settimeout(left)
    more = link.recv(most)
    if not more:
        raise NoAnswerError("the connection closed early")
    return more


def _read(link: socket.socket, count: int, deadline: float) -> bytes:
    got = b""
    while len(got) < count:
        got += _some(link, count - len(got), deadline)
    return got
