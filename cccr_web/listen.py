"""Where a server listens, as it is written in a setting or an option."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path

# sockaddr_un's sun_path on Linux, less its closing NUL (unix(7)).
MAX_UNIX_PATH = 107

# systemd.socket(5), without what nobody needs in a name.
_HANDED = re.compile(r"[A-Za-z0-9._@-]{1,255}")
_TCP = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Tcp:
    """An address of this machine and a port; port 0 lets the kernel choose."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Unix:
    """A unix socket's path."""

    path: Path


@dataclass(frozen=True, slots=True)
class Handed:
    """A socket that systemd holds and hands over, by its ``FileDescriptorName=``."""

    name: str


Listen = Tcp | Unix | Handed


def parse_listen(text: str) -> Listen:
    """Read ``HOST:PORT``, ``[IPV6]:PORT``, ``unix:PATH`` or ``systemd:NAME``.

    Raises ``ValueError``.
    """
    if text.startswith("systemd:"):
        name = text.removeprefix("systemd:")
        if _HANDED.fullmatch(name) is None:
            raise ValueError(f"“{text}”: systemd: is followed by a FileDescriptorName=.")
        return Handed(name)
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise ValueError(f"“{text}”: a unix socket needs its whole path, from /.")
        if len(os.fsencode(path)) > MAX_UNIX_PATH:
            raise ValueError(
                f"“{text}” is too long: a unix socket's path may have {MAX_UNIX_PATH} bytes."
            )
        return Unix(path)
    match = _TCP.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"“{text}” is none of HOST:PORT, unix:/PATH and systemd:NAME.")
    return Tcp(match[1] or match[2], int(match[3]))
