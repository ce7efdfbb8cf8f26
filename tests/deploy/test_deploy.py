"""A server's life, on a real Debian: from fresh to live, through its releases and its accidents.

The tests stand in the order of that life, each on what the ones before have made.
"""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.deploy.desk import DOMAIN, Desk
from support.deploy.looks import Note, by_connection, disk, lower, onion_of, policy
from support.deploy.machine import SERVER, Machine, Network
from support.deploy.readers import Clearnet, plainly, raw
from support.signed import content

if TYPE_CHECKING:
    from support.tornet import Reply, TorNetwork

PAGE = "/en/index.html"


def test_dry_run_of_a_fresh_server(desk: Desk, server: Machine) -> None:
    """It shows what would be written, line by line, and changes nothing on the disk."""
    before = disk(server)
    done = desk.deploy("--dry-run", "--offline", desk.bundle)
    assert disk(server) == before
    assert "would install from Debian: " in done.words
    assert "+SocksPort 0" in done.words
    assert "Nothing was changed." in done.words


def test_install(desk: Desk, server: Machine, private_tor: TorNetwork, note: Note) -> None:
    """One command, from a fresh Debian to an onion that answers: under five minutes."""
    began = time.monotonic()
    done = desk.deploy("--offline", desk.bundle)
    onion = onion_of(server)
    assert f"clearnet https://{DOMAIN}/\nonion http://{onion}/\n" in done.output
    reply = private_tor.fetch_until(f"http://{onion}{PAGE}", 60)
    assert b"release 1" in reply.body
    seconds = time.monotonic() - began
    note("fresh Debian to answering onion", seconds)
    assert seconds < 300
    assert server.run("systemctl", "--failed", "--no-legend") == ""


def test_second_run(desk: Desk, server: Machine, note: Note) -> None:
    """It changes nothing, says so, and takes less than a minute."""
    before = disk(server)
    done = desk.deploy("--offline", desk.bundle)
    assert done.words.endswith("Nothing had to be changed.\n"), done.words
    note("second run", done.seconds)
    assert done.seconds < 60
    assert disk(server) == before


def test_written_files_are_in_order(server: Machine) -> None:
    """Programs accept their configuration by their own checks, after the fact too."""
    server.run("nginx", "-t", "-c", "/etc/cccr-web/nginx/nginx.conf")
    server.run("nft", "--check", "--file", "/etc/cccr-web/nftables.conf")
    torrc = ["--defaults-torrc", "/run/tor-instances/cccr.defaults", "--verify-config"]
    server.run("tor", *torrc, "-f", "/etc/tor/instances/cccr/torrc")
    folder = server.root / "etc/systemd/system"
    found = [f"/etc/systemd/system/{unit.name}" for unit in folder.glob("cccr-web-*.[s]*")]
    units = [unit for unit in found if unit.endswith((".service", ".socket"))]
    assert len(units) == 5
    done = server.ask("systemd-analyze", "verify", "--recursive-errors=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", ["clearnet", "onion", "manager"])
def test_sandbox(server: Machine, unit: str, note: Note) -> None:
    """Each unit of ours scores at most 1.0 (lower is safer)."""
    said = server.run("systemd-analyze", "security", "--no-pager", f"cccr-web-{unit}.service")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found is not None
    note(f"systemd-analyze security cccr-web-{unit}", float(found[1]), "")
    assert float(found[1]) <= 1.0


