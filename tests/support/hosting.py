"""What tests of an onion need: a web server on a unix socket, tors, a watched keeper.

Its fixtures are for all tests; ``conftest.py`` names this module as a plugin.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import pytest

from cccr_web.errors import ControlForeignError, ControlMissingError
from cccr_web.onion import (
    ControlAddress,
    Keeper,
    KeeperEvent,
    Link,
    OnionKey,
    OwnTor,
    Service,
    Tor,
    connect,
    new_key,
)
from support.tornet import end, start_tor

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

OFFLINE = "DisableNetwork 1\n"
NOBODY = 65534
PAGE = b"the page of the onion tests"

Event = TypeVar("Event")


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder whose path is short enough for unix sockets, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="cccr-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Lose root's power over files for a moment; nothing changes if we have none."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def wait_until(true: Callable[[], bool], limit: float) -> None:
    """Wait until ``true`` says so, ``limit`` seconds at most."""
    end_at = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end_at, f"not so after {limit} s"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Tell whether no process has this id any more."""
    return not Path(f"/proc/{pid}").exists()


@contextlib.contextmanager
def web_server(path: Path, body: bytes) -> Iterator[Path]:
    """Serve ``body`` over HTTP on the unix socket ``path``, one request after the other."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    def serve() -> None:
        while True:
            try:
                request, _ = listener.accept()
            except OSError:  # shut down
                return
            with request, request.makefile("rwb") as stream:
                while stream.readline().strip():
                    pass
                stream.write(head.encode("ascii") + body)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink()


class RunningTor:
    """A tor that is not ours: started, killed and restarted by the test, with these lines."""

    def __init__(self, data: Path, lines: str, *, control: str = "") -> None:
        data.mkdir(mode=0o700)
        self.address = ControlAddress(path=data / "control")
        self._torrc = data / "torrc"
        control = control or f"ControlSocket {data}/control\nCookieAuthentication 1\n"
        ours = f"DataDirectory {data}\nSocksPort 0\nLog notice file {data}/log\n"
        self._torrc.write_text(lines + ours + control)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that runs now."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it and return at once."""
        self._process = start_tor(self._torrc)

    def await_control(self) -> None:
        """Wait until it answers at its control socket."""

        def answers() -> bool:
            with contextlib.suppress(ControlMissingError, ControlForeignError):
                connect(self.address).close()
                return True
            return False

        wait_until(answers, 20)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait()


class Watched:
    """A keeper that runs in a thread, and the events it told so far."""

    def __init__(self, service: Service, tor: Tor, *, stalled_after: float = 30.0) -> None:
        self.events: list[KeeperEvent] = []
        self.stop = threading.Event()
        self._news = threading.Condition()
        self._read = 0
        keeper = Keeper(service, tor, self._observe, stalled_after=stalled_after)
        self.thread = threading.Thread(target=keeper.run, args=[self.stop])

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> float:
        """Stop the keeper; return how many seconds it took to end."""
        begin = time.monotonic()
        self.stop.set()
        self.thread.join()
        return time.monotonic() - begin

    def _observe(self, event: KeeperEvent) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def wait_for(self, kind: type[Event], limit: float = 60.0) -> Event:
        """Return the next event of this kind that was not waited past yet."""
        end_at = time.monotonic() + limit
        with self._news:
            while True:
                while self._read < len(self.events):
                    event = self.events[self._read]
                    self._read += 1
                    if isinstance(event, kind):
                        return event
                left = end_at - time.monotonic()
                assert left > 0, f"no {kind.__name__} within {limit} s; saw {self.events}"
                self._news.wait(left)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as path:
        yield path


@pytest.fixture
def web(folder: Path) -> Iterator[Path]:
    """The unix socket of a web server that answers ``PAGE`` to everything."""
    with web_server(folder / "web.sock", PAGE) as path:
        yield path


@pytest.fixture
def key(folder: Path) -> OnionKey:
    """A new onion key."""
    return new_key(folder / "onion.key")


@pytest.fixture
def no_network(folder: Path) -> Path:
    """Extra torrc lines for a tor that never opens a connection."""
    path = folder / "offline.torrc"
    path.write_text(OFFLINE)
    return path


@pytest.fixture(scope="module")
def offline_tor() -> Iterator[OwnTor]:
    """A tor of our own without a network, shared by the tests of a module."""
    with short_folder() as folder:
        extra = folder / "torrc"
        extra.write_text(OFFLINE)
        tor = OwnTor(folder / "tor", extra=extra)
        tor.open().close()
        yield tor
        tor.close()


@pytest.fixture
def link(offline_tor: OwnTor) -> Iterator[Link]:
    """A control connection to the tor without a network."""
    with offline_tor.open() as link:
        yield link
