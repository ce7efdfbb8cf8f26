"""Readers of a deployed site: one who asks once, and many who ask steadily and count failures."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from support.deploy.desk import DOMAIN
from support.tornet import Reply, fetch_by_socks

PATIENCE = 20.0  # seconds that a reader waits


class Clearnet:
    """Asks ``https://cccr.example`` on this namespace's 127.0.0.1, and checks its certificate."""

    def __init__(self, root: str) -> None:
        self.context = ssl.create_default_context(cadata=root)

    def connect(self, host: str = "127.0.0.1", name: str | None = DOMAIN) -> ssl.SSLSocket:
        """Return a connection with TLS for ``name``."""
        plain = socket.create_connection((host, 443), PATIENCE)
        try:
            return self.context.wrap_socket(plain, server_hostname=name)
        except OSError:
            plain.close()
            raise

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Reply:
        """Ask once, on a connection of its own."""
        connection = http.client.HTTPConnection(DOMAIN, 443, timeout=PATIENCE)
        connection.sock = self.connect()
        return exchange(connection, path, {"Host": DOMAIN, **(headers or {})}, method)


def plainly(path: str, headers: dict[str, str], where: str = "127.0.0.1") -> Reply:
    """Ask port 80."""
    return exchange(http.client.HTTPConnection(where, 80, timeout=PATIENCE), path, headers, "GET")


def exchange(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str], method: str
) -> Reply:
    """Ask, read everything, hang up."""
    try:
        connection.request(method, path, headers={"Connection": "close", **headers})
        reply = connection.getresponse()
        return Reply(reply.status, reply.getheaders(), reply.read())
    finally:
        connection.close()


def raw(connection: socket.socket, request: bytes) -> bytes:
    """Send these bytes; return all that comes until the other side hangs up."""
    connection.settimeout(PATIENCE)
    got = b""
    try:
        connection.sendall(request)
        while more := connection.recv(65536):
            got += more
    except ConnectionError:
        pass
    return got


@dataclass
class Crowd:
    """Readers who ask one after the other until told to stop: ``with Crowd(ask, 3) as crowd``."""

    ask: Callable[[], bool]
    readers: int = 2
    pause: float = 0.005
    asked: int = 0
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0  # seconds from the first failure to the last before the next good answer
    _failing_since: float | None = None

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._read) for _ in range(self.readers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                problem = None if self.ask() else "a wrong answer"
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            with self._lock:
                self.asked += 1
                if problem is None:
                    self._failing_since = None
                elif self._failing_since is None:
                    self._failing_since = began
                if problem and self._failing_since is not None:
                    self.longest = max(self.longest, time.monotonic() - self._failing_since)
                    self.failures.append(f"{problem} after {time.monotonic() - began:.2f} s")
            self._stop.wait(self.pause)

    def wait_for(self, more: int, limit: float = 30.0) -> None:
        """Wait until so many more requests have been answered or have failed."""
        goal = self.asked + more
        end_at = time.monotonic() + limit
        while self.asked < goal and time.monotonic() < end_at:
            time.sleep(0.02)


def onion_reader(socks: int, onion: str, patience: float = PATIENCE) -> Callable[[str], Reply]:
    """Return a function that asks the onion for a path, through tor."""
    return lambda path: fetch_by_socks(socks, f"http://{onion}{path}", {}, "GET", patience)
