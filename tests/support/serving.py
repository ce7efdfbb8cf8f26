"""A release served by a subprocess, and a client that sends exact bytes.

``conftest.py`` loads this module as a plugin, so all tests can use its fixtures.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.release import Release, write
from cccr_web.render import build_release
from support import TOP
from support.hosting import short_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAIN = "cccr.example"
ONION = "c" * 55 + "d.onion"
ADDRESSES = Addresses(f"https://{DOMAIN}", (ONION,))
# Seconds. Tests run next to each other, so a server may start slowly. It stops within its own
# limits: 5 for open connections, then 5 for a reload.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0

Headers = tuple[tuple[str, str], ...]
Where = tuple[str, int] | Path


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """A response: its status, its headers in order, its body."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the one header of this name, or ``None``; two of a name are an error."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, values
        return values[0] if values else None


def environment(**settings: str) -> dict[str, str]:
    """Return an environment in which ``python -m cccr_web`` is the tree under test."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CCCR_")}
    return {**ours, "PYTHONPATH": str(TOP), **settings}


def talk(where: Where, sent: bytes, *, timeout: float = 10.0) -> bytes:
    """Send exact bytes, and return everything received until the server closes."""
    family = socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET
    with socket.socket(family) as link:
        link.settimeout(timeout)
        link.connect(str(where) if isinstance(where, Path) else where)
        return raw_answer(link, sent)


def raw_answer(link: socket.socket, sent: bytes) -> bytes:
    """Send bytes, and return everything received until the other side closes."""
    received = b""
    try:
        link.sendall(sent)
        while more := link.recv(65536):
            received += more
    except (ConnectionResetError, BrokenPipeError):
        # It closed before it had read all of a request that it rejected.
        pass
    return received


def read_answer(received: bytes, *, bodiless: bool = False) -> ReceivedResponse:
    """Parse one complete response and check that nothing follows it (RFC 9112)."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version in {"HTTP/1.0", "HTTP/1.1"}
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    answer = ReceivedResponse(int(status), headers, body)
    length = answer.header("Content-Length")
    if bodiless or answer.status == 304:
        assert body == b""
    else:
        assert length is not None
        assert len(body) == int(length)
    return answer


def ask(
    where: Where,
    target: str,
    host: str | None = None,
    *headers: tuple[str, str],
    method: str = "GET",
) -> ReceivedResponse:
    """Make one request with these headers and no others but ``Connection: close``."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"Host: {host}"] if host is not None else []
    lines += [f"{name}: {value}" for name, value in headers]
    sent = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
    return read_answer(talk(where, sent), bodiless=method == "HEAD")


class ServerProcess:
    """``cccr-web serve`` as a subprocess, with a clearnet listener on loopback.

    ``clearnet`` says where to connect; ``errors`` is the file with its stderr.
    """

    def __init__(self, folder: Path, release: Path, *options: str, **settings: str) -> None:
        self.clearnet: tuple[str, int] = ("127.0.0.1", 0)
        self.errors = folder / "stderr"
        self.command = [sys.executable, "-m", "cccr_web", "serve", "--release", str(release)]
        self.command += ["--clearnet", "127.0.0.1:0", *options]
        self._settings = settings

    def __enter__(self) -> Self:
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.command],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=TOP,
                env=environment(**self._settings),
            )
        clearnet = self._next_line()
        assert clearnet.startswith("clearnet http://127.0.0.1:"), self.errors.read_text()
        self.clearnet = ("127.0.0.1", int(clearnet.rpartition(":")[2].rstrip("/\n")))
        return self

    def __exit__(self, *_: object) -> None:
        # The exit also waits for a copy that the server has begun to write to a busy disk.
        self.end(2 * STOP_TIMEOUT)

    def _next_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, timeout: float = STOP_TIMEOUT) -> int:
        """Stop it as systemd does, within ``timeout`` seconds; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


class Server(ServerProcess):
    """A server that also has an onion listener, on the unix socket ``onion``."""

    def __init__(self, folder: Path, release: Path, *options: str) -> None:
        self.onion: Path = folder / "onion.sock"
        super().__init__(folder, release, "--onion-socket", f"unix:{self.onion}", *options)

    def __enter__(self) -> Self:
        super().__enter__()
        assert self._next_line() == f"onion-socket unix:{self.onion}\n"
        return self

    def resident_megabytes(self) -> float:
        """Return the peak memory use (``VmHWM`` of proc(5))."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(peak) / 1024


@pytest.fixture(scope="session")
def release() -> Release:
    """The real texts, built with a clearnet and an onion address of the tests."""
    trees = find_tree("translations"), find_tree("templates")
    return build_release(*trees, addresses=ADDRESSES)


@pytest.fixture(scope="session")
def release_without_addresses() -> Release:
    """The real texts of a site without an address, so without the picture of its QR code."""
    return build_release(find_tree("translations"), find_tree("templates"))


@pytest.fixture(scope="session")
def release_folder(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same release in a folder."""
    folder = tmp_path_factory.mktemp("releases") / "release"
    write(release, folder)
    return folder


def _serve(release_folder: Path) -> Iterator[Server]:
    with short_folder() as folder, Server(folder, release_folder) as server:
        yield server


@pytest.fixture(scope="session")
def server(release_folder: Path) -> Iterator[Server]:
    """That release, served for the whole run."""
    yield from _serve(release_folder)


@pytest.fixture
def fresh(release_folder: Path) -> Iterator[Server]:
    """That release, served for one test alone."""
    yield from _serve(release_folder)
