"""One onion service on one tor: add it, wait for its descriptor, remove it."""

from __future__ import annotations

import re
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cccr_web import files
from cccr_web.errors import CommandRejectedError, OnionError
from cccr_web.onion.control import check_socket_path

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cccr_web.onion.control import ControlConnection
    from cccr_web.onion.key import OnionKey

PUBLISH_TIMEOUT: Final = 120.0  # seconds; takes about 3 on a good line, 60 on a very bad one
_VIRTUAL_PORT: Final = 80
# Connections at once on one circuit: tor closes a circuit that exceeds it. A browser opens six to
# nine. The lower it is, the more circuits a flood needs, each of which may cost a puzzle.
MAX_STREAMS: Final = 16
# The new clients a second, and at once, before clients must solve a puzzle: tor's defaults.
_POW_RATE, _POW_BURST = 250, 2500
# How a tor without proof of work (before 0.4.9.2) rejects its arguments.
_NO_POW: Final = re.compile(r"unrecognized|unsupported|not (built|compiled)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Service:
    """What to publish: the key of the address, and the unix socket of the web server behind it.

    ``record`` is a file that does not outlive the tor: what was added is noted there, so that a
    manager that was killed leaves its service running when it starts again.

    Raises ``OnionError`` for a path that tor cannot use.
    """

    key: OnionKey
    target: Path
    max_streams: int = MAX_STREAMS
    record: Path | None = None

    def __post_init__(self) -> None:
        check_socket_path(self.target)


@dataclass(frozen=True, slots=True)
class Published:
    """The service became reachable in ``seconds``, with or without ``proof_of_work``."""

    address: str
    seconds: float
    proof_of_work: bool


def publish(
    connection: ControlConnection,
    service: Service,
    *,
    timeout: float = PUBLISH_TIMEOUT,
    stop: threading.Event | None = None,
    heartbeat: Callable[[], object] = lambda: None,
) -> Published | None:
    """Add ``service`` to tor, and wait until an HSDir has its descriptor.

    If tor already runs the address (a killed manager left it detached), it is left alone if
    the service's record says that it is the same. Otherwise it is removed and added again,
    which closes its circuits: tor does not report its target. Returns ``None`` if ``stop`` was
    set meanwhile; ``heartbeat`` is called every ``POLL`` seconds, and between two commands.
    Unless this returns ``Published``, the service is removed again.

    Raises ``OnionError`` (after ``timeout`` seconds, too), ``CommandRejectedError`` or
    ``ControlLostError``.
    """
    _check_socket_exists(service.target)
    begin = time.monotonic()
    address = service.key.address
    with connection.service_events(address) as events:
        if address in list_services(connection):
            heartbeat()
            proof_of_work = recorded_proof_of_work(service)
            if proof_of_work is not None:
                return Published(address, time.monotonic() - begin, proof_of_work)
            withdraw(connection, address)
        heartbeat()
        proof_of_work = _add(connection, service)
        uploaded = False
        try:
            uploaded = _await_upload(address, events, timeout, stop, heartbeat)
        finally:
            if not uploaded and not connection.lost.is_set():
                withdraw(connection, address)
    if not uploaded:
        return None
    return Published(address, time.monotonic() - begin, proof_of_work)


def list_services(connection: ControlConnection) -> frozenset[str]:
    """Return the addresses added to tor by ADD_ONION, detached ones included."""
    names = connection.info("onions/current") + "\n" + connection.info("onions/detached")
    return frozenset(f"{name}.onion" for name in names.split())


def withdraw(connection: ControlConnection, address: str) -> None:
    """Remove the service from tor (DEL_ONION), if it is there."""
    connection.send(f"DEL_ONION {address.removesuffix('.onion')}")


def _check_socket_exists(path: Path) -> None:
    try:
        found = stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        found = False
    if not found:
        raise OnionError(
            f"No web server listens on the unix socket {path}.",
            "Start it first: nginx on a deployed server, else “cccr-web serve --onion-socket”.",
        )


def _add(connection: ControlConnection, service: Service) -> bool:
    """Add the service; return whether proof of work protects it (control-spec, 3.27)."""
    proof_of_work = True
    reply = _send_add(connection, service, proof_of_work=True)
    # Tor replies 512 to anything that it cannot do with the arguments.
    if reply.content()[-1][0] == "512" and _NO_POW.search(str(reply)):
        proof_of_work = False
        reply = _send_add(connection, service, proof_of_work=False)
    if "collision" in str(reply):
        raise OnionError(
            f"Tor at {connection.address} already runs {service.key.address} for another program.",
            "Remove its HiddenServiceDir from the torrc, or stop the program that published it.",
        )
    if "non-anonymous" in str(reply):
        raise OnionError(
            f"Tor at {connection.address} runs in single-hop mode, which reveals this machine.",
            "Remove HiddenServiceSingleHopMode and HiddenServiceNonAnonymousMode from its torrc.",
        )
    if not reply.is_ok():
        raise CommandRejectedError(
            f"Tor rejects the onion service: {reply}.", "Its log and its torrc may say why."
        )
    return proof_of_work


def _send_add(connection: ControlConnection, service: Service, *, proof_of_work: bool) -> Any:
    # The record comes first. So a service that tor runs never differs from its record.
    if service.record is not None:
        try:
            files.replace(service.record, _record(service, proof_of_work=proof_of_work))
        except OSError as error:
            raise OnionError(
                f"{service.record} cannot be written: {error.strerror}.",
                "Choose a folder in which this user may write, or free space there.",
            ) from error
    arguments = _arguments(service, proof_of_work=proof_of_work)
    return connection.send(f"ADD_ONION {service.key.blob} {arguments}")


def _arguments(service: Service, *, proof_of_work: bool) -> str:
    """Return the arguments of ADD_ONION after the key."""
    arguments = (
        "Flags=DiscardPK,Detach,MaxStreamsCloseCircuit"
        f" MaxStreams={service.max_streams} Port={_VIRTUAL_PORT},unix:{service.target}"
    )
    if proof_of_work:
        arguments += f" PoWDefensesEnabled=1 PoWQueueRate={_POW_RATE} PoWQueueBurst={_POW_BURST}"
    return arguments


def _record(service: Service, *, proof_of_work: bool) -> bytes:
    """Return the content of the service's record: the address and the arguments, no key."""
    arguments = _arguments(service, proof_of_work=proof_of_work)
    return f"{service.key.address} {arguments}\n".encode()


def recorded_proof_of_work(service: Service) -> bool | None:
    """Return whether the service was added with proof of work; ``None`` if none is on record."""
    if service.record is None:
        return None
    try:
        recorded = service.record.read_bytes()
    except OSError:
        return None
    for proof_of_work in (True, False):
        if recorded == _record(service, proof_of_work=proof_of_work):
            return proof_of_work
    return None


def clock_skew(seconds: str) -> str:
    """Say how wrong the clock is by tor's ``CLOCK_SKEW``, which is negative if it is slow."""
    slow = seconds.startswith("-")
    amount = f"{seconds.lstrip('-')} s " if seconds else ""
    return f"this machine's clock is {amount}{'slow' if slow else 'fast'}"


def _await_upload(
    address: str,
    events: Iterator[tuple[str, str]],
    timeout: float,
    stop: threading.Event | None,
    heartbeat: Callable[[], object],
) -> bool:
    """Wait until the descriptor is uploaded to one HSDir; return ``False`` if ``stop`` was set."""
    failures = set()
    deadline = time.monotonic() + timeout
    for action, reason in events:
        heartbeat()
        if action == "UPLOADED":
            return True
        if action == "FAILED":
            failures.add(reason)
        if action == "CLOCK_SKEW":
            failures.add(clock_skew(reason))
        if stop is not None and stop.is_set():
            return False
        if time.monotonic() > deadline:
            break
    why = f": {', '.join(sorted(failures))}" if failures else ""
    raise OnionError(
        f"No HSDir accepted the descriptor of {address} within {timeout:.0f} s{why}.",
        "Check that this machine reaches the Tor network and its clock is right.",
    )
