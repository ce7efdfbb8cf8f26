"""How an address is reached: an onion through tor, a name where it leads or where we are told."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cccr_web.errors import ProxyError
from cccr_web.listen import Tcp
from cccr_web.watch.address import Address
from cccr_web.watch.socks import connect


@dataclass(frozen=True, slots=True)
class Road:
    """The way to addresses.

    ``proxy`` is the SOCKS port of a tor, for onions. ``instead`` is where to connect for
    any other name: its own machine can be looked at before or behind whatever the world's
    resolvers say; the certificate must be the name's all the same. ``authorities`` is a
    file of certificates to trust besides the system's.
    """

    proxy: Tcp | None = None
    instead: Tcp | None = None
    authorities: Path | None = None

    def connect(self, address: Address, patience: Callable[[], float]) -> socket.socket:
        """Return a connection to ``address``; each step may take ``patience()`` seconds.

        Raises ``ProxyError``, ``ssl.SSLCertVerificationError`` or ``OSError``.
        """
        if address.is_onion:
            if self.proxy is None:
                raise ProxyError("an onion needs --socks HOST:PORT")
            return connect(self.proxy, address.host, address.port, patience())
        at = self.instead or Tcp(address.host, address.port)
        link = socket.create_connection((at.host, at.port), patience())
        if address.scheme != "https":
            return link
        with ExitStack() as undo:
            undo.callback(link.close)
            link.settimeout(patience())
            secure = self.tls().wrap_socket(link, server_hostname=address.host)
            undo.pop_all()
        return secure

    def tls(self) -> ssl.SSLContext:
        """Return what checks a certificate and its name. Raises ``OSError`` for the file."""
        context = ssl.create_default_context()
        if self.authorities is not None:
            context.load_verify_locations(self.authorities)
        return context
