"""The control connection: addresses, authentication and what each error says."""

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
from support.hosting import OFFLINE, RunningTor, forbidden
from support.tornet import free_ports

from cccr_web.errors import (
    CommandRejectedError,
    ControlForeignError,
    ControlLostError,
    ControlMissingError,
    OnionError,
)
from cccr_web.listen import Tcp, Unix
from cccr_web.onion import ControlAddress, ControlConnection, connect, control
from cccr_web.onion.control import parse_control_address

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def port() -> int:
    """A free port of 127.0.0.1."""
    return free_ports(1)[0]


def running(folder: Path, lines: str) -> RunningTor:
    """Return an offline tor with these torrc lines for its control port."""
    return RunningTor(folder / "tor", OFFLINE, control=lines)


def await_port(port: int) -> None:
    """Wait until a program listens on this port of 127.0.0.1."""
    for _ in range(3000):
        with contextlib.suppress(ConnectionRefusedError), socket.socket() as probe:
            probe.connect(("127.0.0.1", port))
            return
        time.sleep(0.02)
    raise AssertionError(port)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/tor/control", Unix(Path("/run/tor/control"))),
        ("unix:/run/tor/control", Unix(Path("/run/tor/control"))),
        ("9051", Tcp("127.0.0.1", 9051)),
        ("10.0.0.1:9151", Tcp("10.0.0.1", 9151)),
        ("[::1]:9051", Tcp("::1", 9051)),
    ],
)
def test_a_control_address_is_a_path_a_port_or_a_host_and_port(
    text: str, address: ControlAddress
) -> None:
    """A control address is a path, a port, or a host and a port."""
    assert parse_control_address(text) == address


@pytest.mark.parametrize("text", ["", "tor", "0", "65536", "host:", "unix:run/tor", "unix:9051"])
def test_other_text_is_not_a_control_address(text: str) -> None:
    """Any other text is rejected, and the error quotes it."""
    with pytest.raises(OnionError, match=f"{text!r} is not the address of a tor control port"):
        parse_control_address(text)


def test_a_missing_control_socket_is_named(folder: Path) -> None:
    """A missing control socket is named in the error."""
    with pytest.raises(
        ControlMissingError, match=f"unix:{folder}/none: No such file or directory[.]"
    ):
        connect(Unix(folder / "none"))


def test_a_closed_control_port_is_named(port: int) -> None:
    """A control port on which no program listens is named in the error."""
    with pytest.raises(ControlMissingError, match=f"127.0.0.1:{port}"):
        connect(Tcp("127.0.0.1", port))


