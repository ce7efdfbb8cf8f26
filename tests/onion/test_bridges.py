"""Bridges: the forms in which people receive their lines, and a service behind a real one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command import run
from support.hosting import Watched

from cccr_web.errors import OnionError
from cccr_web.onion import ManagedTor, OnionKey, Published, Service, torrc_lines

if TYPE_CHECKING:
    from support.tornet import TorNetwork

PRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
ANOTHER = "89ABCDEF0123456789ABCDEF0123456789ABCDEF"
CERT = "cert=" + "Ab1+/" * 14
OBFS4 = f"obfs4 192.0.2.7:443 {PRINT} {CERT} iat-mode=0"
SECOND = f"obfs4 [2001:db8::7]:9001 {ANOTHER} {CERT} iat-mode=1"
PLUGIN = "ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy\n"


@pytest.mark.parametrize(
    "received",
    [
        f"Bridge {OBFS4}",
        f"bridge: {OBFS4}\r\n",
        f"\ufeff{OBFS4}",
        f"  {OBFS4}  ",
        f"> {OBFS4}",
        f">> 1. {OBFS4}",
        f"-{OBFS4}",
        f"• `{OBFS4}`",
        f"“{OBFS4}”,",
        OBFS4.replace(" ", "\u00a0"),
        OBFS4.replace("obfs4 ", "Obfs4 \u200b", 1),
        OBFS4.replace(PRINT, f"${PRINT.lower()}"),
        OBFS4.replace(f" {CERT}", f"\n  {CERT}\n "),
        OBFS4.replace(f" {PRINT}", f"\r\n{PRINT}"),
        f"{OBFS4}\n\n{OBFS4}",
    ],
)
def test_a_bridge_line_is_understood_as_it_is_received(received: str) -> None:
    """Bullets, quotation marks, blanks and line breaks that programs add do not matter."""
    assert torrc_lines(received, "f") == f"UseBridges 1\n{PLUGIN}Bridge {OBFS4}\n"


def test_a_list_from_a_qr_code_is_several_bridges() -> None:
    """The QR code of bridges.torproject.org holds a list of quoted lines."""
    lines = torrc_lines(f"['{OBFS4}', '{SECOND}']", "f")
    assert lines == f"UseBridges 1\n{PLUGIN}Bridge {OBFS4}\nBridge {SECOND}\n"


@pytest.mark.parametrize("received", ["192.0.2.7:443", f"192.0.2.7:443 {PRINT}"])
def test_a_plain_bridge_needs_no_program(received: str) -> None:
    """A bridge without a transport needs no program; its fingerprint is optional."""
    assert torrc_lines(received, "f") == f"UseBridges 1\nBridge {received}\n"


def test_a_fingerprint_in_groups_is_joined() -> None:
    """Tor prints fingerprints in groups of four."""
    groups = " ".join(PRINT[at : at + 4] for at in range(0, 40, 4))
    assert torrc_lines(f"192.0.2.7:443 {groups}", "f").endswith(f"Bridge 192.0.2.7:443 {PRINT}\n")


def test_snowflake_gets_the_front_that_the_client_of_debian_12_knows() -> None:
    """Of several fronts of a snowflake bridge the first is used, under the older name."""
    line = f"snowflake 192.0.2.3:80 {PRINT} url=https://a.example/ fronts=b.example,c.example"
    assert torrc_lines(line, "f") == (
        "UseBridges 1\nClientTransportPlugin snowflake exec /usr/bin/snowflake-client\n"
        f"Bridge snowflake 192.0.2.3:80 {PRINT} url=https://a.example/ front=b.example\n"
    )


def test_other_lines_are_kept_and_not_repeated() -> None:
    """Lines of torrc and comments stay; an own program is not replaced."""
    own = (
        "# mine\nUseBridges 1\nClientTransportPlugin webtunnel exec /opt/webtunnel\nHTTPProxy a:1\n"
    )
    web = f"webtunnel [2001:db8::1]:443 {PRINT} url=https://a.example/x ver=0.0.1"
    assert torrc_lines(own + web, "f") == f"{own}Bridge {web}\n"
    assert torrc_lines("SocksPort 0\n", "f") == "SocksPort 0\n"


@pytest.mark.parametrize(
    ("received", "words"),
    [
        (f"webtunnel [2001:db8::1]:443 {PRINT} url=https://a.example/x", "transport webtunnel"),
        (f"Bridge conjure 192.0.2.3:80 {PRINT} url=https://a.example/", "transport conjure"),
        (f"novel 192.0.2.3:80 {PRINT}", "the transport novel"),
        (f"obfs4 bridge.example:443 {PRINT} {CERT}", "f:1: “bridge.example:443” is not the IP"),
        (f"obfs4 192.0.2.7 {PRINT} {CERT}", "“192.0.2.7” is not the IP address and port"),
        (f"obfs4 192.0.2.777:443 {PRINT} {CERT}", "“192.0.2.777:443” is not the IP address"),
        (f"obfs4 192.0.2.7:70000 {PRINT} {CERT}", "“192.0.2.7:70000” is not the IP address"),
        (f"\n\nobfs4 192.0.2.7:443 {PRINT[:-1]} {CERT}", f"f:3: “{PRINT[:-1]}” is neither"),
        (f"obfs4 192.0.2.7:443 {PRINT} {CERT[:-9]} iat-mode=0", "no complete “cert=”"),
        (f"obfs4 192.0.2.7:443 {PRINT}", "no complete “cert=”"),
        (f"192.0.2.7:443 {PRINT} {CERT}", "has arguments but no transport"),
        (f"snowflake 192.0.2.3:80 {PRINT} ice={'x' * 600}", "are too long for tor"),
    ],
)
def test_a_line_that_is_no_bridge_is_rejected_with_its_reason(received: str, words: str) -> None:
    """A damaged line is named with its number; a transport without a program is called that."""
    with pytest.raises(OnionError) as caught:
        torrc_lines(received, "f")
    assert words in caught.value.problem
    assert caught.value.remedy


def test_the_command_prints_torrc_lines(tmp_path: Path) -> None:
    """``onion torrc`` prints what tor needs, or one sentence about what is wrong."""
    file = tmp_path / "received"
    file.write_text(f"> {OBFS4}\n")
    assert run("onion", "torrc", str(file)).stdout == f"UseBridges 1\n{PLUGIN}Bridge {OBFS4}\n"
    file.write_bytes(b"\xff\xfe")
    done = run("onion", "torrc", str(file))
    assert (done.exit_code, "cannot be read" in done.stderr) == (1, True)


def test_a_missing_program_of_a_transport_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A managed tor that needs a program which is not installed says how to install it."""
    monkeypatch.setattr(
        "shutil.which", lambda name, path="": None if path == "" else f"/bin/{name}"
    )
    extra = folder / "received"
    extra.write_text(OBFS4)
    with pytest.raises(OnionError, match="apt install obfs4proxy"):
        ManagedTor(folder / "tor", extra=extra).open()


def test_a_service_is_published_through_a_received_obfs4_bridge(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey
) -> None:
    """A tor that is given a bridge line as received publishes the service through that bridge."""
    line = tor_network.add_bridge("bridge")
    begin, arguments = line.split(" cert=")
    extra = folder / "received"
    extra.write_text(f"{tor_network.torrc_lines}\n> 1. {begin}\r\n>   cert={arguments}\r\n")
    tor = ManagedTor(folder / "tor", extra=extra)
    with Watched(Service(key, web), tor) as watched:
        watched.wait_for(Published, 120)
        with tor.open() as link:
            guards = link.info("entry-guards").split("\n")
    fingerprint = line.split()[2]
    assert [guard.startswith(f"${fingerprint}") for guard in guards if guard] == [True]
