"""Listening addresses: their notation, and their sockets (``listen.py``)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.hosting import as_nobody

from cccr_web.errors import CccrError
from cccr_web.listen import Listen, SystemdSocket, Tcp, Unix, listening, parse_listen


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
def test_a_listening_address_is_parsed(text: str, where: Listen) -> None:
    """A host and port, a unix socket's path and a systemd name are parsed, and shown as written."""
    assert parse_listen(text) == where
    assert str(where) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "8080", ":8080", "host", "host:", "host:x", "host:65536", "host:-1", "::1:80"),
        *("[::1]", "a b:80", "ü.example:80", "http://a:80", "unix:", "unix:web.sock"),
        *("systemd:", "systemd:a:b", "systemd:a b"),
        *(f"unix:/{'a' * 107}", f"unix:/{'公' * 36}"),
    ],
)
def test_any_other_text_is_rejected_and_quoted(text: str) -> None:
    """Any other text is rejected, and the error quotes it."""
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
def test_only_loopback_addresses_count_as_loopback(host: str, *, loopback: bool) -> None:
    """Only this machine's own addresses count as loopback."""
    assert Tcp(host, 80).is_loopback is loopback


def error_of(where: Listen) -> str:
    """Return the error of an attempt to listen there."""
    with (
        pytest.raises(CccrError, match=r"^Cannot listen on | is not a socket\.") as caught,
        listening(where),
    ):
        pass
    return str(caught.value)


def test_port_0_opens_a_free_port_until_the_end() -> None:
    """With port 0 the kernel chooses a free port, which is closed at the end."""
    with listening(Tcp("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        socket.create_connection((host, port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))


def test_an_ipv6_address_opens_an_ipv6_socket() -> None:
    """An IPv6 address opens an IPv6 socket."""
    with listening(Tcp("::1", 0)) as listener:
        assert listener.family is socket.AF_INET6


def test_a_port_in_use_is_reported_with_a_remedy() -> None:
    """A port that another program uses is reported with a remedy."""
    with listening(Tcp("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert error_of(Tcp("127.0.0.1", port)) == (
            f"Cannot listen on 127.0.0.1:{port}: Address already in use. "
            "Another program listens there: stop it, or choose another address."
        )


def test_an_address_of_another_machine_is_reported() -> None:
    """An address of another machine is reported."""
    assert error_of(Tcp("192.0.2.1", 0)) == (
        "Cannot listen on 192.0.2.1:0: Cannot assign requested address. Choose another address."
    )


def test_a_unix_socket_is_private_and_removed_at_the_end(folder: Path) -> None:
    """Only this user can connect to a unix socket, and its path is removed at the end."""
    path = folder / "web.sock"
    with listening(Unix(path)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_the_socket_of_a_killed_server_is_replaced(folder: Path) -> None:
    """The socket that a killed server left behind is replaced."""
    path = folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening(Unix(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_in_use_is_not_replaced(folder: Path) -> None:
    """A unix socket on which another server listens is not replaced."""
    path = folder / "web.sock"
    with listening(Unix(path)):
        assert error_of(Unix(path)).startswith(
            f"Cannot listen on unix:{path}: Address already in use."
        )
        assert path.exists()


def test_a_file_that_is_not_a_socket_is_not_removed(folder: Path) -> None:
    """A file that is not a socket is never removed."""
    path = folder / "web.sock"
    path.write_text("mine")
    expected = f"{path} exists and is not a socket. Choose another path."
    assert error_of(Unix(path)) == expected
    assert path.read_text() == "mine"


def test_a_missing_folder_is_reported(folder: Path) -> None:
    """A missing folder is reported."""
    path = folder / "none" / "web.sock"
    expected = f"Cannot listen on unix:{path}: No such file or directory. Choose another address."
    assert error_of(Unix(path)) == expected


def test_a_folder_without_permission_is_reported_with_a_remedy(folder: Path) -> None:
    """A folder in which this user may not write is reported with a remedy."""
    path = folder / "web.sock"
    folder.chmod(0o555)
    with as_nobody():
        assert error_of(Unix(path)) == (
            f"Cannot listen on unix:{path}: Permission denied. "
            "Choose an address that this user may use."
        )
    folder.chmod(0o700)
