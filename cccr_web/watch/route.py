"""How to connect to an address: through a SOCKS5 proxy for onions, otherwise over TCP and TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cccr_web.listen import Tcp
from cccr_web.socks import connect_by_socks
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
            return connect_by_socks(self.proxy, address.host, address.port, timeout())
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
        # A server can tell this handshake from a browser's: OpenSSL has other ciphers, extensions
        # and orders than Firefox. ALPN (RFC 7301) would not hide that, and a browser's offer begins
        # with HTTP/2, which we do not speak. An onion's server sees no handshake.
        context = ssl.create_default_context()
        if self.authorities is not None:
            context.load_verify_locations(self.authorities)
        return context
