"""The onion manager: keeps one onion service published, whatever happens to tor."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from cccr_web.errors import ControlLostError, OnionError
from cccr_web.onion.control import POLL, connect
from cccr_web.onion.health import Health
from cccr_web.onion.service import (
    PUBLISH_TIMEOUT,
    Published,
    Service,
    list_services,
    publish,
    recorded_proof_of_work,
    withdraw,
)
from cccr_web.onion.status import Bootstrap, is_online

if TYPE_CHECKING:
    from collections.abc import Callable

    from cccr_web.onion.control import ControlAddress, ControlConnection

_FIRST_PAUSE: Final = 0.2  # seconds before the second attempt; doubled each time
_LONGEST_PAUSE: Final = 10.0  # seconds
_CHECK_INTERVAL: Final = 10.0  # seconds between two checks that tor still runs the service
# Seconds between two fetches of our own descriptor, and until one counts as failed. Tor reports no
# event if all its circuits fail, and asks each of the six HSDirs at most once in 15 minutes.
_FETCH_INTERVAL: Final = 300.0
_FETCH_TIMEOUT: Final = 60.0
_OBSTACLE_INTERVAL: Final = 60.0  # seconds between two questions whether another one publishes
_STALLED_AFTER: Final = 30.0  # seconds without bootstrap progress before it counts as a failure


@dataclass(frozen=True, slots=True)
class Bootstrapping:
    """Tor is connecting to the network."""

    bootstrap: Bootstrap


@dataclass(frozen=True, slots=True)
class Publishing:
    """Tor is bootstrapped, and the service is being published."""

    address: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Tor still runs the service, but readers probably cannot reach it."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The service is down, and will be published again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed, and the manager will try again."""

    error: OnionError


@dataclass(frozen=True, slots=True)
class StandingBy:
    """The service is not published, because another server publishes it, or may do so."""

    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The service was removed from tor at the end."""

    address: str


ManagerEvent = (
    Bootstrapping | Publishing | Published | Unreachable | Lost | Failed | StandingBy | Withdrawn
)


class Tor(Protocol):
    """A tor to publish on: ``ManagedTor``, which we start, or ``ExternalTor``."""

    def open(self) -> ControlConnection:
        """Connect, and start tor first if it is managed; raises ``OnionError``."""

    def close(self) -> None:
        """Stop tor if it is managed."""

    def exit_reason(self) -> str:
        """Say why the connection was lost."""


class ExternalTor:
    """A tor that somebody else runs, such as Debian's service."""

    def __init__(self, address: ControlAddress | None = None) -> None:
        self.address = address

    def open(self) -> ControlConnection:
        """Connect to its address, or a default one; raises the errors of ``connect``."""
        return connect(self.address)

    def close(self) -> None:
        """Leave it running."""

    def exit_reason(self) -> str:
        """Say why the connection was lost, as far as other processes can know."""
        return "tor exited or stopped answering"