def test_no_network(server: Machine) -> None:
    """Our processes have no network but the loopback of their own."""
    for unit in ("clearnet", "onion", "manager"):
        process = server.main_process(f"cccr-web-{unit}.service")
        lines = Path(f"/proc/{process}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in lines] == ["lo"]


def test_firewall(server: Machine, network: Network) -> None:
    """From outside only ssh, http and https can be reached, whatever else listens."""
    with socket.create_server(("0.0.0.0", 9999)):  # noqa: S104  # in a namespace of the tests
        reached = [port for port in (22, 80, 443, 9999, 9050) if reaches(network, port)]
    assert reached == [22, 80, 443]
    listening = server.run("ss", "--numeric", "--listening", "--tcp", "--no-header", "--processes")
    ours = {line.split()[3].rpartition(":")[2] for line in listening.splitlines() if "pid=" in line}
    assert ours <= {"22", "80", "443"}


def test_connections_of_one_address(server: Machine, network: Network) -> None:
    """One address may hold 200 connections and no more: a crowd of slow ones leaves room."""
    connect = (
        "import socket\n"
        "held = []\n"
        "for _ in range(210):\n"
        "    link = socket.socket(); link.settimeout(0.2)\n"
        "    try:\n"
        f"        link.connect(('{SERVER}', 443)); held.append(link)\n"
        "    except TimeoutError:\n"
        "        link.close()\n"
        "print(len(held))\n"
    )
    assert server.pid
    command = ["ip", "netns", "exec", network.admin, "python3", "-c", connect]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert 190 <= int(done.stdout) <= 200


def reaches(network: Network, port: int) -> bool:
    """Tell whether the admin's side can connect to the machine's port."""
    knock = f"exec 3<>/dev/tcp/{SERVER}/{port}"
    command = ["ip", "netns", "exec", network.admin, "timeout", "1", "bash", "-c", knock]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_clearnet_page(server: Machine, clearnet: Clearnet) -> None:
    """A page over https: the signed bytes, and the policy's headers, each once, and no other."""
    reply = clearnet.get(PAGE)
    assert reply.status == 200
    assert reply.body == content(1)["en/index.html"]
    found = by_connection(lower(reply.headers))
    own = {"content-type", "etag", "onion-location", "vary", "accept-ranges", "cache-control"}
    wanted = {name.lower(): value for name, value in policy(server, "clearnet").items()}
    del wanted["cache-control"]
    assert {name: value for name, value in found.items() if name not in own} == wanted
    assert found["onion-location"] == f"http://{onion_of(server)}{PAGE}"
    assert found["cache-control"] == "public, max-age=300"


def test_onion_page(server: Machine, hidden: Callable[[str], Reply]) -> None:
    """A page by the onion: the same bytes, and the onion's headers."""
    reply = hidden(PAGE)
    assert reply.body == content(1)["en/index.html"]
    found = by_connection(lower(reply.headers))
    wanted = {name.lower(): value for name, value in policy(server, "onion").items()}
    del wanted["cache-control"]
    own = {"content-type", "etag", "vary", "accept-ranges", "cache-control"}
    assert {name: value for name, value in found.items() if name not in own} == wanted


def test_codings(clearnet: Clearnet) -> None:
    """The cache gives each reader the coding that our server would."""
    for accepted in ("br, gzip", "gzip, deflate", "gzip;q=0.5, identity", "", "zstd"):
        direct = clearnet.get(f"{PAGE}?not-cached", {"Accept-Encoding": accepted})
        cached = clearnet.get(PAGE, {"Accept-Encoding": accepted})
        assert cached.body == direct.body
        for name in ("content-encoding", "vary", "etag"):
            assert lower(cached.headers).get(name) == lower(direct.headers).get(name), accepted


def test_conditions(clearnet: Clearnet) -> None:
    """A reader who has a page already is told so; a part of a large file is a part."""
    tag = lower(clearnet.get(PAGE).headers)["etag"]
    assert clearnet.get(PAGE, {"If-None-Match": tag}).status == 304
    assert clearnet.get(PAGE, {"If-Match": '"another"'}).status == 412


def test_language(clearnet: Clearnet) -> None:
    """What depends on the reader's language is not cached."""
    for language in ("en", "zh-CN", "en"):
        reply = clearnet.get("/", {"Accept-Language": language})
        assert lower(reply.headers)["location"] == ("/en/" if language == "en" else "/zh-hans/")


def test_redirect(clearnet: Clearnet) -> None:
    """Plain http leads to https at the same name, with the path and the query."""
    reply = plainly("/en/?a=b", {"Host": DOMAIN})
    assert (reply.status, reply.body) == (301, b"")
    assert lower(reply.headers)["location"] == f"https://{DOMAIN}/en/?a=b"
    assert "strict-transport-security" not in lower(reply.headers)
    assert lower(clearnet.get(PAGE).headers)["strict-transport-security"]


def test_tls(clearnet: Clearnet) -> None:
    """HTTP/2 is offered; an old TLS is refused, and so is another name."""
    clearnet.context.set_alpn_protocols(["h2", "http/1.1"])
    with clearnet.connect() as link:
        assert (link.selected_alpn_protocol(), link.version()) == ("h2", "TLSv1.3")
    clearnet.context.set_alpn_protocols(["http/1.1"])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    for name, context in ((DOMAIN, old), ("other.example", _any_certificate())):
        if context is old:
            with pytest.warns(DeprecationWarning, match="TLS"):
                old.maximum_version = old.minimum_version = ssl.TLSVersion.TLSv1_1
        with socket.create_connection(("127.0.0.1", 443)) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=name)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


OWN_ANSWERS = {
    400: b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    405: b"TRACE / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
    413: b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 9\r\n\r\nnine byte",
    414: b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: %s\r\n\r\n",
    421: b"GET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n",
    501: b"GET / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: odd\r\n\r\n",
}


@pytest.mark.parametrize("road", ["clearnet", "plain", "onion"])
@pytest.mark.parametrize("status", OWN_ANSWERS)
def test_own_answers(server: Machine, clearnet: Clearnet, status: int, road: str) -> None:
    """What nginx answers by itself carries the policy's headers, and says nothing of nginx."""
    if road == "clearnet":
        connection: socket.socket = clearnet.connect()
    elif road == "plain":
        connection = socket.create_connection(("127.0.0.1", 80))
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"/proc/{server.pid}/root/run/cccr-front/onion.sock")
    name = onion_of(server) if road == "onion" else DOMAIN
    with connection:
        got = raw(connection, OWN_ANSWERS[status].replace(b"%s", name.encode()))
    head, _, body = got.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    if road == "onion" and status == 421:
        assert b"nginx" not in got  # our server's own page
        return
    assert int(first.split()[1]) == status, got
    found = by_connection(lower([tuple(line.split(": ", 1)) for line in lines]))  # type: ignore[misc]
    found.pop("location", None)
    wanted = policy(server, "onion" if road == "onion" else "clearnet")
    if road == "plain":
        del wanted["Strict-Transport-Security"]
    assert found == {name.lower(): value for name, value in wanted.items()}
    assert body == b""
