"""Streams through tor's SOCKS port (RFC 1928), on a circuit selected by name.

Streams with the same SOCKS user (RFC 1929) share a circuit, and others never do (tor(1),
``IsolateSOCKSAuth``).
"""

from __future__ import annotations

import socket
import time

# The sizes of tor's replies: it names an IPv4 address in the last, zero for an onion.
REPLY_SIZES = (2, 2, 10)


class SocksRejectedError(ConnectionError):
    """Tor did not connect to the host."""


def greeting(host: str, circuit: str, port: int = 80) -> tuple[bytes, bytes, bytes]:
    """Return the three messages to the SOCKS port, to which tor replies one by one."""
    user, name = circuit.encode("ascii"), host.encode("ascii")
    return (
        b"\x05\x01\x02",
        bytes([1, len(user)]) + user + b"\x01x",
        b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"),
    )


def connect(
    socks: int, host: str, port: int = 80, *, circuit: str = "tests", timeout: float = 30.0
) -> socket.socket:
    """Return a stream to ``host``, whose name tor resolves. Raises ``OSError``."""
    deadline = time.monotonic() + timeout
    link = socket.create_connection(("127.0.0.1", socks), timeout)
    try:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _greet(link, greeting(host, circuit, port), deadline)
        link.settimeout(timeout)
    except BaseException:
        link.close()
        raise
    return link


def _greet(link: socket.socket, messages: tuple[bytes, ...], deadline: float) -> None:
    reply = b""
    for message, size in zip(messages, REPLY_SIZES, strict=True):
        link.sendall(message)
        reply = receive_exactly(link, size, deadline)
    if reply[1] != 0:
        raise SocksRejectedError(f"SOCKS reply {reply[1]}")


def receive(link: socket.socket, most: int, deadline: float) -> bytes:
    """Return at least one byte, received before ``time.monotonic()`` reaches the deadline.

    Raises ``TimeoutError`` after it, ``ConnectionError`` if the connection is closed.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the response took too long")
    link.settimeout(left)
    more = link.recv(most)
    if not more:
        raise ConnectionError("the connection closed early")
    return more


def receive_exactly(link: socket.socket, count: int, deadline: float) -> bytes:
    """Return ``count`` bytes, with the errors of ``receive``."""
    got = b""
    while len(got) < count:
        got += receive(link, count - len(got), deadline)
    return got