class Manager:
    """Publishes ``service`` on ``tor``, republishes it when lost, and withdraws it at the end.

    ``observe`` is called with each event, in the thread of ``run``. ``heartbeat`` is called
    every few seconds as long as the loop runs: tor may take ``REPLY_TIMEOUT`` for each reply.
    ``obstacle`` says why the service must not be published, or no longer: it is called in another
    thread, may take minutes, and gets whether we have published it until now.
    """

    def __init__(
        self,
        service: Service,
        tor: Tor,
        observe: Callable[[ManagerEvent], object],
        *,
        publish_timeout: float = PUBLISH_TIMEOUT,
        stalled_after: float = _STALLED_AFTER,
        check_interval: float = _CHECK_INTERVAL,
        fetch_interval: float = _FETCH_INTERVAL,
        fetch_timeout: float = _FETCH_TIMEOUT,
        heartbeat: Callable[[], object] = lambda: None,
        obstacle: Callable[[bool], str | None] = lambda _publishing: None,
        obstacle_interval: float = _OBSTACLE_INTERVAL,
    ) -> None:
        self.service = service
        self.tor = tor
        self._obstacle = obstacle
        self._obstacle_interval = obstacle_interval
        self._observe = observe
        self._publish_timeout = publish_timeout
        self._stalled_after = stalled_after
        self._check_interval = check_interval
        self._fetch_interval = fetch_interval
        self._fetch_timeout = fetch_timeout
        self._heartbeat = heartbeat
        self._down_since = 0.0
        self._pause = _FIRST_PAUSE

    def run(self, stop: threading.Event, *, retry_first: bool = True) -> None:
        """Run until ``stop`` is set, and react to it within about a second.

        Failures are reported and retried without limit, with growing pauses. Without
        ``retry_first``, a failure before the first connection to tor is raised instead: a
        person has to fix its cause.
        """
        retry = retry_first
        self._down_since = time.monotonic()
        try:
            while not stop.is_set():
                try:
                    with self.tor.open() as connection:
                        retry = True
                        self._serve(connection, stop)
                except ControlLostError:
                    self._observe(Lost(self.tor.exit_reason()))
                except OnionError as error:
                    if not retry:
                        raise
                    self._observe(Failed(error))
                self._wait(stop)
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        finally:
            self.tor.close()

    def _wait(self, stop: threading.Event) -> None:
        deadline = time.monotonic() + self._pause
        while time.monotonic() < deadline and not stop.wait(POLL):
            self._heartbeat()

    def _serve(self, connection: ControlConnection, stop: threading.Event) -> None:
        """Publish the service, and stay until it or the connection is lost."""
        if not self._bootstrap(connection, stop):
            return
        if not self._await_turn(connection, stop):
            return
        self._observe(Publishing(self.service.key.address))
        done = publish(
            connection,
            self.service,
            timeout=self._publish_timeout,
            stop=stop,
            heartbeat=self._heartbeat,
        )
        if done is None:
            return
        self._pause = _FIRST_PAUSE
        try:
            # Readers count from the start, or from the loss of the service.
            done = replace(done, seconds=time.monotonic() - self._down_since)
            self._observe(done)
            end = self._watch(connection, stop, done)
        finally:
            self._down_since = time.monotonic()
            if not connection.lost.is_set():
                with contextlib.suppress(OnionError):
                    withdraw(connection, done.address)
        self._observe(end or Withdrawn(done.address))

    def _await_turn(self, connection: ControlConnection, stop: threading.Event) -> bool:
        """Stand by until nothing keeps us from publishing; ``False`` if ``stop`` was set."""
        address = self.service.key.address
        last: str | None = None
        # A killed manager left it, or tor was killed: then it is only continued.
        publishing = recorded_proof_of_work(self.service) is not None
        publishing = publishing or address in list_services(connection)
        while not stop.is_set():
            asked = _Question(self._obstacle, publishing)
            while not asked.done.is_set() and not stop.is_set():
                self._beat(connection)
            if stop.is_set() or asked.answer is None:
                break
            if publishing:
                withdraw(connection, address)
                publishing = False
            if self.service.record is not None:
                self.service.record.unlink(missing_ok=True)
            if asked.answer != last:
                self._observe(StandingBy(address, asked.answer))
            last = asked.answer
            ask_at = time.monotonic() + self._obstacle_interval
            while time.monotonic() < ask_at and not stop.is_set():
                self._beat(connection)
        return not stop.is_set()

    def _beat(self, connection: ControlConnection) -> None:
        if connection.lost.wait(POLL):
            raise ControlLostError("Tor closed the connection.", "Check whether it still runs.")
        self._heartbeat()

    def _bootstrap(self, connection: ControlConnection, stop: threading.Event) -> bool:
        """Wait until tor is bootstrapped; ``False`` if ``stop`` was set."""
        last: Bootstrap | None = None
        progress_at = time.monotonic()
        while not stop.is_set():
            self._heartbeat()
            now = Bootstrap.read(connection)
            if now != last:
                self._observe(Bootstrapping(now))
            if now.percent == 100:
                return True
            if last is None or now.percent != last.percent:
                progress_at = time.monotonic()
            last = now
            if time.monotonic() - progress_at > self._stalled_after:
                progress_at = time.monotonic()
                self._observe(Failed(now.stalled(self._stalled_after)))
            connection.lost.wait(POLL)
        return False

    def _watch(
        self, connection: ControlConnection, stop: threading.Event, done: Published
    ) -> Lost | StandingBy | None:
        """Wait until the service is lost or must end, and return why; ``None`` for ``stop``."""
        address = self.service.key.address
        check_at = time.monotonic() + self._check_interval
        health = Health(address, self._fetch_interval, self._fetch_timeout)
        problem: str | None = None
        problem_at = 0.0
        ask_at = time.monotonic() + self._obstacle_interval
        asked: _Question | None = None
        with connection.service_events(address) as events:
            for event in events:
                if stop.is_set():
                    return None
                self._heartbeat()
                if time.monotonic() > check_at:
                    check_at = time.monotonic() + self._check_interval
                    if address not in list_services(connection):
                        return Lost("another program removed the service from tor")
                    health.online = is_online(connection)
                if asked is None and time.monotonic() > ask_at:
                    asked = _Question(self._obstacle, True)
                elif asked is not None and asked.done.is_set():
                    if asked.answer is not None:
                        return StandingBy(address, asked.answer)
                    asked, ask_at = None, time.monotonic() + self._obstacle_interval
                health.note(*event)
                health.fetch(connection)
                if (now := health.problem()) != problem:
                    if problem is None:
                        problem_at = time.monotonic()
                    if now is None:
                        self._observe(replace(done, seconds=time.monotonic() - problem_at))
                    else:
                        self._observe(Unreachable(address, now))
                    problem = now
        return None


class _Question:
    """One call of ``obstacle`` in the background; ``answer`` is valid once ``done`` is set.

    If it fails, that is an obstacle, too.
    """

    def __init__(self, obstacle: Callable[[bool], str | None], publishing: bool) -> None:
        self.done = threading.Event()
        self.answer: str | None = "the checks before publishing failed"
        arguments = (obstacle, publishing)
        threading.Thread(target=self._ask, args=arguments, daemon=True).start()

    def _ask(self, obstacle: Callable[[bool], str | None], publishing: bool) -> None:
        try:
            self.answer = obstacle(publishing)
        finally:
            self.done.set()
