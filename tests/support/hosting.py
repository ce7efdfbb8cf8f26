"""Fixtures for tests of an onion: a web server on a unix socket, tors, a watched manager.

``conftest.py`` loads this module as a plugin.
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
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pytest

from cccr_web.errors import ControlForeignError, ControlMissingError
from cccr_web.listen import Unix
from cccr_web.onion import (
    ControlConnection,
    ManagedTor,
    Manager,
    ManagerEvent,
    OnionKey,
    Service,
    connect,
    new_key,
)
from cccr_web.onion.manager import Tor
from support.tornet import end, start_tor

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

OFFLINE = "DisableNetwork 1\n"
NOBODY = 65534
PAGE = b"the page of the onion tests"

AnyEvent = TypeVar("AnyEvent")


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """Create a folder with a path short enough for unix sockets, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="cccr-"))
    try:
        yield folder
    finally:
        # A process that is ending, such as gpg-agent, may remove its sockets at the same time.
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Drop root's access to files inside the block; does nothing for a normal user."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextlib.contextmanager
def forbidden(path: Path) -> Iterator[None]:
    """Keep this process from opening a file, folder or socket inside the block."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with as_nobody():
            yield
    finally:
        path.chmod(mode)


def wait_until(condition: Callable[[], bool], limit: float) -> None:
    """Wait until ``condition`` is true; fail after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"the condition is still false after {limit} s"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Return whether no process has this id."""
    return not Path(f"/proc/{pid}").exists()


@contextlib.contextmanager
def web_server(path: Path, body: bytes) -> Iterator[Path]:
    """Serve ``body`` over HTTP on the unix socket ``path``, one request at a time."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    def serve() -> None:
        while True:
            try:
                request, _ = listener.accept()
            except OSError:  # shut down
                return
            # A client that only connects has gone.
            with contextlib.suppress(OSError), request, request.makefile("rwb") as stream:
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
    """An external tor with these torrc lines: the test starts, kills and restarts it."""

    def __init__(self, data: Path, lines: str, *, control: str = "") -> None:
        data.mkdir(mode=0o700)
        self.address = Unix(data / "control")
        self._torrc = data / "torrc"
        control = control or f"ControlSocket {data}/control\nCookieAuthentication 1\n"
        common = f"DataDirectory {data}\nLog notice file {data}/log\n"
        if "SocksPort" not in lines:
            common += "SocksPort 0\n"
        self._torrc.write_text(lines + common + control)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        end(self.process)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start tor and return at once."""
        self._process = start_tor(self._torrc)

    def await_control(self) -> None:
        """Wait until tor answers at its control socket."""

        def answers() -> bool:
            with contextlib.suppress(ControlMissingError, ControlForeignError):
                connect(self.address).close()
                return True
            return False

        wait_until(answers, 20)

    def kill(self) -> None:
        """Kill tor with SIGKILL."""
        self.process.kill()
        self.process.wait()


class Watched:
    """An onion manager that runs in a thread, and its events so far with their times.

    ``options`` replace some of its defaults.
    """

    def __init__(
        self,
        service: Service,
        tor: Tor,
        **options: Any,
    ) -> None:
        self.events: list[ManagerEvent] = []
        self.times: list[float] = []
        self.stop = threading.Event()
        self._news = threading.Condition()
        self._read = 0
        manager = Manager(service, tor, self._observe, **options)
        self.thread = threading.Thread(target=manager.run, args=[self.stop])

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> float:
        """Stop the manager; return how many seconds it took to end."""
        begin = time.monotonic()
        self.stop.set()
        self.thread.join()
        return time.monotonic() - begin

    def _observe(self, event: ManagerEvent) -> None:
        with self._news:
            self.events.append(event)
            self.times.append(time.monotonic())
            self._news.notify_all()

    def wait_for(self, kind: type[AnyEvent], limit: float = 60.0) -> AnyEvent:
        """Return the next event of this kind, and skip those before it."""
        deadline = time.monotonic() + limit
        with self._news:
            while True:
                while self._read < len(self.events):
                    event = self.events[self._read]
                    self._read += 1
                    if isinstance(event, kind):
                        return event
                left = deadline - time.monotonic()
                assert left > 0, f"no {kind.__name__} within {limit} s; saw {self.events}"
                self._news.wait(left)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    with short_folder() as path:
        yield path


@pytest.fixture
def web(folder: Path) -> Iterator[Path]:
    """The unix socket of a web server that answers every request with ``PAGE``."""
    with web_server(folder / "web.sock", PAGE) as path:
        yield path


@pytest.fixture
def key(folder: Path) -> OnionKey:
    """A new onion key."""
    return new_key(folder / "onion.key")


@pytest.fixture
def no_network(folder: Path) -> Path:
    """A file of torrc lines for a tor that never opens a connection."""
    path = folder / "offline.torrc"
    path.write_text(OFFLINE)
    return path


@pytest.fixture(scope="module")
def offline_tor() -> Iterator[ManagedTor]:
    """A managed tor without a network, shared by the tests of a module."""
    with short_folder() as folder:
        extra = folder / "torrc"
        extra.write_text(OFFLINE)
        tor = ManagedTor(folder / "tor", extra=extra)
        tor.open().close()
        yield tor
        tor.close()


@pytest.fixture
def connection(offline_tor: ManagedTor) -> Iterator[ControlConnection]:
    """A control connection to the tor without a network."""
    with offline_tor.open() as opened:
        yield opened
