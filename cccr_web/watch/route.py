"""How to connect to an address: through a SOCKS5 proxy for onions, otherwise over TCP and TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cccr_web.listen import Tcp, Unix
from cccr_web.socks import connect_by_socks
from cccr_web.watch.address import Address


# Without slots, so that it can keep the TLS context: the system's certificates take 0.1 s to load.
@dataclass(frozen=True)
class Route:
    """How to connect.

    ``proxy`` is tor's SOCKS port, for onions. ``target`` replaces what the resolver
    says of any other name, so that a server can check itself before its name resolves to
    it; the certificate must still match the name. A unix socket replaces tor, too.
    ``authorities`` is a file of certificates to trust in addition to the system's.
    """

    proxy: Tcp | None = None
    target: Tcp | Unix | None = None
    authorities: Path | None = None

    def connect(self, address: Address, timeout: Callable[[], float]) -> socket.socket:
        """Return a connection to ``address``; each step may take ``timeout()`` seconds.

        Raises ``OSError``, of which ``ssl.SSLCertVerificationError`` is one.
        """
        if isinstance(self.target, Unix):
            local = socket.socket(socket.AF_UNIX)
            local.settimeout(timeout())
            local.connect(str(self.target.path))
            return local
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
        context = ssl.create_default_context()
        if self.authorities is not None:
            context.load_verify_locations(self.authorities)
        return context
