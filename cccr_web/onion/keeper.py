"""The manager: keeps one onion service up, whatever happens to tor, until told to stop."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final, Protocol

from cccr_web.errors import ControlLostError, OnionError
from cccr_web.onion.control import ControlAddress, Link, connect
from cccr_web.onion.events import (
    Bootstrapping,
    KeeperEvent,
    Lost,
    Published,
    Publishing,
    TakenDown,
    Trouble,
)
from cccr_web.onion.service import PUBLISHED_WITHIN, Service, listed, publish, withdraw
from cccr_web.onion.status import Bootstrap

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

FIRST_PAUSE: Final = 0.2  # seconds before the second try; doubled each time
LONGEST_PAUSE: Final = 10.0  # seconds
POLL: Final = 0.2  # seconds between two looks at tor's bootstrap, or at ``stop``
LOOK_EVERY: Final = 10.0  # seconds between two looks whether tor still runs the address
STALLED_AFTER: Final = 30.0  # seconds without progress before it is called trouble


class Tor(Protocol):
    """A tor to publish on: ``OwnTor``, which we start, or a ``ForeignTor``."""

    def open(self) -> Link:
        """Connect, starting it if it is ours; raises ``OnionError``."""

    def close(self) -> None:
        """End it if it is ours."""

    def obituary(self) -> str:
        """Say why the connection was lost."""


class ForeignTor:
    """A tor that runs without us (Debian's service, say), at ``where`` or the usual places."""

    def __init__(self, where: ControlAddress | None = None) -> None:
        self.where = where

    def open(self) -> Link:
        """Connect to it; errors as of ``connect``."""
        return connect(self.where)

    def close(self) -> None:
        """Leave it running."""

    def obituary(self) -> str:
        """Say all we can know."""
        return "tor ended or stopped answering"


class Keeper:
    """Publishes ``service`` on ``tor``, watches it, puts it back, takes it down at the end.

    ``observe`` is called from the thread of ``run`` with each event, ``pulse`` every few
    seconds as long as it goes round: tor may take ``ANSWER_WITHIN`` for each answer.
    """

    def __init__(
        self,
        service: Service,
        tor: Tor,
        observe: Callable[[KeeperEvent], object],
        *,
        timeout: float = PUBLISHED_WITHIN,
        stalled_after: float = STALLED_AFTER,
        pulse: Callable[[], object] = lambda: None,
    ) -> None:
        self.service = service
        self.tor = tor
        self._observe = observe
        self._timeout = timeout
        self._stalled_after = stalled_after
        self._pulse = pulse
        self._down_since = 0.0
        self._pause = FIRST_PAUSE

    def run(self, stop: threading.Event, *, patient: bool = True) -> None:
        """Work until ``stop`` is set, and react to it within about a second.

        With ``patient`` every trouble is reported and tried again for ever, with growing
        pauses. Without, one that shows before tor has let us in for the first time is
        raised: that one is a person's to mend.
        """
        self._down_since = time.monotonic()
        try:
            while not stop.is_set():
                try:
                    with self.tor.open() as link:
                        patient = True
                        self._serve(link, stop)
                except OnionError as error:
                    if not patient:
                        raise
                    self._observe(Trouble(error))
                self._rest(stop)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
        finally:
            self.tor.close()

    def _rest(self, stop: threading.Event) -> None:
        end_at = time.monotonic() + self._pause
        while not stop.wait(min(POLL, max(0.0, end_at - time.monotonic()))):
            self._pulse()
            if time.monotonic() >= end_at:
                return

    def _serve(self, link: Link, stop: threading.Event) -> None:
        """Bring the service up on one connection, and stay until it or the connection is lost."""
        if not self._bootstrap(link, stop):
            return
        self._observe(Publishing(self.service.key.address))
        done = publish(link, self.service, timeout=self._timeout, stop=stop, pulse=self._pulse)
        if done is None:
            return
        self._pause = FIRST_PAUSE
        try:
            seconds = time.monotonic() - self._down_since
            self._observe(Published(done.address, seconds, done.proof_of_work))
            reason = self._watch(link, stop)
        finally:
            if not link.lost.is_set():
                with contextlib.suppress(OnionError):
                    withdraw(link, done.address)
        self._down_since = time.monotonic()
        self._observe(TakenDown(done.address) if reason is None else Lost(reason))

    def _bootstrap(self, link: Link, stop: threading.Event) -> bool:
        """Wait until tor is in the network; ``False`` if ``stop`` was set or tor went away."""
        seen: Bootstrap | None = None
        moved = time.monotonic()
        while not stop.is_set():
            self._pulse()
            now = Bootstrap.read(link)
            if now != seen:
                self._observe(Bootstrapping(now.percent, now.summary, now.warning))
            if now.percent == 100:
                return True
            if seen is None or now.percent != seen.percent:
                moved = time.monotonic()
            seen = now
            if time.monotonic() - moved > self._stalled_after:
                moved = time.monotonic()
                self._observe(Trouble(_stalled(now, self._stalled_after)))
            if link.lost.wait(POLL):
                self._observe(Lost(self.tor.obituary()))
                return False
        return False

    def _watch(self, link: Link, stop: threading.Event) -> str | None:
        """Wait until the service is lost, and say why; ``None`` if ``stop`` was set."""
        look_at = time.monotonic() + LOOK_EVERY
        while not stop.is_set():
            self._pulse()
            if link.lost.wait(POLL):
                return self.tor.obituary()
            if time.monotonic() > look_at:
                look_at = time.monotonic() + LOOK_EVERY
                try:
                    if self.service.key.address not in listed(link):
                        return "somebody took the service off tor"
                except ControlLostError:
                    return self.tor.obituary()
        return None


def _stalled(bootstrap: Bootstrap, seconds: float) -> OnionError:
    why = f": {bootstrap.warning}" if bootstrap.warning else ""
    return OnionError(
        f"Tor has been at {bootstrap.percent} % ({bootstrap.summary}) for {seconds:.0f} s{why}.",
        "See whether this machine is on line; where Tor is blocked, give bridges by --torrc.",
    )
