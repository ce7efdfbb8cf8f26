"""Bridges: the forms in which people receive their lines, and a service behind a real one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command import run
from support.deploy.scripts import in_server
from support.hosting import Watched

from cccr_web.errors import OnionError
from cccr_web.onion import ManagedTor, OnionKey, Published, Service
from cccr_web.onion.bridges import PROGRAMS, torrc_lines

if TYPE_CHECKING:
    from support.tornet import TorNetwork

PRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
ANOTHER = "89ABCDEF0123456789ABCDEF0123456789ABCDEF"
CERT = "cert=" + "Ab1+/" * 14
OBFS4 = f"obfs4 192.0.2.7:443 {PRINT} {CERT} iat-mode=0"
SECOND = f"obfs4 [2001:db8::7]:9001 {ANOTHER} {CERT} iat-mode=1"
PLUGIN = "ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy\n"


def test_deployment_can_install_every_program(tmp_path: Path) -> None:
    """``deploy.sh`` knows the packages of all transports, which have the names of the programs."""
    done = in_server('printf "/usr/bin/%s\\n" "${PACKAGES_FOR_BRIDGES[@]}"', tmp_path)
    assert set(done.stdout.splitlines()) == set(PROGRAMS.values())


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
        f"{OBFS4}.",
        f"{OBFS4}。",
        f"({OBFS4}).",
        f"网桥：{OBFS4}",
        f"网桥{OBFS4}",
        f"Your bridges: {OBFS4}",
        f"[12:30, 1/2/2026] Ann: {OBFS4}",
        f"[2026/2/1 12:30:15] 安妮：{OBFS4}",
        f"Bridge1 {OBFS4}",
        f"Bridge 1: {OBFS4}",
        f"GetBridges {OBFS4}",
        f"{OBFS4} # from Ann",
        OBFS4.replace("iat-mode", "iat\u2011mode"),
        OBFS4.replace("obfs4 ", "obfs4\n", 1),
        OBFS4.replace(CERT, f"{CERT[:40]}\n{CERT[40:]}"),
        OBFS4.replace(CERT, f"\n{CERT[:40]}\n> {CERT[40:]}\n>"),
        OBFS4.replace(PRINT, f"{PRINT[:20]}\r\n{PRINT[20:]}"),
    ],
)
def test_a_bridge_line_is_understood_as_it_is_received(received: str) -> None:
    """Text before it, and the marks, blanks and line breaks that programs add, do not matter."""
    assert torrc_lines(received, "f") == f"UseBridges 1\n{PLUGIN}Bridge {OBFS4}\n"


@pytest.mark.parametrize(
    "received",
    [
        f"['{OBFS4}', '{SECOND}']",
        f'["{OBFS4}","{SECOND}"]',
        f"{OBFS4} {SECOND}",
        f"{OBFS4}, {SECOND}.",
        f"1. {OBFS4} 2. Bridge {SECOND}",
        f"{OBFS4} and bridge: {SECOND}",
    ],
)
def test_one_line_can_hold_several_bridges(received: str) -> None:
    """The QR code of bridges.torproject.org holds a list; other programs join lines."""
    lines = torrc_lines(received, "f")
    assert lines == f"UseBridges 1\n{PLUGIN}Bridge {OBFS4}\nBridge {SECOND}\n"


@pytest.mark.parametrize(
    "both",
    [
        (OBFS4, SECOND),
        (f"Bridge {OBFS4}", f"Bridge {SECOND}"),
        (f"192.0.2.7:443 {PRINT}", f"[2001:db8::7]:443 {ANOTHER}"),
        ("[2001:db8::7]:443", "192.0.2.8:443"),
        (OBFS4, f"192.0.2.8:443 {PRINT}"),
        (OBFS4.removesuffix(" iat-mode=0"), SECOND),
        (f"snowflake 192.0.2.3:80 {PRINT} front=a.example url=https://b.example/", SECOND),
        (f"snowflake 192.0.2.3:80 {PRINT} front=a.example", "192.0.2.8:443"),
    ],
    ids=str,
)
@pytest.mark.parametrize("mark", [",", ";", "，", "；", "、", "|", "','", "”,“"])
def test_a_mark_between_two_bridges_needs_no_blank(both: tuple[str, str], mark: str) -> None:
    """Programs join lines with a comma or a semicolon; neither bridge loses its last part."""
    assert torrc_lines(mark.join(both), "f") == torrc_lines("\n".join(both), "f")
    three = (*both, "192.0.2.9:9001")
    assert torrc_lines(mark.join(three), "f") == torrc_lines("\n".join(three), "f")


@pytest.mark.parametrize("mark", ["-", "+", "&", "/", "。", "和", "<br>", "\\n"])
def test_what_is_joined_to_the_next_bridge_is_not_dropped(mark: str) -> None:
    """What cannot be told from a part of a bridge is rejected, not lost."""
    try:
        lines = torrc_lines(OBFS4 + mark + SECOND, "f")
    except OnionError:
        return
    assert lines == torrc_lines(f"{OBFS4}\n{SECOND}", "f")


@pytest.mark.parametrize("bridge", ["192.0.2.7:443", f"192.0.2.7:443 {PRINT}", "[2001:db8::7]:443"])
@pytest.mark.parametrize(
    "before", ["", "vanilla ", "Bridge 1: ", "网桥：", "Ann: ", "The one of Ann "]
)
def test_a_plain_bridge_needs_no_program(before: str, bridge: str) -> None:
    """A bridge without a transport needs no program; its fingerprint is optional."""
    assert torrc_lines(before + bridge, "f") == f"UseBridges 1\nBridge {bridge}\n"


def test_text_becomes_a_comment() -> None:
    """Lines around the bridges hold no option of tor, and must not be read as one."""
    received = f"Here are your obfs4 bridges:\n```\n{OBFS4}\n```\nGood luck\n"
    assert torrc_lines(received, "f") == (
        "# Here are your obfs4 bridges:\n# ```\n# ```\n# Good luck\n"
        f"UseBridges 1\n{PLUGIN}Bridge {OBFS4}\n"
    )


@pytest.mark.parametrize("received", ["Hello", "# mine\nusebridge 1", "Bridge obfs4"])
def test_a_file_of_text_alone_is_rejected(received: str) -> None:
    """Without its bridges tor would connect directly, and be seen."""
    with pytest.raises(OnionError, match="f holds neither a bridge nor an option of tor"):
        torrc_lines(received, "f")


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
    others = (
        "SocksPort 127.0.0.1:9050\nLog notice \\\n  file /dev/null\n%include /etc/x\n"
        "+ReachableAddresses 192.0.2.1:443\nusebridges 0\n__DirPort 0\n# comment 192.0.2.1:443\n"
    )
    assert torrc_lines(others, "f") == others
    assert torrc_lines("\n", "f") == ""


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
        (f"192.0.2.7 {PRINT}", "f:1: “192.0.2.7” is not the IP address and port"),
        (f"Here it is: {PRINT}", f"“{PRINT}” is not the IP address and port"),
        (f"192.0.2.8 {OBFS4}", "“192.0.2.8” is not the IP address and port"),
        ("bridge://obfs4+192.0.2.7:443", "“bridge://obfs4+192.0.2.7:443” is not the IP"),
        ("webtunnel [2001:db8::1] url=https://a.example/", "“[2001:db8::1]” is not the IP"),
        (f"{OBFS4} [12:30]", "“[12:30]” is neither"),
        (OBFS4.replace("iat-mode=0", "iat-mode=9"), "“iat-mode=9” is not “iat-mode=” and 0, 1 or"),
        (OBFS4.replace(CERT, f"{CERT[:40]}\n{CERT[45:]}"), "no complete “cert=”"),
        (f"{OBFS4} novel 192.0.2.8:443", "“novel” is neither"),
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
    assert (done.exit_code, "received cannot be read: it is not UTF-8. " in done.stderr) == (
        1,
        True,
    )


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


@pytest.mark.parametrize("line", ["UseBridges 0", " usebridges  0 # none", '+UseBridges "0"'])
def test_bridges_that_an_option_turns_off_are_rejected(line: str) -> None:
    """Nobody connects without the bridges in the file and believes that they are used."""
    for text in (f"{line}\n{OBFS4}\n", f"{OBFS4}\n{line}\n"):
        with pytest.raises(OnionError, match=r"^f has bridges, but “UseBridges 0” keeps tor from"):
            torrc_lines(text, "f")
    assert torrc_lines(f"{line}\n", "f") == f"{line}\n"
