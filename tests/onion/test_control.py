"""The control connection: where tor is looked for, and what each refusal says."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.faketor import fake_tor
from support.hosting import OFFLINE, RunningTor, as_nobody
from support.tornet import free_ports

from cccr_web.errors import (
    ControlForeignError,
    ControlLostError,
    ControlMissingError,
    OnionError,
    TorRefusedError,
)
from cccr_web.onion import ControlAddress, Link, connect, control

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return free_ports(1)[0]


def running(folder: Path, lines: str) -> RunningTor:
    """Return an offline tor with these lines for its control port."""
    return RunningTor(folder / "tor", OFFLINE, control=lines)


def await_port(port: int) -> None:
    """Wait until somebody listens on a port of 127.0.0.1."""
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError), socket.socket() as probe:
            probe.connect(("127.0.0.1", port))
            return
        time.sleep(0.02)
    raise AssertionError(port)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/tor/control", ControlAddress(path=Path("/run/tor/control"))),
        ("unix:/run/tor/control", ControlAddress(path=Path("/run/tor/control"))),
        ("9051", ControlAddress(port=9051)),
        ("10.0.0.1:9151", ControlAddress(host="10.0.0.1", port=9151)),
        ("[::1]:9051", ControlAddress(host="::1", port=9051)),
    ],
)
def test_address(text: str, address: ControlAddress) -> None:
    """A path, a port, or a host and a port is a control address."""
    assert ControlAddress.parse(text) == address


@pytest.mark.parametrize("text", ["", "tor", "0", "65536", "host:", "unix:run/tor", "unix:9051"])
def test_no_address(text: str) -> None:
    """Anything else is refused with what was given."""
    with pytest.raises(OnionError, match=repr(text)):
        ControlAddress.parse(text)


def test_no_socket(folder: Path) -> None:
    """A control socket that is not there is named."""
    with pytest.raises(ControlMissingError, match=f"unix:{folder}/none"):
        connect(ControlAddress(path=folder / "none"))


def test_no_port(port: int) -> None:
    """A control port on which nobody listens is named."""
    with pytest.raises(ControlMissingError, match=f"127.0.0.1:{port}"):
        connect(ControlAddress(port=port))


def test_usual_places(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address the usual places are tried in turn, and all are named if none answers."""
    places = (ControlAddress(path=folder / "none"), ControlAddress(port=port))
    monkeypatch.setattr(control, "USUAL", places)
    with pytest.raises(ControlMissingError, match=rf"unix:{folder}/none, 127\.0\.0\.1:{port}"):
        connect()
    with running(folder, f"ControlPort {port}\nCookieAuthentication 1\n"):
        await_port(port)
        with connect() as link:
            assert link.where == places[1]


def test_usual_places_of_debian() -> None:
    """The usual places are Debian's socket, tor's port and Tor Browser's port."""
    names = [place.text for place in control.USUAL]
    assert names == ["unix:/run/tor/control", "127.0.0.1:9051", "127.0.0.1:9151"]


def test_no_permission(folder: Path) -> None:
    """A control socket that we may not open says which group to join."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        with as_nobody(), pytest.raises(OnionError, match="debian-tor"):
            connect(tor.address)


def test_no_authentication(folder: Path, port: int) -> None:
    """A tor that asks for nothing is used as it is."""
    with running(folder, f"ControlPort {port}\n"):
        await_port(port)
        with connect(ControlAddress(port=port)) as link:
            assert link.info("version").startswith("0.")


def test_wrong_cookie(folder: Path) -> None:
    """A cookie file of another tor is told apart from one that cannot be read."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        (folder / "tor" / "control_auth_cookie").write_bytes(bytes(32))
        with pytest.raises(OnionError, match=str(folder)):
            connect(tor.address)


@pytest.mark.parametrize("password", ["", "HashedControlPassword {hashed}\n"])
def test_unreadable_cookie(folder: Path, port: int, password: str) -> None:
    """A cookie in a folder closed to us is named, even where a password would do too."""
    lines = f"ControlPort {port}\nCookieAuthentication 1\n"
    with running(folder, lines + password.format(hashed=hashed_password())):
        await_port(port)
        with as_nobody(), pytest.raises(OnionError, match="control_auth_cookie"):
            connect(ControlAddress(port=port))


