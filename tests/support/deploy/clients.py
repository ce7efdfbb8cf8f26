"""Clients of a deployed site: single requests, steady load, and slow senders."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from support.deploy.admin import DOMAIN
from support.serving import raw_answer
from support.threads import BackgroundThreads
from support.tornet import Reply, TorNetwork, exchange, fetch_by_socks

TIMEOUT = 20.0  # seconds
_CLOSE = {"Connection": "close"}


class ClearnetClient:
    """Requests ``https://cccr.example`` from 127.0.0.1 and verifies the certificate."""

    def __init__(self, root: str) -> None:
        self.context = ssl.create_default_context(cadata=root)

    def connect(self, host: str = "127.0.0.1", name: str | None = DOMAIN) -> ssl.SSLSocket:
        """Return a TLS connection for ``name``."""
        plain = socket.create_connection((host, 443), TIMEOUT)
        try:
            return self.context.wrap_socket(plain, server_hostname=name)
        except OSError:
            plain.close()
            raise

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Reply:
        """Send one request on a new connection."""
        connection = http.client.HTTPConnection(DOMAIN, 443, timeout=TIMEOUT)
        connection.sock = self.connect()
        return exchange(connection, method, path, {"Host": DOMAIN, **_CLOSE, **(headers or {})})


def get_over_http(path: str, headers: dict[str, str], host: str = "127.0.0.1") -> Reply:
    """Send one request to port 80."""
    connection = http.client.HTTPConnection(host, 80, timeout=TIMEOUT)
    return exchange(connection, "GET", path, {**_CLOSE, **headers})


def get_over_socket(file: Path, path: str, host: str) -> Reply:
    """Send one request to the unix socket where nginx listens for tor."""
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(file))
    return exchange(connection, "GET", path, _CLOSE)


def send_raw(connection: socket.socket, request: bytes) -> bytes:
    """Send bytes and return everything that arrives until the other side closes."""
    connection.settimeout(TIMEOUT)
    return raw_answer(connection, request)


@dataclass
class Load(BackgroundThreads):
    """Clients that send request after request: ``with Load(send, 3) as load``."""

    send: Callable[[], bool]
    count: int = 2
    pause: float = 0.03
    sent: int = 0
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0  # seconds from the first failure to the last before the next success
    _failing_since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def _run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                problem = None if self.send() else "a wrong response"
            except (OSError, http.client.HTTPException) as error:
                problem = f"{type(error).__name__}: {error}"
            with self._lock:
                self.sent += 1
                if problem is None:
                    self._failing_since = None
                elif self._failing_since is None:
                    self._failing_since = began
                if problem and self._failing_since is not None:
                    self.longest = max(self.longest, time.monotonic() - self._failing_since)
                    self.failures.append(f"{problem} after {time.monotonic() - began:.2f} s")
            self._stopped.wait(self.pause)

    def wait_for(self, more: int, limit: float = 30.0) -> None:
        """Wait until this many more requests have finished."""
        goal = self.sent + more
        end_at = time.monotonic() + limit
        while self.sent < goal and time.monotonic() < end_at:
            time.sleep(0.02)


class Drips:
    """Clients that send a request head or body byte by byte; they start at once."""

    def __init__(self, clearnet: ClearnetClient) -> None:
        head = b"GET /en/ HTTP/1.1\r\nHost: cccr.example\r\nX-Drip: "
        body = b"POST /en/ HTTP/1.1\r\nHost: cccr.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        # HTTP/2: the preface, empty settings, an endless head (RFC 9113, 3.4, 6.2, 6.5).
        frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\4\1\0\0\0\0"
        frames += b"\0\20\0\1\4\0\0\0\1"
        clearnet.context.set_alpn_protocols(["h2"])
        http2 = clearnet.connect()
        clearnet.context.set_alpn_protocols(["http/1.1"])
        drips: list[tuple[str, socket.socket, bytes]] = [
            ("head over http", socket.create_connection(("127.0.0.1", 80)), head),
            ("head over https", clearnet.connect(), head),
            ("body over https", clearnet.connect(), body),
            ("head over HTTP/2", http2, frames),
        ]
        self._seconds: dict[str, float] = {}
        self._threads = [threading.Thread(target=self._drip, args=drip) for drip in drips]
        for thread in self._threads:
            thread.start()

    def wait(self) -> dict[str, float]:
        """Return the seconds after which each connection was closed, 60 at most."""
        for thread in self._threads:
            thread.join()
        return dict(self._seconds)

    def _drip(self, name: str, connection: socket.socket, beginning: bytes) -> None:
        began = time.monotonic()
        with connection:
            connection.settimeout(0.5)
            try:
                connection.sendall(beginning)
                while time.monotonic() < began + 60:
                    connection.sendall(b"1")
                    try:
                        if not connection.recv(4096):
                            break
                    except TimeoutError:
                        pass
            except OSError:
                pass
        self._seconds[name] = time.monotonic() - began


def onion_client(socks: int, onion: str, timeout: float = TIMEOUT) -> Callable[[str], Reply]:
    """Return a function that requests a path of the onion through tor."""
    return lambda path: fetch_by_socks(socks, f"http://{onion}{path}", {}, "GET", timeout)


class OnionReader:
    """A reader of the onion: ``reader(path)`` requests a path through tor."""

    def __init__(self, network: TorNetwork, onion: str) -> None:
        self._network = network
        self._onion = onion
        self._clients = [onion_client(network.socks_port, onion)]

    def __call__(self, path: str) -> Reply:
        """Request a path."""
        return self._clients[-1](path)

    def wait(self, page: str, limit: float, log: Callable[[], str]) -> None:
        """Wait until a page answers 200; after ``limit`` seconds, fail with a log.

        A tor that has connected before still uses the old introduction points. Occasionally it
        takes minutes to give them up, while a new client connects at once: then use that.
        """
        began = time.monotonic()
        while True:
            for number, client in enumerate(self._clients):
                with contextlib.suppress(OSError):
                    if client(page).status == 200:
                        self._clients.append(self._clients.pop(number))
                        return
            assert time.monotonic() < began + limit, log()
            if time.monotonic() > began + 20 * len(self._clients):
                name = f"another-{time.monotonic_ns()}"
                self._clients.append(onion_client(self._network.add_client(name), self._onion))
            time.sleep(0.3)