def test_default_addresses_are_tried_in_turn(
    folder: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address the defaults are tried in turn, and all are named if none answers."""
    defaults = (Unix(folder / "none"), Tcp("127.0.0.1", port))
    monkeypatch.setattr(control, "DEFAULT_ADDRESSES", defaults)
    with pytest.raises(ControlMissingError, match=rf"unix:{folder}/none, 127\.0\.0\.1:{port}"):
        connect()
    with running(folder, f"ControlPort {port}\nCookieAuthentication 1\n"):
        await_port(port)
        with connect() as connection:
            assert connection.address == defaults[1]


def test_default_addresses_fit_debian_tor_and_tor_browser() -> None:
    """The default addresses are Debian's socket, tor's port and Tor Browser's port."""
    names = [str(address) for address in control.DEFAULT_ADDRESSES]
    assert names == ["unix:/run/tor/control", "127.0.0.1:9051", "127.0.0.1:9151"]


def test_a_forbidden_control_socket_names_the_group_to_join(folder: Path) -> None:
    """If this user may not open the control socket, the error names the group to join."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        with (
            forbidden(folder / "tor" / "control"),
            pytest.raises(OnionError, match=r"may not open tor's control socket .*debian-tor"),
        ):
            connect(tor.address)


def test_a_tor_without_authentication_is_accepted(folder: Path, port: int) -> None:
    """A tor that requires no authentication is used without any."""
    with running(folder, f"ControlPort {port}\n"):
        await_port(port)
        with connect(Tcp("127.0.0.1", port)) as connection:
            assert connection.info("version").startswith("0.")


def test_a_cookie_of_another_tor_is_reported(folder: Path) -> None:
    """A cookie file of another tor has an error of its own, unlike one that cannot be read."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        (folder / "tor" / "control_auth_cookie").write_bytes(bytes(32))
        with pytest.raises(OnionError, match=f"{folder}.* does not contain that tor's cookie"):
            connect(tor.address)


@pytest.mark.parametrize("password", ["", "HashedControlPassword {hashed}\n"])
def test_an_unreadable_cookie_is_named(folder: Path, port: int, password: str) -> None:
    """A cookie in a forbidden folder is named, even if tor would accept a password too."""
    lines = f"ControlPort {port}\nCookieAuthentication 1\n"
    with running(folder, lines + password.format(hashed=hashed_password())):
        await_port(port)
        with (
            forbidden(folder / "tor"),
            pytest.raises(OnionError, match=r"control_auth_cookie.*group debian-tor"),
        ):
            connect(Tcp("127.0.0.1", port))


def test_a_cookie_of_the_wrong_size_is_not_sent(folder: Path) -> None:
    """A truncated cookie file is rejected and never sent."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        (folder / "tor" / "control_auth_cookie").write_bytes(bytes(31))
        with pytest.raises(OnionError, match="wrong size"):
            connect(tor.address)


def test_the_cookie_is_never_sent_to_a_program_that_does_not_know_it(folder: Path) -> None:
    """A program that pretends to be tor does not learn the cookie, even if it asks for it."""
    cookie = bytes(range(32))
    (folder / "cookie").write_bytes(cookie)
    methods = f'METHODS=COOKIE,SAFECOOKIE COOKIEFILE="{folder}/cookie"'
    challenge = f"250 AUTHCHALLENGE SERVERHASH={'A' * 64} SERVERNONCE={'B' * 64}\n"
    answers = {
        "PROTOCOLINFO": f"250-PROTOCOLINFO 1\n250-AUTH {methods}\n250 OK\n",
        "AUTHCHALLENGE": challenge,
    }
    with (
        fake_tor(answers) as (address, received),
        pytest.raises(OnionError, match="does not contain that tor's cookie"),
    ):
        connect(address).close()
    assert [line.split()[0] for line in received] == ["PROTOCOLINFO", "AUTHCHALLENGE"]


def hashed_password() -> str:
    """Return a hashed password for a torrc."""
    done = subprocess.run(
        ["tor", "--quiet", "--hash-password", "secret"], capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def test_a_tor_with_only_a_password_names_the_torrc_option(folder: Path, port: int) -> None:
    """If tor accepts only a password, the error says what to add to its torrc."""
    with running(folder, f"ControlPort {port}\nHashedControlPassword {hashed_password()}\n"):
        await_port(port)
        with pytest.raises(OnionError, match=r"requires a password.*CookieAuthentication 1"):
            connect(Tcp("127.0.0.1", port))


@contextlib.contextmanager
def fake_server(answer: bytes) -> Iterator[ControlAddress]:
    """Send ``answer`` after the first data of each connection, on a port of 127.0.0.1."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                request, _ = listener.accept()
                stack.enter_context(request)
                request.recv(1000)
                request.sendall(answer)

    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Tcp("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\xff", b"250 OK\r\n"]
)
def test_another_protocol_is_not_taken_for_tor(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that speaks another protocol is not taken for tor."""
    monkeypatch.setattr(control, "REPLY_TIMEOUT", 0.5)
    with fake_server(answer) as address, pytest.raises(ControlForeignError, match="9051"):
        connect(address)


def test_a_silent_program_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that never answers does not block ``connect``."""
    monkeypatch.setattr(control, "REPLY_TIMEOUT", 0.3)
    begin = time.monotonic()
    with fake_server(b"") as address, pytest.raises(ControlForeignError, match="9051"):
        connect(address)
    assert time.monotonic() - begin < 2


def test_the_death_of_tor_is_detected(folder: Path) -> None:
    """``lost`` is set within a second after tor dies, and further commands are an error."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        with connect(tor.address) as connection:
            assert not connection.lost.is_set()
            tor.kill()
            assert connection.lost.wait(1)
            with pytest.raises(ControlLostError, match=str(folder)):
                connection.info("version")


def test_a_suspended_tor_times_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tor that hangs causes an error after the reply timeout."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        with connect(tor.address) as connection:
            monkeypatch.setattr(control, "REPLY_TIMEOUT", 0.3)
            tor.process.send_signal(signal.SIGSTOP)
            with pytest.raises(ControlLostError, match="stopped answering"):
                connection.info("version")
            assert connection.lost.is_set()


def test_an_unknown_key_is_reported_in_the_words_of_tor(connection: ControlConnection) -> None:
    """If tor does not know a GETINFO key, the error includes tor's reply."""
    with pytest.raises(CommandRejectedError, match="Unrecognized key"):
        connection.info("no/such/thing")


def test_paths_that_tor_cannot_use_are_rejected() -> None:
    """A path that is too long or contains special characters is rejected."""
    with pytest.raises(OnionError, match="too long for a unix socket"):
        parse_control_address("/" + "x" * 107)
    for text in ("/with a blank", "/comma,comma", '/quote"', "/új"):
        with pytest.raises(OnionError, match=f"Tor cannot use the path '{text}'"):
            parse_control_address(text)
    assert parse_control_address("/" + "x" * 106) == Unix(Path("/" + "x" * 106))
