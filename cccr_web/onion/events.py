"""What the keeper reports on its way, one frozen class each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cccr_web.errors import OnionError


@dataclass(frozen=True, slots=True)
class Bootstrapping:
    """Tor finds its way into the network: per cent, in words, what holds it up if anything."""

    percent: int
    summary: str
    warning: str | None


@dataclass(frozen=True, slots=True)
class Publishing:
    """Tor is in the network; the service is being put up."""

    address: str


@dataclass(frozen=True, slots=True)
class Published:
    """Readers can come. ``seconds`` since the keeper began, or since it lost the service."""

    address: str
    seconds: float
    proof_of_work: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """The service is down, and is being put back."""

    reason: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something does not work; the keeper goes on trying."""

    error: OnionError


@dataclass(frozen=True, slots=True)
class TakenDown:
    """The service was withdrawn from tor, at the end."""

    address: str


KeeperEvent = Bootstrapping | Publishing | Published | Lost | Trouble | TakenDown
