"""Where the server listens, and what it says when it cannot (``serve/sockets.py``)."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from support.hosting import as_nobody

from cccr_web.errors import CccrError
from cccr_web.listen import Listen, Tcp, Unix
from cccr_web.serve import listening


def refusal(where: Listen) -> str:
    """Return what is said when nothing can listen there."""
    with pytest.raises(CccrError) as caught, listening(where):
        pass
    return str(caught.value)


def test_port_chosen_by_the_kernel() -> None:
    """Port 0 is whatever is free, and on loopback nobody else can connect."""
    with listening(Tcp("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        socket.create_connection((host, port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port))


def test_ipv6() -> None:
    """An IPv6 address is listened on as such."""
    with listening(Tcp("::1", 0)) as listener:
        assert listener.family is socket.AF_INET6


def test_taken_port() -> None:
    """A port that another program holds is told with the way out."""
    with listening(Tcp("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert refusal(Tcp("127.0.0.1", port)) == (
            f"Cannot listen on 127.0.0.1:{port}: Address already in use. "
            "Another program listens there: end it or choose another."
        )


def test_foreign_address() -> None:
    """An address of another machine is told."""
    assert refusal(Tcp("192.0.2.1", 0)) == (
        "Cannot listen on 192.0.2.1:0: Cannot assign requested address. Choose another."
    )


def test_unix_socket_is_private(folder: Path) -> None:
    """A unix socket is for this user alone, and gone at the end."""
    path = folder / "web.sock"
    with listening(Unix(path)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


def test_dead_socket_is_replaced(folder: Path) -> None:
    """The socket that a killed server left behind is no obstacle."""
    path = folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening(Unix(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_living_socket_is_left_alone(folder: Path) -> None:
    """A socket on which somebody listens is not taken from him."""
    path = folder / "web.sock"
    with listening(Unix(path)):
        assert refusal(Unix(path)).startswith(f"Cannot listen on {path}: Address already in use.")
        assert path.exists()


def test_file_in_the_way(folder: Path) -> None:
    """A file that is no socket is never removed."""
    path = folder / "web.sock"
    path.write_text("mine")
    expected = f"{path} is there already and is no socket. Choose another path."
    assert refusal(Unix(path)) == expected
    assert path.read_text() == "mine"


def test_folder_that_is_missing(folder: Path) -> None:
    """A folder that is not there is told."""
    path = folder / "none" / "web.sock"
    expected = f"Cannot listen on {path}: No such file or directory. Choose another."
    assert refusal(Unix(path)) == expected


def test_folder_of_somebody_else(folder: Path) -> None:
    """A folder that we may not write into is told with the way out."""
    path = folder / "web.sock"
    folder.chmod(0o555)
    with as_nobody():
        assert refusal(Unix(path)) == (
            f"Cannot listen on {path}: Permission denied. Choose a place that this user may use."
        )
    folder.chmod(0o700)
