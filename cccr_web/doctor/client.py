"""A tor of our own for as long as the examination takes: the road of a reader of the onion."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cccr_web.errors import OnionError
from cccr_web.listen import Tcp, parse_listen
from cccr_web.onion import Bootstrap, ControlConnection, Descriptor, ManagedTor, fetch_descriptor

_POLL: Final = 0.2  # seconds
# A tor that a person starts has nobody's bridges and needs a minute; a busy one two.
_BOOTSTRAP_WITHIN: Final = 120.0


class Client:
    """What can be asked of that tor; made by ``client``."""

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

    def moment(self, name: str) -> datetime:
        """Return a time that it tells. Raises ``OnionError``."""
        return datetime.fromisoformat(self.link.info(name).strip()).replace(tzinfo=UTC)

    def descriptor(self, address: str, seconds: float) -> Descriptor:
        """Ask the network's directories for an onion's descriptor. Raises ``OnionError``."""
        return fetch_descriptor(self.link, address, seconds)


@contextlib.contextmanager
def client(torrc: Path | None, seconds: float) -> Iterator[Client]:
    """Start a tor in a temporary folder, and wait until it is in the network.

    It is ended, and its folder removed, at the end. Raises ``OnionError``.
    """
    with tempfile.TemporaryDirectory(prefix="cccr-") as folder:
        tor = ManagedTor(Path(folder) / "tor", extra=torrc, is_client=True)
        try:
            with tor.open() as link:
                _bootstrap(link, min(seconds, _BOOTSTRAP_WITHIN))
                yield Client(link)
        finally:
            tor.close()


def _bootstrap(link: ControlConnection, seconds: float) -> None:
    end_at = time.monotonic() + seconds
    while (seen := Bootstrap.read(link)).percent < 100:
        if time.monotonic() > end_at:
            why = f": {seen.warning}" if seen.warning else ""
            raise OnionError(
                f"A client tor came to {seen.percent} % ({seen.summary}) in {seconds:.0f} s{why}.",
                "See whether this machine is on line; where Tor is blocked, "
                "give bridges by --torrc.",
            )
        time.sleep(_POLL)
