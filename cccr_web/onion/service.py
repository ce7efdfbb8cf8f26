"""One onion service on one tor: add it, wait for its descriptor, take it down."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cccr_web.errors import (
    ControlLostError,
    OnionError,
    TorRefusedError,
)
from cccr_web.onion.paths import check_socket_path, check_target

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from cccr_web.onion.control import Link
    from cccr_web.onion.key import OnionKey

PUBLISHED_WITHIN: Final = 120.0  # seconds; about 3 on a good line, 60 on a very bad one
POLL: Final = 0.2  # seconds between two looks at ``stop``
ONION_PORT: Final = 80
OLD_TOR: Final = "512"  # the status with which a tor before 0.4.9.2 answers the PoW words


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reader, and all readers together, may ask of the service.

    ``max_streams``: connections at once on one circuit, which tor closes beyond it. A
    browser opens six to nine; who floods needs the more circuits, each of which may cost a
    puzzle, the fewer it is. ``pow_rate`` and ``pow_burst``: new readers a second, and at once,
    before clients must solve a puzzle first; these are tor's own defaults.

    Raises ``OnionError``: tor itself accepts a burst below the rate and misbehaves.
    """

    max_streams: int = 16
    pow_rate: int = 250
    pow_burst: int = 2500

    def __post_init__(self) -> None:
        if not 1 <= self.max_streams <= 65535:
            raise OnionError(f"Streams on a circuit: {self.max_streams}.", "Give 1 to 65535.")
        if not 1 <= self.pow_rate <= self.pow_burst <= 2**31 - 1:
            raise OnionError(
                f"Proof of work: a rate of {self.pow_rate} and a burst of {self.pow_burst}.",
                "Give a rate of 1 or more, and a burst that is not below it.",
            )


@dataclass(frozen=True, slots=True)
class Service:
    """What to publish: whose address, and the unix socket of the server that it leads to.

    Raises ``OnionError`` for a path that tor cannot be told.
    """

    key: OnionKey
    target: Path
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        check_socket_path(self.target)


@dataclass(frozen=True, slots=True)
class Publication:
    """A descriptor that went up: how many seconds it took, and whether tor defends it by PoW."""

    address: str
    seconds: float
    proof_of_work: bool


def publish(
    link: Link,
    service: Service,
    *,
    timeout: float = PUBLISHED_WITHIN,
    stop: threading.Event | None = None,
    pulse: Callable[[], object] = lambda: None,
) -> Publication | None:
    """Put ``service`` on the tor at ``link``, and wait until a directory has its descriptor.

    An address that is there already (left detached by a manager that crashed) is put up
    anew: tor does not tell where it leads, and we hold its key. ``None`` if ``stop`` was
    set meanwhile; ``pulse`` is called every ``POLL`` seconds, and between two
    questions to tor. Whenever this returns no ``Publication``, the service is down again.

    Raises ``OnionError``, ``TorRefusedError`` (after ``timeout`` seconds) or ``ControlLostError``.
    """
    check_target(service.target)
    begin = time.monotonic()
    address = service.key.address
    with link.events("HS_DESC") as events:
        if address in listed(link):
            pulse()
            withdraw(link, address)
        pulse()
        proof_of_work = _add(link, service)
        uploaded = False
        try:
            uploaded = _await_upload(link, address, events, timeout, stop, pulse)
        finally:
            if not uploaded and not link.lost.is_set():
                withdraw(link, address)
    if not uploaded:
        return None
    return Publication(address, time.monotonic() - begin, proof_of_work)


def listed(link: Link) -> frozenset[str]:
    """Return the addresses that tor runs by ADD_ONION, ours and those of nobody any more."""
    names = (link.info("onions/current") + "\n" + link.info("onions/detached")).split()
    return frozenset(f"{name}.onion" for name in names)


def withdraw(link: Link, address: str) -> None:
    """Take the service down (DEL_ONION); no error if it is down already."""
    link.ask(f"DEL_ONION {address.removesuffix('.onion')}")


def _add(link: Link, service: Service) -> bool:
    """Add the service; tell whether with proof of work (control-spec, 3.27)."""
    limits = service.limits
    command = (
        f"ADD_ONION {service.key.blob} Flags=DiscardPK,Detach,MaxStreamsCloseCircuit"
        f" MaxStreams={limits.max_streams} Port={ONION_PORT},unix:{service.target}"
    )
    defence = (
        f" PoWDefensesEnabled=1 PoWQueueRate={limits.pow_rate} PoWQueueBurst={limits.pow_burst}"
    )
    proof_of_work = True
    reply = link.ask(command + defence)
    if _status(reply) == OLD_TOR:
        proof_of_work = False
        reply = link.ask(command)
    if "collision" in str(reply):
        raise OnionError(
            f"Tor at {link.where.text} runs {service.key.address} already, not by us.",
            "Take its HiddenServiceDir out of the torrc, or end the program that published it.",
        )
    if not reply.is_ok():
        raise TorRefusedError(
            f"Tor refuses the onion service: {reply}.", "Update tor: 0.4.7 or later is needed."
        )
    return proof_of_work


def _status(reply: object) -> str:
    code: str = reply.content()[-1][0]  # type: ignore[attr-defined]  # a stem ControlMessage
    return code


def _await_upload(
    link: Link,
    address: str,
    events: queue.SimpleQueue[object],
    timeout: float,
    stop: threading.Event | None,
    pulse: Callable[[], object],
) -> bool:
    """Wait for the first HS_DESC UPLOADED of this address; ``False`` if ``stop`` was set."""
    name = address.removesuffix(".onion")
    refusals = set()
    end_at = time.monotonic() + timeout
    while time.monotonic() < end_at:
        pulse()
        if stop is not None and stop.is_set():
            return False
        if link.lost.is_set():
            raise ControlLostError(
                f"Tor at {link.where.text} went away while {address} was published.",
                "See whether tor still runs.",
            )
        try:
            event = events.get(timeout=POLL)
        except queue.Empty:
            continue
        if getattr(event, "address", None) == name:
            action = getattr(event, "action", None)
            if action == "UPLOADED":
                return True
            if action == "FAILED":
                refusals.add(str(getattr(event, "reason", None)))
    why = f" The directories said: {', '.join(sorted(refusals))}." if refusals else ""
    raise OnionError(
        f"No directory took the descriptor of {address} within {timeout:.0f} s.{why}",
        "See whether this machine reaches the Tor network and its clock is right.",
    )
