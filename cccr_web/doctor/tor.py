"""The onion as its own tor, the HSDirs and a Tor client see it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cccr_web.doctor.model import CheckResult, not_checked, ok, wrong
from cccr_web.errors import OnionError
from cccr_web.listen import Tcp, parse_listen
from cccr_web.onion import (
    Bootstrap,
    ControlConnection,
    ManagedTor,
    Status,
    fetch_descriptor,
)

_TOR: Final = "tor"
_DESCRIPTOR: Final = "descriptor"
_POW: Final = "proof of work"
_FRONT_REMEDY: Final = (
    "Restart Onionbalance: systemctl restart cccr-web-front. "
    "Its log says why: journalctl --unit=cccr-web-front --lines=50"
)
_POLL: Final = 0.2  # seconds
# A tor started without bridges needs a minute, two on a busy machine.
_BOOTSTRAP_WITHIN: Final = 120.0


class TorClient:
    """A tor that the checks start, so that they reach the onion as readers do."""

    def __init__(self, link: ControlConnection) -> None:
        self.link = link

    @property
    def proxy(self) -> Tcp:
        """Its SOCKS port. Raises ``OnionError``."""
        where = parse_listen(self.link.info("net/listeners/socks").split()[0].strip('"'))
        if not isinstance(where, Tcp):
            raise OnionError(
                "The client tor has no SOCKS port on loopback.", "Check the lines of --torrc."
            )
        return where

    def time_of(self, name: str) -> datetime:
        """Return a time that tor reports, by its GETINFO key. Raises ``OnionError``."""
        return datetime.fromisoformat(self.link.info(name).strip()).replace(tzinfo=UTC)


@contextlib.contextmanager
def tor_client(torrc: Path | None, seconds: float) -> Iterator[TorClient]:
    """Run a tor in a temporary folder, and wait until it has joined the network.

    At the end it is stopped and its folder removed. Raises ``OnionError``.
    """
    with tempfile.TemporaryDirectory(prefix="cccr-") as folder:
        tor = ManagedTor(Path(folder) / "tor", extra=torrc, is_client=True)
        try:
            with tor.open() as link:
                _bootstrap(link, min(seconds, _BOOTSTRAP_WITHIN))
                yield TorClient(link)
        finally:
            tor.close()


def _bootstrap(link: ControlConnection, seconds: float) -> None:
    end_at = time.monotonic() + seconds
    while (network := Bootstrap.read(link)).percent < 100:
        if time.monotonic() > end_at:
            raise network.stalled(seconds)
        time.sleep(_POLL)


def check_hosting(
    link: ControlConnection, onion: str, standby: Path | None = None
) -> Iterator[CheckResult]:
    """Check what the tor that hosts the onion reports.

    If the file ``standby`` exists, this server is one of several, and it says why it does not
    publish.
    """
    try:
        status = Status.read(link, onion)
    except OnionError as error:
        yield wrong(_TOR, error.problem, error.remedy)
        return
    if fault := _network_fault(status):
        yield fault
    elif standby is not None and (reason := _standby(standby)):
        kind, _, text = reason.partition(" ")
        if kind == "planned":
            yield ok(_TOR, f"Standby: {text}.")
        else:
            yield wrong(
                _TOR,
                f"Standby: {text}.",
                "If no other server publishes: deploy.sh promote. See “Several servers” in "
                "deploy/README.md.",
            )
    elif not status.published:
        yield wrong(
            _TOR,
            f"The hosting tor does not run {onion}.",
            "Start the onion manager: systemctl start cccr-web-manager. "
            "Its log says why it stopped: journalctl --unit=cccr-web-manager",
        )
    elif status.descriptor is None:
        yield wrong(
            _TOR,
            f"The hosting tor runs {onion}, but has not made its descriptor yet.",
            "Wait a minute. If this continues, check the log of tor.",
        )
    else:
        points = status.descriptor.introduction_points
        yield ok(_TOR, f"The hosting tor runs {onion} with {points} introduction points.")


def _network_fault(status: Status) -> CheckResult | None:
    """Return what keeps the machine's own tor from the network, if anything."""
    network = status.bootstrap
    if network.percent < 100:
        return wrong(
            _TOR,
            f"The hosting tor is at {network.percent} % ({network.summary}).",
            "Check its log and this machine's network connection.",
        )
    if not status.online:
        return wrong(
            _TOR,
            "The Tor network does not answer the hosting tor.",
            "Check this machine's network connection and clock; where Tor is blocked, set bridges.",
        )
    return None


def check_front(
    link: ControlConnection, onion: str, seconds: float
) -> Generator[CheckResult, None, str | None]:
    """Check the tor of a front, and ask the HSDirs for what Onionbalance has published with it.

    Returns the check that found why the tor cannot be used, if any.
    """
    try:
        fault = _network_fault(Status.read(link, onion))
    except OnionError as error:
        fault = wrong(_TOR, error.problem, error.remedy)
    if fault is not None:
        yield fault
        yield not_checked(_DESCRIPTOR, _TOR)
        return _TOR
    yield ok(_TOR, "The front's tor has joined the network.")
    try:
        points = fetch_descriptor(link, onion, seconds).introduction_points
    except OnionError as error:
        yield wrong(_DESCRIPTOR, error.problem, _FRONT_REMEDY)
    else:
        yield ok(_DESCRIPTOR, f"The HSDirs have it, with {points} introduction points.")
    return None


def _standby(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def check_descriptor(
    client: TorClient, onion: str, seconds: float, cause: str | None = None
) -> Generator[CheckResult, None, str | None]:
    """Check the descriptor that HSDirs give to a client.

    ``cause`` is the check that found why there may be none, if any. Returns the check that
    found why no client can connect, if any.
    """
    try:
        found = fetch_descriptor(client.link, onion, seconds)
    except OnionError as error:
        if cause is None:
            cause = _DESCRIPTOR
            yield wrong(_DESCRIPTOR, error.problem, error.remedy)
        else:
            yield not_checked(_DESCRIPTOR, cause)
        yield not_checked(_POW, cause)
        return cause
    points = found.introduction_points
    if points == 0:
        yield wrong(
            _DESCRIPTOR,
            f"The descriptor of {onion} has no introduction points, so nobody can connect.",
            "Restart the onion manager: systemctl restart cccr-web-manager",
        )
        cause = _DESCRIPTOR
    else:
        yield ok(_DESCRIPTOR, f"The HSDirs have it, with {points} introduction points.")
    if found.proof_of_work:
        yield ok(_POW, "The descriptor has the parameters of tor's proof of work.")
    else:
        yield wrong(
            _POW,
            "The descriptor has no proof of work against floods.",
            "Update tor to 0.4.9.2 or later, and restart the onion manager.",
        )
    return cause
