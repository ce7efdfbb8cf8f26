"""Several servers with one domain: whichever the certificate authority asks answers it.

RFC 8555, section 8.3. nginx has the configuration that ``deploy.sh`` writes.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest
from support.deployed_nginx import DeployedNginx, written
from support.hosting import short_folder
from support.serving import DOMAIN, ONION, ReceivedResponse, read_answer
from support.signed import content, facts, organisation_key
from support.tornet import free_ports

from cccr_web.release import Signer, make_release, with_archive

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"  # of the RFC
ANSWER = b"an answer"
PATH = "/.well-known/acme-challenge/"
ADDRESSES = "192.0.2.1 192.0.2.2 2001:db8::3"


@functools.cache
def conf(addresses: str = ADDRESSES) -> Mapping[str, str]:
    """Return nginx's configuration on each of these servers."""
    known = facts(1, clearnet=f"https://{DOMAIN}", onions=(ONION,))
    release = Signer(organisation_key()).sign(with_archive(make_release(content(1), known)))
    return written(release, addresses)


class Peer:
    """A server that knows no token, and keeps each request head that it gets."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", *free_ports(1)))
        self.port = self._listener.getsockname()[1]

    def run(self) -> None:
        """Answer 404 until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                with link:
                    self.requests.append(link.recv(4096))
                    link.sendall(
                        b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )

    @contextlib.contextmanager
    def back(self) -> Iterator[None]:
        """Run again at the same port, after ``close``."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self.close()
            thread.join()

    def close(self) -> None:
        """Stop."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Servers:
    """Two servers with nginx, and a third that keeps what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.peer = Peer()
        self.both = []
        for name in "ab":
            (folder / name).mkdir()
            self.both.append(DeployedNginx(folder / name))

    @contextlib.contextmanager
    def running(self) -> Iterator[Servers]:
        """Run all three."""
        ports = [*(server.http for server in self.both), self.peer.port]
        at = ("192.0.2.1:80", "192.0.2.2:80", "[2001:db8::3]:80")
        replaced = [(old, f"127.0.0.1:{port}") for old, port in zip(at, ports, strict=True)]
        thread = threading.Thread(target=self.peer.run)
        thread.start()
        try:
            with contextlib.ExitStack() as stack:
                for server in self.both:
                    server.write(conf(), *replaced)
                    stack.enter_context(server.running())
                yield self
        finally:
            self.peer.close()
            thread.join()

    def put(self, server: int, token: str = TOKEN) -> None:
        """Let a server have the answer, as its certbot does."""
        folder = self.both[server].folder / "acme/.well-known/acme-challenge"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / token).write_bytes(ANSWER)

    def ask(self, server: int, path: str = PATH + TOKEN, *headers: str) -> ReceivedResponse:
        """Make a request to a server, as the authority does."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {DOMAIN}", *headers, "Connection: close", "", ""]
        received = b""
        with self.both[server].connect("http") as link:
            link.sendall("\r\n".join(lines).encode())
            while more := link.recv(65536):
                received += more
        return read_answer(received)


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Three servers of one domain, each of which knows the addresses of all."""
    with short_folder() as folder, Servers(folder).running() as made:
        yield made


def test_any_server_answers_for_the_one_that_asked_for_a_certificate(servers: Servers) -> None:
    """Both servers give the answer that one has, with the same headers."""
    servers.put(1)
    own, passed_on = servers.ask(1), servers.ask(0)
    assert (own.status, own.body) == (passed_on.status, passed_on.body) == (200, ANSWER)
    kept = {"Date", "ETag", "Last-Modified"}
    assert {n: v for n, v in own.headers if n not in kept} == {
        n: v for n, v in passed_on.headers if n not in kept
    }
    # Nothing is cached: the next certificate has another token.
    assert not [f for f in (servers.both[0].folder / "cache").rglob("*") if f.is_file()]


def test_an_unknown_token_is_passed_on_once(servers: Servers) -> None:
    """Every other server is asked once, with a header that keeps it from asking again."""
    answer = servers.ask(0)
    assert (answer.status, answer.body) == (404, b"")
    (request,) = servers.peer.requests
    assert request.startswith(f"GET {PATH}{TOKEN} HTTP/1.".encode())
    assert f"\r\nHost: {DOMAIN}\r\n".encode() in request
    assert b"\r\nX-CCCR-Peer: 1\r\n" in request


def test_a_request_that_was_passed_on_goes_no_further(servers: Servers) -> None:
    """A request with the header is answered from the server's own files only."""
    servers.put(1)
    assert servers.ask(0, PATH + TOKEN, "X-CCCR-Peer: 1").status == 404
    assert servers.peer.requests == []
    assert servers.ask(1, PATH + TOKEN, "X-CCCR-Peer: 1").body == ANSWER


@pytest.mark.parametrize(
    "path",
    [
        "/en/",
        PATH,
        PATH + "short",
        PATH + TOKEN + "/../../../en/",
        PATH + TOKEN + "%20HTTP/1.0",
        PATH + 129 * "a",
    ],
)
def test_nothing_but_a_token_is_passed_on(servers: Servers, path: str) -> None:
    """Peers are asked for nothing that cannot be a token (RFC 8555, section 8.1)."""
    assert servers.ask(0, path).status in {301, 404}
    assert servers.peer.requests == []


def test_a_peer_that_is_down_hides_no_other(servers: Servers) -> None:
    """The answer comes although another server accepts no connection."""
    servers.peer.close()
    servers.put(1)
    for _ in range(3):
        assert servers.ask(0).body == ANSWER


def test_a_peer_that_was_down_is_asked_as_soon_as_it_is_back(servers: Servers) -> None:
    """nginx avoids no server because of an earlier failure."""
    servers.peer.close()
    servers.ask(0)
    with servers.peer.back():
        servers.ask(0)
        assert len(servers.peer.requests) == 1


def test_one_server_asks_nobody() -> None:
    """With no address, or one, nginx has no peers."""
    for addresses in ("", "192.0.2.1"):
        assert "peers" not in "".join(conf(addresses).values()).lower()
        assert conf(addresses)["clearnet.conf"] == conf("")["clearnet.conf"]
