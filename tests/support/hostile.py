"""A web server that serves a signed release as ours does, but lets a test change responses.

``tamper`` gets each path and the correct response, and returns the one that is sent.
"""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import ssl
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cccr_web.serve import file_addresses, file_headers, listener_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from cccr_web.release import Release

    Tamper = Callable[[str, "HostileResponse"], "HostileResponse"]


@dataclass(frozen=True, slots=True)
class HostileResponse:
    """A response: the ``pieces`` of its body are sent in turn; then the connection stays open.

    ``asked`` are the headers of the request, with lower-case names, for ``tamper`` to see.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: Iterable[bytes]
    hang_up: bool = False
    asked: Mapping[str, str] = field(default_factory=dict)


def honest(_path: str, answer: HostileResponse) -> HostileResponse:
    """Change nothing."""
    return answer


def change_a_byte_of(page: str) -> Tamper:
    """Return a function that changes one byte of the page, and nothing else."""

    def tamper(path: str, answer: HostileResponse) -> HostileResponse:
        body = b"".join(answer.pieces)
        return replace(answer, pieces=(body[:-2] + b"!\n",)) if path == page else answer

    return tamper


def answers(release: Release, *, onion: bool = False) -> Mapping[str, HostileResponse]:
    """Return the response of our own server for every address of ``release``."""
    facts = release.metadata
    policy = listener_policy("onion" if onion else "clearnet", facts)
    headers = file_headers(release, policy)
    paths = file_addresses(release)
    found = {}
    for address, its_headers in headers.items():
        body = release.files[paths[address]].body if address in paths else b""
        whole = (*its_headers.items(), ("Content-Length", str(len(body))))
        found[address] = HostileResponse(200 if address in paths else 302, whole, (body,))
    bare = tuple(pair for pair in found["/"].headers if pair[0] != "Location")
    for address in [address for address in found if address.endswith("/") and address != "/"]:
        redirect = (*bare, ("Location", address))
        found[address.removesuffix("/")] = HostileResponse(301, redirect, ())
    return found


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HostileServer

    def do_GET(self) -> None:
        hostile = self.server.hostile
        asked = {name.lower(): value for name, value in self.headers.items()}
        answer = replace(hostile.answers.get(self.path, hostile.missing), asked=asked)
        answer = hostile.tamper(self.path, answer)
        hostile.asked.append(self.path)
        hostile.headers.append((self.path, asked))
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        with contextlib.suppress(OSError):
            self.end_headers()
            for piece in answer.pieces:
                self.wfile.write(piece)
                self.wfile.flush()
            self.close_connection = self.close_connection or answer.hang_up

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _HostileServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    hostile: Hostile

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, object]:
        request, _ = super().get_request()
        self.hostile.open.append(request)
        return request, ("", 0)

    def handle_error(self, *_: object) -> None:
        """Log nothing: watchers close the connection at their limits."""


class _HostileUnixServer(_HostileServer):
    address_family = socket.AF_UNIX


class Hostile:
    """``with Hostile(release) as server``: ``url`` is its address, ``asked`` the paths requested.

    ``ended`` is set when it stops, for a ``tamper`` that waits.
    """

    def __init__(
        self,
        release: Release,
        tamper: Tamper = honest,
        *,
        tls: ssl.SSLContext | None = None,
        path: Path | None = None,
    ) -> None:
        self.answers = answers(release, onion=path is not None)
        bare = (pair for pair in self.answers["/"].headers if pair[0] != "Location")
        self.missing = HostileResponse(404, tuple(bare), ())
        self.headers: list[tuple[str, Mapping[str, str]]] = []
        self.tamper = tamper
        self.asked: list[str] = []
        self.open: list[socket.socket] = []
        self.ended = threading.Event()
        if path is None:
            self._server: _HostileServer = _HostileServer(("127.0.0.1", 0), _Handler)
        else:
            self._server = _HostileUnixServer(str(path), _Handler)  # type: ignore[arg-type]
        self._server.hostile = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._tls = tls is not None

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        for request in self.open:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        for request in self.open:
            request.close()
