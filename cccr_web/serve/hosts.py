"""The host names of a listener. Every request's Host is checked before anything else."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

# RFC 9110, section 7.2, narrowed to names and IPv4 addresses; a final dot is not ours.
_HOST = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::([0-9]{1,5}))?", re.IGNORECASE)
# The longest name (RFC 1035, section 2.3.4) with a port.
_MAX_LENGTH = 253 + 6

_LOOPBACK_NAMES = ("127.0.0.1", "localhost")


class HostMatch(enum.Enum):
    """Whether a request's Host is a name of this listener."""

    OURS = enum.auto()
    FOREIGN = enum.auto()
    # A name like address.onion.example: a web proxy for onion services (tor2web).
    PROXY = enum.auto()


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names of a listener, in lower case, without a port."""

    names: frozenset[str]

    def match(self, host: str | None) -> HostMatch:
        """Match the value of the Host header; ``None`` if there was none.

        Any port is accepted: a server behind a forwarded port cannot know it.
        """
        if host in self.names:
            return HostMatch.OURS
        parsed = _HOST.fullmatch(host) if host and len(host) <= _MAX_LENGTH else None
        if parsed is None:
            return HostMatch.FOREIGN
        name = parsed[1].lower()
        if name in self.names:
            return HostMatch.OURS
        if any(name.startswith(f"{ours}.") for ours in self.names if ours.endswith(".onion")):
            return HostMatch.PROXY
        return HostMatch.FOREIGN


def clearnet_hosts(domains: Iterable[str], *, loopback: bool) -> Hosts:
    """Return the names of a clearnet listener; ``loopback`` adds this machine's own."""
    return Hosts(frozenset(domains) | (frozenset(_LOOPBACK_NAMES) if loopback else frozenset()))


def onion_hosts(onions: Iterable[str]) -> Hosts:
    """Return the names of an onion listener. Tor also delivers requests for ``www.``."""
    return Hosts(frozenset(name for onion in onions for name in (onion, f"www.{onion}")))
