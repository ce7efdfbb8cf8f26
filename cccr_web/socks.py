"""SOCKS5 (RFC 1928) as tor's SocksPort speaks it: the proxy resolves every name."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Final

from cccr_web.listen import Tcp, Unix

_VERSION: Final = 5
_NO_PASSWORD, _PASSWORD = 0, 2
_IPV4, _NAME, _IPV6 = 1, 3, 4

# Length of the bound address in the reply, without its port. A name carries its own length.
_LENGTHS: Final = {_IPV4: 4, _IPV6: 16}

# RFC 1928, section 6, and what tor means by them for an onion.
_FAILURES: Final = {
    1: "general failure",
    2: "not allowed",
    3: "network unreachable",
    4: "no such host, or the onion has no descriptor",
    5: "connection refused",
    6: "timed out",
}


class SocksFailureError(ConnectionError):
    """The proxy did not connect; ``code`` is that of RFC 1928, or one of tor's ExtendedErrors."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def connect_by_socks(
    proxy: Tcp, host: str, port: int, timeout: float, circuit: str = ""
) -> socket.socket:
    """Return a connection to ``host`` through ``proxy``; each step may take ``timeout`` seconds.

    The proxy resolves the name: only tor knows an onion's, and this machine's resolver must
    not learn it. ``circuit`` is as for ``request``. Raises ``OSError``.
    """
    try:
        connection = socket.create_connection((proxy.host, proxy.port), timeout)
    except OSError as error:
        raise no_proxy(proxy, error) from error
    with ExitStack() as undo:
        undo.callback(connection.close)
        request(connection, host, port, proxy, circuit)
        undo.pop_all()
    return connection


def no_proxy(proxy: Tcp | Unix, error: OSError) -> ConnectionError:
    """Return the error for a proxy that does not answer."""
    return ConnectionError(
        f"No SOCKS proxy answers at {proxy}: {error.strerror or error}. Is tor running?"
    )


def request(
    connection: socket.socket, host: str, port: int, proxy: Tcp | Unix, circuit: str = ""
) -> None:
    """Ask the proxy at the other end of ``connection`` to connect to ``host``. Raises ``OSError``.

    Until it returns, the connection speaks SOCKS; then it leads to ``host``. Tor uses one circuit
    for each ``circuit``, which it gets as the user's name (RFC 1929; tor(1), ``IsolateSOCKSAuth``).
    """
    methods = bytes([_NO_PASSWORD, _PASSWORD] if circuit else [_NO_PASSWORD])
    connection.sendall(bytes([_VERSION, len(methods)]) + methods)
    version, method = _receive(connection, 2)
    if version == _VERSION and method == _PASSWORD and circuit:
        user = circuit.encode("ascii")
        connection.sendall(bytes([1, len(user)]) + user + b"\x01-")
        method = _receive(connection, 2)[1]  # 0 is success
    if version != _VERSION or method != _NO_PASSWORD:
        raise ConnectionError(
            f"{proxy} is not a SOCKS5 proxy without a password. Use tor's SocksPort."
        )
    name = host.encode("ascii")
    connection.sendall(bytes([_VERSION, 1, 0, _NAME, len(name)]) + name + port.to_bytes(2, "big"))
    version, code, _, kind = _receive(connection, 4)
    if version != _VERSION or kind not in {*_LENGTHS, _NAME}:
        raise ConnectionError(f"{proxy} does not speak SOCKS5. Use tor's SocksPort.")
    if code != 0:
        reason = _FAILURES.get(code, f"reply code {code}")
        raise SocksFailureError(f"The proxy at {proxy} cannot reach it: {reason}.", code)
    _receive(connection, (_LENGTHS[kind] if kind in _LENGTHS else _receive(connection, 1)[0]) + 2)


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        more = connection.recv(count - len(received))
        if not more:
            raise ConnectionError("The SOCKS proxy closed the connection. See its log.")
        received += more
    return received
