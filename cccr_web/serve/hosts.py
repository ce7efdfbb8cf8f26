"""Which names this server answers to. The Host is judged before anything else."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

# RFC 9110, section 7.2, narrowed to names and IPv4 addresses; a final dot is not ours.
_HOST = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::([0-9]{1,5}))?", re.IGNORECASE)

LOOPBACK_NAMES = ("127.0.0.1", "localhost")


class Verdict(enum.Enum):
    """What a request's Host says of the road it took."""

    OURS = enum.auto()
    FOREIGN = enum.auto()
    # A name like address.onion.example: a web proxy for onion services (tor2web).
    PROXY = enum.auto()


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names that are ours, in lower case, without a port."""

    names: frozenset[str]

    def judge(self, host: str | None) -> Verdict:
        """Judge the Host header as it came; ``None`` if there was none.

        Any port is accepted: a server behind a forwarded port cannot know it.
        """
        match = _HOST.fullmatch(host or "")
        if match is None:
            return Verdict.FOREIGN
        name = match[1].lower()
        if name in self.names:
            return Verdict.OURS
        if any(name.startswith(f"{ours}.") for ours in self.names if ours.endswith(".onion")):
            return Verdict.PROXY
        return Verdict.FOREIGN


def clearnet_hosts(domains: Iterable[str], *, loopback: bool) -> Hosts:
    """Return the names of a clearnet listener; ``loopback`` adds this machine's own."""
    return Hosts(frozenset(domains) | (frozenset(LOOPBACK_NAMES) if loopback else frozenset()))


def onion_hosts(onions: Iterable[str]) -> Hosts:
    """Return the names of an onion listener: tor also brings ``www.`` to us."""
    return Hosts(frozenset(name for onion in onions for name in (onion, f"www.{onion}")))
