"""Connections to an address: TLS with checked certificates, SOCKS with remote names."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from support.hostile import Hostile, HostileResponse
from support.signed import organisation_key, signed_release
from support.tls import certificate

from cccr_web.listen import Tcp
from cccr_web.watch import (
    Address,
    CheckSettings,
    Difference,
    DifferenceKind,
    HttpConnection,
    Report,
    RequestBudget,
    RequestLimits,
    Route,
    SiteResult,
    check_sites,
)

ONION = "a" * 56 + ".onion"
LIMITS = RequestLimits(idle_timeout=2.0, timeout=10.0)


def check(url: str, limits: RequestLimits = LIMITS) -> Report:
    """Check one address with the tests' key."""
    return check_sites(
        [Address.parse(url)], CheckSettings(organisation_key().public, limits=limits)
    )


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that makes this machine trust a certificate."""
    return lambda file: monkeypatch.setenv("SSL_CERT_FILE", str(file))


def check_over_tls(file: Path) -> SiteResult:
    """Check a server that presents this certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    with Hostile(signed_release(2), tls=tls) as server:
        return check(server.url).sites[0]


def test_a_site_with_a_trusted_certificate_passes(
    tmp_path: Path, trusting: Callable[[Path], None]
) -> None:
    """A site over HTTPS with a certificate that this machine trusts has no differences."""
    file = certificate(tmp_path, "localhost")
    trusting(file)
    seen = check_over_tls(file)
    assert seen.differences == ()
    assert seen.files == len(signed_release(2).files)


@pytest.mark.parametrize(
    ("name", "days", "trusted", "reason"),
    [
        ("localhost", 30, False, "self-signed certificate"),
        ("other.example", 30, True, "Hostname mismatch"),
        ("localhost", -1, True, "certificate has expired"),
    ],
)
def test_a_bad_certificate_makes_the_site_unreachable(
    tmp_path: Path,
    trusting: Callable[[Path], None],
    name: str,
    days: int,
    reason: str,
    *,
    trusted: bool,
) -> None:
    """Nothing is fetched with an untrusted or expired certificate or one for another name."""
    file = certificate(tmp_path, name, days)
    if trusted:
        trusting(file)
    (found,) = check_over_tls(file).differences
    assert (found.path, found.kind) == ("", DifferenceKind.UNREACHABLE)
    assert found.detail.startswith("its certificate: ")
    assert reason in found.detail


class Proxy:
    """A SOCKS5 proxy that sends these replies to one client and records its requests.

    With ``then``, it keeps that client waiting and sends those replies to another.
    """

    def __init__(self, *answers: bytes, then: tuple[bytes, ...] = ()) -> None:
        self._clients = [answers, then] if then else [answers]
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.where = Tcp("127.0.0.1", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as clients:
            for answers in self._clients:
                client = clients.enter_context(self._listener.accept()[0])
                for answer in answers:
                    self.asked.append(client.recv(1000))
                    client.sendall(answer)


def by_proxy(proxy: Proxy) -> socket.socket:
    """Connect to the onion through a proxy."""
    return Route(proxy=proxy.where).connect(Address.parse(f"http://{ONION}"), lambda: 2.0)


GREETING = b"\5\0"
DONE = b"\5\0\0\1" + bytes(6)


@pytest.mark.parametrize(
    "answer", [DONE, b"\5\0\0\4" + bytes(18), b"\5\0\0\3\3abc\0\0"], ids=["IPv4", "IPv6", "name"]
)
def test_the_proxy_resolves_the_name(answer: bytes) -> None:
    """The proxy gets the unresolved name and may reply with any kind of address."""
    with (
        Proxy(GREETING, answer + b"hello") as proxy,
        by_proxy(proxy) as link,
    ):
        assert link.recv(10) == b"hello"
    assert proxy.asked == [b"\5\1\0", b"\5\1\0\3" + bytes([62]) + ONION.encode() + b"\0\x50"]


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ((b"\5\xff",), "is not a SOCKS5 proxy without a password"),
        ((b"HT",), "is not a SOCKS5 proxy without a password"),
        ((b"",), "closed the connection"),
        ((GREETING, b"\5\1\0\1" + bytes(6)), "cannot reach it: general failure"),
        ((GREETING, b"\5\4\0\1" + bytes(6)), "cannot reach it: no such host"),
        ((GREETING, b"\5\x63\0\1" + bytes(6)), "cannot reach it: reply code 99"),
        ((GREETING, b"\5\0\0\7" + bytes(6)), "does not speak SOCKS5"),
        ((GREETING, b"\4\0\0\1" + bytes(6)), "does not speak SOCKS5"),
        ((GREETING, b"\5\0\0\1\0"), "closed the connection"),
    ],
)
def test_a_failing_proxy_is_reported(answers: tuple[bytes, ...], problem: str) -> None:
    """A proxy that rejects the request or speaks another protocol fails with its reason."""
    with Proxy(*answers) as proxy, pytest.raises(ConnectionError, match=problem):
        by_proxy(proxy)


def test_an_onion_that_does_not_answer_is_tried_again_on_another_circuit() -> None:
    """Tor may wait minutes for a rendezvous, and streams without a user's name share it."""
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    budget = RequestBudget(RequestLimits(idle_timeout=0.5, timeout=10.0))
    with Proxy(GREETING, then=(b"\5\2", b"\1\0", DONE, page)) as proxy:
        onion = HttpConnection(Address.parse(f"http://{ONION}"), budget, Route(proxy.where))
        assert onion.get("/", 100, keep_body=True).body == b"hi"
        onion.close()
    assert proxy.asked[1:3] == [b"\5\2\0\2", b"\1\x09failure 1\1-"]


def test_a_missing_proxy_is_reported() -> None:
    """A proxy that does not listen is reported with its address."""
    with Proxy() as proxy:
        pass
    with pytest.raises(ConnectionError, match="No SOCKS proxy answers at 127"):
        by_proxy(proxy)


def test_an_onion_is_never_resolved_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proxy an onion is unreachable, and the resolver never sees its name."""

    def resolve(*_: object, **__: object) -> None:
        raise AssertionError("the name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    (seen,) = check(f"http://{ONION}").sites
    assert seen.differences == (
        Difference("", DifferenceKind.UNREACHABLE, "an onion needs --socks HOST:PORT"),
    )


@pytest.fixture
def site() -> Iterator[Hostile]:
    """An honest server."""
    with Hostile(signed_release(2)) as server:
        yield server


def test_connections_are_reused(site: Hostile) -> None:
    """The manifest takes one connection, the files no more than the limit."""
    assert check(site.url, RequestLimits(10.0, connections=2)).same
    assert 2 <= len(site.open) <= 3


def test_a_lost_connection_is_retried(site: Hostile) -> None:
    """A connection that closes after each response, or breaks once, is not a difference."""
    cut: list[str] = []

    def tamper(path: str, answer: HostileResponse) -> HostileResponse:
        if path not in cut:
            cut.append(path)
            return replace(answer, pieces=(), hang_up=True)
        return replace(answer, hang_up=True)

    site.tamper = tamper
    assert check(site.url).same
    assert {*cut} == {*site.asked}


def test_progress_counts_every_response_once(site: Hostile) -> None:
    """Progress counts every response once, up to the total."""
    reported: list[tuple[int, int]] = []
    settings = CheckSettings(organisation_key().public, limits=LIMITS)
    addresses = [Address.parse(site.url)]
    check_sites(addresses, settings, None, lambda done, total: reported.append((done, total)))
    total = len(site.asked)
    assert total > len(site.answers)
    assert reported == [(done, total) for done in range(1, total + 1)]
