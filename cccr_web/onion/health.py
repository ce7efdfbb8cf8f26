"""Whether readers can reach a published service, as far as its own tor can tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from cccr_web.onion.service import clock_skew

if TYPE_CHECKING:
    from cccr_web.onion.control import ControlConnection

_FAILED_UPLOADS: Final = 3  # in a row; fewer can be the fault of one HSDir


class Health:
    """What tor's events say about one service, and when to ask again.

    Our own descriptor is fetched every ``interval`` seconds, and a fetch without an answer in
    ``timeout`` seconds has failed.
    """

    def __init__(self, address: str, interval: float, timeout: float) -> None:
        self._address = address
        self._interval = interval
        self._timeout = timeout
        self.online = True
        self._skew: str | None = None
        self._failed_uploads: list[str] = []
        self._fetch_at = time.monotonic() + interval
        self._fetching = False
        self._fetch_failed = False

    def note(self, action: str, reason: str) -> None:
        """Take in one of the ``service_events``."""
        if action == "CLOCK_SKEW":
            self._skew = clock_skew(reason)
        elif action == "UPLOADED":
            self._skew = None
            self._failed_uploads.clear()
        elif action == "FAILED" and reason.startswith(("UPLOAD", "UNEXPECTED")):
            self._failed_uploads.append(reason)
        if action in {"UPLOADED", "RECEIVED"}:
            self._fetching = self._fetch_failed = False
            self._fetch_at = time.monotonic() + self._interval

    def fetch(self, connection: ControlConnection) -> None:
        """Ask for our own descriptor when it is time; the answer comes as an event."""
        if time.monotonic() < self._fetch_at:
            return
        self._fetch_failed = self._fetching
        self._fetching = True
        self._fetch_at = time.monotonic() + self._timeout
        connection.send(f"HSFETCH {self._address.removesuffix('.onion')}")

    def problem(self) -> str | None:
        """Return why readers probably cannot reach the service; ``None`` if they can."""
        reasons = []
        if not self.online:
            reasons.append("the Tor network does not answer")
        if self._skew:
            reasons.append(self._skew)
        if len(self._failed_uploads) >= _FAILED_UPLOADS:
            reasons.append(f"HSDirs reject its descriptor ({self._failed_uploads[-1]})")
        if self._fetch_failed:
            reasons.append("no HSDir returns its descriptor")
        return "; ".join(reasons) or None
