"""An address of a copy of the site, and how to connect to it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from cccr_web.listen import Tcp, Unix
from cccr_web.serve import Listener
from cccr_web.socks import connect_by_socks

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the site: ``https://NAME``, or ``http`` for an onion or this machine.

    Other addresses are not checked over plain HTTP: an attacker on the network could
    send the right bytes to the watcher and different ones to readers.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address without a path. Raises ``ValueError``."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ValueError(f"“{text}” is not an address: {error}.") from error
        if parts.scheme not in _PORTS or not host or "@" in parts.netloc or not host.isascii():
            raise ValueError(f"“{text}” is not an address such as https://example.org.")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError(f"“{text}” has a path. Use the site's address without one.")
        address = cls(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)
        if address.scheme == "http" and not (address.is_onion or address.is_loopback):
            raise ValueError(f"“{text}”: http is only for onions and this machine. Use https.")
        return address

    @property
    def is_onion(self) -> bool:
        """Whether it can be reached only through Tor."""
        return self.host.endswith(".onion")

    @property
    def listener(self) -> Listener:
        """The listener of our server that responds there."""
        return "onion" if self.is_onion else "clearnet"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        return Tcp(self.host, self.port).is_loopback

    @property
    def netloc(self) -> str:
        """The value of ``Host``: the name, and the port unless it is the default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


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

    def connect(
        self, address: Address, timeout: Callable[[], float], circuit: str = ""
    ) -> socket.socket:
        """Return a connection to ``address``; each step may take ``timeout()`` seconds.

        ``circuit`` names the circuit of an onion. Raises ``OSError``, of which
        ``ssl.SSLCertVerificationError`` is one.
        """
        if isinstance(self.target, Unix):
            local = socket.socket(socket.AF_UNIX)
            local.settimeout(timeout())
            local.connect(str(self.target.path))
            return local
        if address.is_onion:
            if self.proxy is None:
                raise ConnectionError("an onion needs --socks HOST:PORT")
            return connect_by_socks(
                self.proxy, address.host, address.port, timeout(), circuit=circuit
            )
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
