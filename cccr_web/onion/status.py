"""What tor says of itself and of one onion address, for people and for programs."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

from stem.descriptor.hidden_service import HiddenServiceDescriptorV3

from cccr_web.errors import TorRefusedError
from cccr_web.onion.service import listed

if TYPE_CHECKING:
    from cccr_web.onion.control import Link

WORD: Final = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How far tor has come into the network: per cent, in words, and what holds it up."""

    percent: int
    summary: str
    warning: str | None

    @classmethod
    def read(cls, link: Link) -> Self:
        """Ask tor (control-spec, ``status/bootstrap-phase``)."""
        answer = link.info("status/bootstrap-phase")
        words = {name: quoted or bare for name, quoted, bare in WORD.findall(answer)}
        return cls(int(words["PROGRESS"]), words.get("SUMMARY", ""), words.get("WARNING"))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What stands in the newest descriptor that a tor knows (rend-spec-v3, 2.5).

    There is no age: its revision counter is encrypted, and it holds no time.
    """

    introduction_points: int
    proof_of_work: bool
    lifetime_minutes: int

    @classmethod
    def read(cls, link: Link, address: str, *, own: bool = True) -> Self | None:
        """Ask tor and decrypt the answer; ``None`` if it has none.

        ``own``: what it made as the service's tor, rather than what it got as a client's.
        """
        side = "service" if own else "client"
        try:
            text = link.info(f"hs/{side}/desc/id/{address.removesuffix('.onion')}")
        except TorRefusedError:
            return None
        outer = HiddenServiceDescriptorV3.from_str(text.strip() + "\n")
        inner = str(outer.decrypt(address))
        points = len(re.findall(r"^introduction-point ", inner, re.MULTILINE))
        defended = re.search(r"^pow-params ", inner, re.MULTILINE) is not None
        return cls(points, defended, outer.lifetime)


@dataclass(frozen=True, slots=True)
class Status:
    """One look at tor and at an address on it.

    ``published`` says that this tor runs it, ``descriptor`` what it has told the directories.
    The limit on streams is not here: tor does not tell it of a service added by control.
    """

    address: str
    published: bool
    tor_version: str
    bootstrap: Bootstrap
    descriptor: Descriptor | None

    @classmethod
    def read(cls, link: Link, address: str) -> Self:
        """Ask the tor at ``link`` about ``address``.

        Raises ``ControlLostError``, or ``TorRefusedError`` from a tor too old to tell.
        """
        return cls(
            address=address,
            published=address in listed(link),
            tor_version=link.info("version").partition(" ")[0],
            bootstrap=Bootstrap.read(link),
            descriptor=Descriptor.read(link, address),
        )

    def to_json(self) -> str:
        """Return it as one JSON object with sorted keys."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)
