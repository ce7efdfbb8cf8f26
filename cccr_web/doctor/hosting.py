"""The onion as its own tor and the network's directories have it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cccr_web.doctor.client import Client
from cccr_web.doctor.result import Result, ok, wrong
from cccr_web.errors import OnionError
from cccr_web.onion import ControlConnection, Status

_TOR: Final = "tor"
_DESCRIPTOR: Final = "descriptor"
_POW: Final = "proof of work"
_UPDATE: Final = "Update tor to 0.4.9.2 or later, and restart the onion’s manager."


def check_hosting(link: ControlConnection, onion: str) -> Iterator[Result]:
    """Judge what the tor that hosts the onion says of it."""
    try:
        seen = Status.read(link, onion)
    except OnionError as error:
        yield wrong(_TOR, error.problem, error.remedy)
        return
    network = seen.bootstrap
    if network.percent < 100:
        yield wrong(
            _TOR,
            f"The hosting tor is at {network.percent} % ({network.summary}).",
            "See its log, and whether this machine is on line.",
        )
    elif not seen.published:
        yield wrong(
            _TOR,
            f"The hosting tor does not run {onion}.",
            "Start the onion’s manager, and see its log: journalctl -u cccr-web-manager",
        )
    elif seen.descriptor is None:
        yield wrong(
            _TOR,
            f"The hosting tor runs {onion}, but has made no descriptor of it yet.",
            "Wait a minute; then see its log.",
        )
    else:
        points = seen.descriptor.introduction_points
        yield ok(_TOR, f"The hosting tor runs {onion} with {points} introduction points.")


def check_descriptor(client: Client, onion: str, seconds: float) -> Iterator[Result]:
    """Judge what a reader's tor gets from the directories."""
    try:
        found = client.descriptor(onion, seconds)
    except OnionError as error:
        yield wrong(_DESCRIPTOR, error.problem, error.remedy)
        yield wrong(_POW, "There is no descriptor to carry it.", error.remedy)
        return
    if found.introduction_points == 0:
        yield wrong(
            _DESCRIPTOR,
            f"The descriptor of {onion} names no introduction point, so nobody can come.",
            "Restart the onion’s manager.",
        )
    else:
        points = found.introduction_points
        yield ok(
            _DESCRIPTOR,
            f"A directory of the Tor network has it, with {points} introduction points.",
        )
    if found.proof_of_work:
        yield ok(_POW, "The descriptor carries the parameters of tor’s proof of work.")
    else:
        yield wrong(_POW, "The descriptor carries no proof of work against floods.", _UPDATE)
