"""How the watcher reaches an address: TLS with certificates, SOCKS with remote names."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.hostile import Answer, Hostile
from support.hosting import wait_until
from support.signed import organisation_key, signed_release

from cccr_web.errors import ProxyError
from cccr_web.listen import Tcp
from cccr_web.watch import Address, Difference, Kind, Limits, Seen, Watcher
from cccr_web.watch.socks import connect

ONION = "a" * 56 + ".onion"
LIMITS = Limits(silence=2.0, whole=10.0)


def certificate(folder: Path, name: str, days: int = 30) -> Path:
    """Write a key and a certificate for ``name`` that vouches for itself; return its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC) - timedelta(days=60)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=60 + days))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(name), x509.IPAddress(IPv4Address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / f"{name}.pem"
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let this machine trust a certificate, as an admin would."""
    return lambda file: monkeypatch.setenv("SSL_CERT_FILE", str(file))


def look_over_tls(file: Path) -> Seen:
    """Look at a server that shows this certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    with Hostile(signed_release(2), tls=tls) as server:
        watcher = Watcher(organisation_key().public, limits=LIMITS)
        return watcher.look([Address.parse(server.url)]).seen[0]


def test_https(tmp_path: Path, trusting: Callable[[Path], None]) -> None:
    """A site over HTTPS, with a certificate that this machine trusts, is all the same."""
    file = certificate(tmp_path, "localhost")
    trusting(file)
    seen = look_over_tls(file)
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
def test_bad_certificates(
    tmp_path: Path,
    trusting: Callable[[Path], None],
    name: str,
    days: int,
    reason: str,
    *,
    trusted: bool,
) -> None:
    """Without a certificate that is trusted, in time and of that name nothing is fetched."""
    file = certificate(tmp_path, name, days)
    if trusted:
        trusting(file)
    (found,) = look_over_tls(file).differences
    assert (found.path, found.kind) == ("", Kind.UNREACHABLE)
    assert found.detail.startswith("its certificate: ")
    assert reason in found.detail


class Proxy:
    """A SOCKS5 proxy that answers one client with these bytes, and keeps what it was asked."""

    def __init__(self, *answers: bytes, to: int | None = None) -> None:
        self._answers = answers
        self._to = to
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
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        with client:
            for answer in self._answers:
                self.asked.append(client.recv(1000))
                client.sendall(answer)


GREETING = b"\5\0"
DONE = b"\5\0\0\1" + bytes(6)


@pytest.mark.parametrize(
    "answer", [DONE, b"\5\0\0\4" + bytes(18), b"\5\0\0\3\3abc\0\0"], ids=["IPv4", "IPv6", "name"]
)
def test_the_proxy_resolves(answer: bytes) -> None:
    """The name goes to the proxy as it is; whatever kind of address it answers with is read."""
    with (
        Proxy(GREETING, answer + b"hello") as proxy,
        connect(proxy.where, ONION, 80, 2.0) as link,
    ):
        assert link.recv(10) == b"hello"
    assert proxy.asked == [b"\5\1\0", b"\5\1\0\3" + bytes([62]) + ONION.encode() + b"\0\x50"]


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ((b"\5\xff",), "is no SOCKS5 proxy without a password"),
        ((b"HT",), "is no SOCKS5 proxy without a password"),
        ((b"",), "hung up"),
        ((GREETING, b"\5\1\0\1" + bytes(6)), "cannot reach it: it failed"),
        ((GREETING, b"\5\4\0\1" + bytes(6)), "cannot reach it: no such host"),
        ((GREETING, b"\5\x63\0\1" + bytes(6)), "cannot reach it: answer 99"),
        ((GREETING, b"\5\0\0\7" + bytes(6)), "does not speak SOCKS5"),
        ((GREETING, b"\4\0\0\1" + bytes(6)), "does not speak SOCKS5"),
        ((GREETING, b"\5\0\0\1\0"), "hung up"),
    ],
)
def test_bad_proxies(answers: tuple[bytes, ...], problem: str) -> None:
    """A proxy that refuses, or is none, is told apart, and no connection is left open."""
    with Proxy(*answers) as proxy, pytest.raises(ProxyError, match=problem):
        connect(proxy.where, ONION, 80, 2.0)


def test_no_proxy() -> None:
    """Where no proxy listens, that is said."""
    with Proxy() as proxy:
        pass
    with pytest.raises(ProxyError, match="No SOCKS proxy answers at 127"):
        connect(proxy.where, ONION, 80, 2.0)


def test_an_onion_never_without_tor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a proxy an onion is unreachable, and its name is not asked of the resolver."""

    def resolve(*_: object, **__: object) -> None:
        raise AssertionError("the name was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    watcher = Watcher(organisation_key().public, limits=LIMITS)
    (seen,) = watcher.look([Address.parse(f"http://{ONION}")]).seen
    assert seen.differences == (
        Difference("", Kind.UNREACHABLE, "an onion needs --socks HOST:PORT"),
    )


@pytest.fixture
def site() -> Iterator[Hostile]:
    """An honest server."""
    with Hostile(signed_release(2)) as server:
        yield server


def test_few_connections(site: Hostile) -> None:
    """Connections are kept: one for the list, and then no more than the limit for the files."""
    watcher = Watcher(organisation_key().public, limits=Limits(connections=2))
    assert watcher.look([Address.parse(site.url)]).same
    assert 2 <= len(site.open) <= 3


def test_a_lost_connection_is_made_anew(site: Hostile) -> None:
    """A connection that is closed after each answer, or cut once, is no difference."""
    cut: list[str] = []

    def twist(path: str, answer: Answer) -> Answer:
        if path not in cut:
            cut.append(path)
            return replace(answer, pieces=(), hang_up=True)
        return replace(answer, hang_up=True)

    site.twist = twist
    watcher = Watcher(organisation_key().public, limits=LIMITS)
    assert watcher.look([Address.parse(site.url)]).same
    assert len(cut) == len(site.answers)


def test_progress(site: Hostile) -> None:
    """Progress counts every answer once, up to all of them."""
    told: list[tuple[int, int]] = []
    watcher = Watcher(organisation_key().public, limits=LIMITS)
    watcher.look([Address.parse(site.url)], lambda done, total: told.append((done, total)))
    total = len(site.answers)
    assert told == [(done, total) for done in range(1, total + 1)]
    wait_until(lambda: len(site.asked) == total, 1)
