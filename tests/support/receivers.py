"""Real receivers of notifications on loopback: a webhook, a mail server and a SOCKS server."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller


class Webhook:
    """Records each POST as JSON and each GET as its path; may be down, or answer an error."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.pinged: list[str] = []
        self.status = 200
        self.arrived = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.port = 0
        self._server: http.server.ThreadingHTTPServer | None = None

    def url(self, path: str = "hook") -> str:
        """Return its apprise URL, with a password."""
        return f"json://someone:secretword@127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        hook = self

        class HookHandler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = hook.status
                hook.arrived.set()
                hook.may_answer.wait(30)
                if status == 200:
                    hook.received.append(json.loads(body))
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    self.end_headers()

            def do_GET(self) -> None:
                hook.pinged.append(self.path)
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), HookHandler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()

    def use_tls(self, certificate: Path) -> None:
        """Speak TLS with this file of a key and its certificate."""
        assert self._server is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def stop(self) -> None:
        """Be down."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def titles(self) -> list[str]:
        """The titles of what arrived, in its order."""
        return [each["title"] for each in self.received]

    @property
    def bodies(self) -> list[str]:
        """The texts of what arrived, in their order."""
        return [each["message"] for each in self.received]


@contextlib.contextmanager
def webhook() -> Iterator[Webhook]:
    """Run a webhook."""
    hook = Webhook()
    hook.start()
    try:
        yield hook
    finally:
        hook.may_answer.set()
        hook.stop()


class Mailbox:
    """What a mail server received."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.greetings: list[str] = []
        self.port = 0

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's
        """Keep a message."""
        self.messages.append(message_from_bytes(envelope.content, policy=default))
        self.greetings.append(session.host_name)
        return "250 OK"


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Run a mail server."""
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        box.port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=box.port)
    server.start()
    try:
        yield box
    finally:
        server.stop()


class SocksTor(socketserver.ThreadingUnixStreamServer):
    """A SOCKS5 server on a unix socket, which knows where each name leads, as tor does."""

    daemon_threads = True

    def __init__(self, path: Path, names: dict[str, int]) -> None:
        super().__init__(str(path), _Relay)
        self.names = names
        self.asked: list[tuple[str, int]] = []


class _Relay(socketserver.BaseRequestHandler):
    server: SocksTor

    def handle(self) -> None:
        client: socket.socket = self.request
        assert client.recv(3) == b"\5\1\0"
        client.sendall(b"\5\0")
        assert client.recv(4, socket.MSG_WAITALL) == b"\5\1\0\3"
        name = client.recv(client.recv(1)[0], socket.MSG_WAITALL).decode("ascii")
        port = int.from_bytes(client.recv(2, socket.MSG_WAITALL), "big")
        self.server.asked.append((name, port))
        if name not in self.server.names:
            client.sendall(b"\5\4\0\1" + bytes(6))
            return
        with socket.create_connection(("127.0.0.1", self.server.names[name])) as link:
            client.sendall(b"\5\0\0\1" + bytes(6))
            back = threading.Thread(target=_copy, args=(link, client))
            back.start()
            _copy(client, link)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def socks_tor(path: Path, names: dict[str, int]) -> Iterator[SocksTor]:
    """Run such a tor on a unix socket; ``names`` are the ports on loopback that names lead to."""
    with SocksTor(path, names) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