def test_cookie_of_a_wrong_size(folder: Path) -> None:
    """A cut cookie file is not sent to anybody."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        (folder / "tor" / "control_auth_cookie").write_bytes(bytes(31))
        with pytest.raises(OnionError, match="wrong size"):
            connect(tor.address)


def test_cookie_is_never_sent_to_a_program_that_does_not_know_it(folder: Path) -> None:
    """A program that only claims to be tor does not learn the cookie, even if it asks for it."""
    cookie = bytes(range(32))
    (folder / "cookie").write_bytes(cookie)
    methods = f'METHODS=COOKIE,SAFECOOKIE COOKIEFILE="{folder}/cookie"'
    challenge = f"250 AUTHCHALLENGE SERVERHASH={'A' * 64} SERVERNONCE={'B' * 64}\n"
    answers = {
        "PROTOCOLINFO": f"250-PROTOCOLINFO 1\n250-AUTH {methods}\n250 OK\n",
        "AUTHCHALLENGE": challenge,
    }
    with fake_tor(answers) as (where, heard), pytest.raises(OnionError):
        connect(where).close()
    assert [line.split()[0] for line in heard] == ["PROTOCOLINFO", "AUTHCHALLENGE"]


def hashed_password() -> str:
    """Return a password as tor's torrc takes it."""
    done = subprocess.run(
        ["tor", "--quiet", "--hash-password", "secret"], capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def test_password_only(folder: Path, port: int) -> None:
    """A tor that takes nothing but a password says what to put into its torrc."""
    with running(folder, f"ControlPort {port}\nHashedControlPassword {hashed_password()}\n"):
        await_port(port)
        with pytest.raises(OnionError, match="CookieAuthentication 1"):
            connect(ControlAddress(port=port))


@contextlib.contextmanager
def server_that_says(answer: bytes) -> Iterator[ControlAddress]:
    """Serve ``answer`` to whoever says something, on a port of 127.0.0.1."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                request, _ = listener.accept()
                held.enter_context(request)
                request.recv(1000)
                request.sendall(answer)

    with contextlib.ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield ControlAddress(port=listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\xff", b"250 OK\r\n"]
)
def test_another_program(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that speaks something else is not taken for a tor."""
    monkeypatch.setattr(control, "ANSWER_WITHIN", 0.5)
    with server_that_says(answer) as where, pytest.raises(ControlForeignError, match="9051"):
        connect(where)


def test_silent_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that says nothing does not hold us up."""
    monkeypatch.setattr(control, "ANSWER_WITHIN", 0.3)
    begin = time.monotonic()
    with server_that_says(b"") as where, pytest.raises(ControlForeignError, match="9051"):
        connect(where)
    assert time.monotonic() - begin < 2


def test_killed_tor_is_noticed(folder: Path) -> None:
    """``lost`` is set within a second of the death of tor, and a question then is an error."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        with connect(tor.address) as link:
            assert not link.lost.is_set()
            tor.kill()
            assert link.lost.wait(1)
            with pytest.raises(ControlLostError, match=str(folder)):
                link.info("version")


def test_frozen_tor_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tor that hangs is given up after a time, not waited for for ever."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        with connect(tor.address) as link:
            monkeypatch.setattr(control, "ANSWER_WITHIN", 0.3)
            tor.process.send_signal(signal.SIGSTOP)
            with pytest.raises(ControlLostError):
                link.info("version")
            assert link.lost.is_set()


def test_unknown_question(link: Link) -> None:
    """A question that tor does not know is its refusal, in its words."""
    with pytest.raises(TorRefusedError, match="Unrecognized key"):
        link.info("no/such/thing")


def test_paths_that_tor_cannot_be_told() -> None:
    """A path too long for the kernel, or with a blank, is refused before tor sees it."""
    for text in ("/" + "x" * 107, "/with a blank", "/comma,comma", '/quote"', "/új"):
        with pytest.raises(OnionError):
            ControlAddress.parse(text)
    assert ControlAddress.parse("/" + "x" * 106).path == Path("/" + "x" * 106)
