"""How to connect to an address: through a SOCKS5 proxy for onions, otherwise over TCP and TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from cccr_web.listen import Tcp
from cccr_web.watch.address import Address


# Without slots, so that it can keep the TLS context: the system's certificates take 0.1 s to load.
@dataclass(frozen=True)
class Route:
    """How to connect.

    ``proxy`` is tor's SOCKS port, for onions. ``target`` replaces what the resolver
    says of any other name, so that a server can check itself before its name resolves to
    it; the certificate must still match the name. ``authorities`` is a file of certificates
    to trust in addition to the system's.
    """

    proxy: Tcp | None = None
    target: Tcp | None = None
    authorities: Path | None = None

    def connect(self, address: Address, timeout: Callable[[], float]) -> socket.socket:
        """Return a connection to ``address``; each step may take ``timeout()`` seconds.

        Raises ``OSError``, of which ``ssl.SSLCertVerificationError`` is one.
        """
        if address.is_onion:
            if self.proxy is None:
                raise ConnectionError("an onion needs --socks HOST:PORT")
            return _connect_by_socks(self.proxy, address.host, address.port, timeout())
        at = self.target or Tcp(address.host, address.port)
        plain = socket.create_connection((at.host, at.port), timeout())
        if address.scheme != "https":
            return plain
        with ExitStack() as undo:
            undo.callback(plain.close)
            plain.settimeout(timeout())
            secure = self._tls.wrap_socket(plain, server_hostname=address.host)
            undo.pop_all()
        return secure

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.authorities is not None:
            context.load_verify_locations(self.authorities)
        return context


_VERSION: Final = 5
_NO_PASSWORD: Final = bytes([_VERSION, 0])
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


def _connect_by_socks(proxy: Tcp, host: str, port: int, timeout: float) -> socket.socket:
    """Return a connection to ``host`` through ``proxy``; each step may take ``timeout`` seconds.

    The proxy resolves the name (RFC 1928): only tor knows an onion's, and this machine's
    resolver must not learn it. Raises ``OSError``.
    """
    where = str(proxy)
    try:
        connection = socket.create_connection((proxy.host, proxy.port), timeout)
    except OSError as error:
        raise ConnectionError(
            f"No SOCKS proxy answers at {where}: {error.strerror or error}. Is tor running?"
        ) from error
    with ExitStack() as undo:
        undo.callback(connection.close)
        connection.sendall(bytes([_VERSION, 1, 0]))
        if _receive(connection, 2) != _NO_PASSWORD:
            raise ConnectionError(
                f"{where} is not a SOCKS5 proxy without a password. Use tor's SocksPort."
            )
        _request(connection, host.encode("ascii"), port, where)
        undo.pop_all()
    return connection


def _request(connection: socket.socket, name: bytes, port: int, where: str) -> None:
    connection.sendall(bytes([_VERSION, 1, 0, _NAME, len(name)]) + name + port.to_bytes(2, "big"))
    version, code, _, kind = _receive(connection, 4)
    if version != _VERSION or kind not in {*_LENGTHS, _NAME}:
        raise ConnectionError(f"{where} does not speak SOCKS5. Use tor's SocksPort.")
    if code != 0:
        reason = _FAILURES.get(code, f"reply code {code}")
        raise ConnectionError(f"The proxy at {where} cannot reach it: {reason}.")
    _receive(connection, (_LENGTHS[kind] if kind in _LENGTHS else _receive(connection, 1)[0]) + 2)


def _receive(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        more = connection.recv(count - len(received))
        if not more:
            raise ConnectionError("The SOCKS proxy closed the connection. See its log.")
        received += more
    return received
