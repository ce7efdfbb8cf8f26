"""Reach a host through a SOCKS5 proxy, such as tor's (RFC 1928).

The proxy resolves the name: an onion's is known to nobody else, and no other name
that we look at shall be told to this machine's resolver.
"""

from __future__ import annotations

import socket
from typing import Final

from cccr_web.errors import ProxyError
from cccr_web.listen import Tcp

_VERSION: Final = 5
_NO_PASSWORD: Final = bytes([_VERSION, 0])
_IPV4, _NAME, _IPV6 = 1, 3, 4

# Of a bound address in the answer, without its port; that of a name comes with it.
_LENGTHS: Final = {_IPV4: 4, _IPV6: 16}

# RFC 1928, section 6; what tor means by them for an onion.
_ANSWERS: Final = {
    1: "it failed",
    2: "it is not allowed to",
    3: "no network",
    4: "no such host, or no descriptor of the onion",
    5: "nobody listens there",
    6: "it took too long",
}


def connect(proxy: Tcp, host: str, port: int, timeout: float) -> socket.socket:
    """Return a connection to ``host`` by way of ``proxy``; each step may take ``timeout`` seconds.

    Raises ``ProxyError``, or ``OSError`` if the proxy falls silent.
    """
    where = f"{proxy.host}:{proxy.port}"
    try:
        link = socket.create_connection((proxy.host, proxy.port), timeout)
    except OSError as error:
        raise ProxyError(
            f"No SOCKS proxy answers at {where}: {error.strerror or error}.", "Is tor running?"
        ) from error
    try:
        _greet(link, where)
        _ask(link, host.encode("ascii"), port, where)
    except BaseException:
        link.close()
        raise
    return link


def _greet(link: socket.socket, where: str) -> None:
    link.sendall(bytes([_VERSION, 1, 0]))
    if _read(link, 2) != _NO_PASSWORD:
        raise ProxyError(f"{where} is no SOCKS5 proxy without a password.", "Give tor's SocksPort.")


def _ask(link: socket.socket, name: bytes, port: int, where: str) -> None:
    link.sendall(bytes([_VERSION, 1, 0, _NAME, len(name)]) + name + port.to_bytes(2, "big"))
    version, answer, _, kind = _read(link, 4)
    if version != _VERSION or kind not in {*_LENGTHS, _NAME}:
        raise ProxyError(f"{where} does not speak SOCKS5.", "Give tor's SocksPort.")
    if answer != 0:
        reason = _ANSWERS.get(answer, f"answer {answer}")
        raise ProxyError(f"The proxy at {where} cannot reach it: {reason}.")
    _read(link, (_LENGTHS[kind] if kind in _LENGTHS else _read(link, 1)[0]) + 2)


def _read(link: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = link.recv(count - len(got))
        if not more:
            raise ProxyError("The SOCKS proxy hung up.", "Look into its log.")
        got += more
    return got
