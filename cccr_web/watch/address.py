"""Where a copy of the site answers."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the site: ``https://NAME``, or ``http`` for an onion and this machine.

    Nothing else is looked at over plain HTTP: whoever stands in between could show
    the watcher the right bytes and readers others.
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
            raise ValueError(f"“{text}” is no address: {error}.") from error
        if parts.scheme not in _PORTS or not host or "@" in parts.netloc or not host.isascii():
            raise ValueError(f"“{text}” is no address, such as https://example.org.")
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError(f"“{text}”: give the site's address without a path.")
        address = cls(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)
        if address.scheme == "http" and not (address.is_onion or address.is_loopback):
            raise ValueError(f"“{text}”: http is for onions and this machine only; give https.")
        return address

    @property
    def is_onion(self) -> bool:
        """Whether only tor leads there."""
        return self.host.endswith(".onion")

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def netloc(self) -> str:
        """The name and, if it is not the usual one, the port: what stands in ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"
