"""What tor and the network's HSDirs report about an onion address."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Self

from cccr_web.errors import CommandRejectedError, ControlLostError, OnionError
from cccr_web.onion.control import decrypt_descriptor
from cccr_web.onion.service import list_services

if TYPE_CHECKING:
    from cccr_web.onion.control import ControlConnection

_FIELD: Final = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_FETCH_TIMEOUT: Final = 30.0  # seconds, for all HSDirs
_RETRY_AFTER: Final = 3.0  # seconds before other HSDirs are asked


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Tor's bootstrap phase: its percentage, its summary and what holds it up, if anything."""

    percent: int
    summary: str
    warning: str | None

    @classmethod
    def read(cls, connection: ControlConnection) -> Self:
        """Ask tor (control-spec, ``status/bootstrap-phase``)."""
        answer = connection.info("status/bootstrap-phase")
        fields = {name: quoted or bare for name, quoted, bare in _FIELD.findall(answer)}
        return cls(int(fields["PROGRESS"]), fields.get("SUMMARY", ""), fields.get("WARNING"))

    def stalled(self, seconds: float) -> OnionError:
        """Return the error of a tor that has made no progress for ``seconds``."""
        why = f": {self.warning}" if self.warning else ""
        return OnionError(
            f"Tor is still at {self.percent} % ({self.summary}) after {seconds:.0f} s{why}.",
            "Check that this machine is online; where Tor is blocked, set bridges with --torrc.",
        )


def is_online(connection: ControlConnection) -> bool:
    """Return whether the network answers tor, as far as tor has noticed (control-spec, 3.9)."""
    live = connection.info("network-liveness") == "up"
    return live and connection.info("status/circuit-established") == "1"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The content of the newest descriptor that a tor knows (rend-spec-v3, 2.5).

    It has no age: the revision counter is encrypted, and a descriptor contains no time.
    """

    introduction_points: int
    proof_of_work: bool

    @classmethod
    def read(cls, connection: ControlConnection, address: str, *, own: bool = True) -> Self | None:
        """Ask tor and decrypt the answer; ``None`` if it has none.

        ``own`` selects the descriptor that tor made as the service, rather than the one that
        it fetched as a client.
        """
        side = "service" if own else "client"
        try:
            text = connection.info(f"hs/{side}/desc/id/{address.removesuffix('.onion')}")
        except CommandRejectedError:
            return None
        inner = decrypt_descriptor(text, address)
        points = len(re.findall(r"^introduction-point ", inner, re.MULTILINE))
        protected = re.search(r"^pow-params ", inner, re.MULTILINE) is not None
        return cls(points, protected)


def fetch_descriptor(connection: ControlConnection, address: str, timeout: float) -> Descriptor:
    """Fetch the descriptor of ``address`` from the network's HSDirs, as a client does.

    The service's own tor has no part in it (HSFETCH, control-spec 3.27). If an HSDir does not
    have it, others are asked for ``timeout`` seconds.

    Raises ``OnionError``, ``CommandRejectedError`` or ``ControlLostError``.
    """
    failures = set()
    deadline = time.monotonic() + timeout
    with connection.service_events(address) as events:
        while time.monotonic() < deadline:
            reply = connection.send(f"HSFETCH {address.removesuffix('.onion')}")
            if not reply.is_ok():
                raise CommandRejectedError(
                    f"Tor cannot fetch the descriptor of {address}: {reply}.", "Update tor."
                )
            for action, reason in events:
                if action == "RECEIVED":
                    found = Descriptor.read(connection, address, own=False)
                    if found is not None:
                        return found
                if action == "FAILED":
                    failures.add(reason)
                if action in {"RECEIVED", "FAILED"} or time.monotonic() > deadline:
                    break
            time.sleep(min(_RETRY_AFTER, max(0.0, deadline - time.monotonic())))
    why = f": {', '.join(sorted(failures))}" if failures else ""
    raise OnionError(
        f"No HSDir returned the descriptor of {address} within {timeout:.0f} s{why}.",
        "Check that the onion manager runs and has published it.",
    )


@dataclass(frozen=True, slots=True)
class Status:
    """The state of tor and of one address on it.

    ``published`` says that this tor runs the service, by ADD_ONION or its torrc, or that the
    network has it; ``online`` whether the Tor network answers, ``descriptor`` what was uploaded.
    The stream limit is missing: tor does not report it for a service added by ADD_ONION.
    """

    address: str
    published: bool
    online: bool
    tor_version: str
    bootstrap: Bootstrap
    descriptor: Descriptor | None

    @classmethod
    def read(cls, connection: ControlConnection, address: str) -> Self:
        """Ask tor about ``address``.

        Raises ``ControlLostError``, or ``CommandRejectedError`` if tor is too old.
        """
        descriptor = Descriptor.read(connection, address)
        runs = descriptor is not None or address in list_services(connection)
        return cls._read(connection, address, descriptor, published=runs)

    @classmethod
    def fetch(cls, connection: ControlConnection, address: str) -> Self:
        """Ask the network's HSDirs about ``address``, whichever tor publishes it.

        Raises the errors of ``read``.
        """
        try:
            descriptor = fetch_descriptor(connection, address, _FETCH_TIMEOUT)
        except (CommandRejectedError, ControlLostError):
            raise
        except OnionError:
            descriptor = None
        return cls._read(connection, address, descriptor, published=descriptor is not None)

    @classmethod
    def _read(
        cls,
        connection: ControlConnection,
        address: str,
        descriptor: Descriptor | None,
        *,
        published: bool,
    ) -> Self:
        return cls(
            address=address,
            published=published,
            online=is_online(connection),
            tor_version=connection.info("version").partition(" ")[0],
            bootstrap=Bootstrap.read(connection),
            descriptor=descriptor,
        )

    def to_json(self) -> str:
        """Return the status as one JSON object with sorted keys."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)
