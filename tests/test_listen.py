"""Where a server listens (``listen.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cccr_web.listen import SystemdSocket, Listen, Tcp, Unix, parse_listen


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("127.0.0.1:8080", Tcp("127.0.0.1", 8080)),
        ("localhost:0", Tcp("localhost", 0)),
        ("www.example.org:65535", Tcp("www.example.org", 65535)),
        ("[::1]:80", Tcp("::1", 80)),
        ("unix:/run/web.sock", Unix(Path("/run/web.sock"))),
        ("systemd:clearnet", SystemdSocket("clearnet")),
        ("systemd:cccr-web@1.socket", SystemdSocket("cccr-web@1.socket")),
        (f"unix:/{'a' * 106}", Unix(Path(f"/{'a' * 106}"))),
    ],
)
def test_place(text: str, where: Listen) -> None:
    """A host and a port, or a unix socket's whole path, is a place to listen."""
    assert parse_listen(text) == where


@pytest.mark.parametrize(
    "text",
    [
        *("", "8080", ":8080", "host", "host:", "host:x", "host:65536", "host:-1", "::1:80"),
        *("[::1]", "a b:80", "ü.example:80", "http://a:80", "unix:", "unix:web.sock"),
        *("systemd:", "systemd:a:b", "systemd:a b"),
        *(f"unix:/{'a' * 107}", f"unix:/{'公' * 36}"),
    ],
)
def test_no_place(text: str) -> None:
    """Anything else is refused with what was given."""
    with pytest.raises(ValueError, match=r"^“") as caught:
        parse_listen(text)
    assert f"“{text}”" in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback(host: str, *, loopback: bool) -> None:
    """Only this machine's own addresses are known to be loopback."""
    assert Tcp(host, 80).is_loopback is loopback
