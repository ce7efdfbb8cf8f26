"""What comes after the first day: releases, accidents, attackers, another day's start."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.deploy.desk import DOMAIN, Desk
from support.deploy.looks import Note, disk, lower, onion_of, serves
from support.deploy.machine import SERVER, Machine, Network, call
from support.deploy.readers import Clearnet, Crowd, onion_reader
from support.signed import content

if TYPE_CHECKING:
    from pathlib import Path

    from support.tornet import Reply, TorNetwork

PAGE = "/en/index.html"
PATHS = sorted(content(1))


class Asker:
    """Asks for a page and tells whether the answer was right; with a query nothing is cached."""

    def __init__(self, clearnet: Clearnet, query: str = "") -> None:
        self.clearnet = clearnet
        self.query = query

    def __call__(self) -> bool:
        """Ask once."""
        reply = self.clearnet.get(PAGE + self.query)
        return reply.status == 200 and b"en index release" in reply.body


def test_dripping_clients(server: Machine, clearnet: Clearnet, note: Note) -> None:
    """Whoever sends a head or a body byte by byte is cut after some seconds in all."""
    assert server.pid
    head = b"GET /en/ HTTP/1.1\r\nHost: cccr.example\r\nX-Drip: "
    body = b"POST /en/ HTTP/1.1\r\nHost: cccr.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    seconds: dict[str, float] = {}

    def drip(name: str, link: socket.socket, beginning: bytes) -> None:
        began = time.monotonic()
        with link:
            link.settimeout(0.5)
            try:
                link.sendall(beginning)
                while time.monotonic() < began + 60:
                    link.sendall(b"1")
                    try:
                        if not link.recv(4096):
                            break
                    except TimeoutError:
                        pass
            except OSError:
                pass
        seconds[name] = time.monotonic() - began

    # HTTP/2: the preface, empty settings, a head that never ends (RFC 9113, 3.4, 6.2, 6.5).
    frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\4\1\0\0\0\0"
    frames += b"\0\20\0\1\4\0\0\0\1"
    clearnet.context.set_alpn_protocols(["h2"])
    modern = clearnet.connect()
    clearnet.context.set_alpn_protocols(["http/1.1"])
    plain = socket.create_connection(("127.0.0.1", 80))
    drips = [
        ("head by http", plain, head),
        ("head by https", clearnet.connect(), head),
        ("body by https", clearnet.connect(), body),
        ("head by HTTP/2", modern, frames),
    ]
    threads = [threading.Thread(target=drip, args=each) for each in drips]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, taken in seconds.items():
        note(f"dripping {name} cut after", taken)
    # nginx counts HTTP/2's time otherwise; the firewall says how many links an address may hold.
    assert seconds.pop("head by HTTP/2") < 40
    assert max(seconds.values()) < 15


def test_flood_from_one_address(server: Machine, network: Network) -> None:
    """Who asks too fast gets 429 with the policy's headers; this machine itself has no limit."""
    ask = (
        "import collections, http.client, socket, ssl\n"
        "context = ssl._create_unverified_context()\n"
        f"plain = socket.create_connection(('{SERVER}', 443), 10)\n"
        f"c = http.client.HTTPConnection('{DOMAIN}')\n"
        f"c.sock = context.wrap_socket(plain, server_hostname='{DOMAIN}')\n"
        "counted, names = collections.Counter(), {}\n"
        "for _ in range(600):\n"
        "    c.request('GET', '/en/')\n"
        "    r = c.getresponse(); r.read()\n"
        "    counted[r.status] += 1; names[r.status] = {k.lower() for k, _ in r.getheaders()}\n"
        "assert counted[200] >= 200 and counted[429] > 50, counted\n"
        "assert 'server' not in names[429] and 'content-security-policy' in names[429]\n"
    )
    assert server.pid
    call("ip", "netns", "exec", network.admin, "python3", "-c", ask)


def test_release(
    desk: Desk, server: Machine, clearnet: Clearnet, hidden: Callable[[str], Reply], note: Note
) -> None:
    """The next release is there at once on both roads, and no request is dropped meanwhile."""
    with (
        Crowd(Asker(clearnet)) as cached,
        Crowd(Asker(clearnet, "?x")) as direct,
        Crowd(lambda: hidden(PAGE).status == 200, 1) as onion,
    ):
        done = desk.deploy("release", desk.release(2))
    assert [cached.failures, direct.failures, onion.failures] == [[], [], []]
    note(f"release: 0 of {cached.asked + direct.asked + onion.asked} requests failed", done.seconds)
    assert b"release 2" in clearnet.get(PAGE).body
    assert b"release 2" in hidden(PAGE).body
    assert serves(server, 2)


def test_release_in_disorder(
    desk: Desk, server: Machine, clearnet: Clearnet, tmp_path: Path
) -> None:
    """A release that was changed after it was signed does not leave the desk."""
    bad = tmp_path / "bad"
    call("cp", "-r", desk.release(3), bad)
    (bad / "en/index.html").write_text("not what was signed")
    done = desk.deploy("release", bad, status=1)
    assert "en/index.html" in done.words
    assert serves(server, 2)
    assert b"release 2" in clearnet.get(PAGE).body


def test_another_release_of_the_same_number(desk: Desk, server: Machine) -> None:
    """The server looks for itself: it takes no other release 2 than the one that it has."""
    mine = desk.release(2)
    before = disk(server)
    call("cp", "-r", mine, f"{mine}-kept")
    try:
        listed = (server.root / "srv/cccr-web/releases/2/SHA256SUMS").read_bytes()
        (server.root / "srv/cccr-web/releases/2/SHA256SUMS").write_bytes(listed + b"\n")
        done = desk.deploy("release", mine, status=1)
        assert "There is another release 2 on the server already." in done.words
    finally:
        (server.root / "srv/cccr-web/releases/2/SHA256SUMS").write_bytes(listed)
    assert len(disk(server).splitlines()) == len(before.splitlines())


def test_rollback(
    desk: Desk, server: Machine, clearnet: Clearnet, hidden: Callable[[str], Reply]
) -> None:
    """One command goes back, without a dropped request, and the journal says who did it."""
    with Crowd(Asker(clearnet)) as cached, Crowd(Asker(clearnet, "?x")) as direct:
        desk.deploy("rollback")
    assert [cached.failures, direct.failures] == [[], []]
    assert b"release 1" in clearnet.get(PAGE).body
    assert b"release 1" in hidden(PAGE).body
    assert serves(server, 1)
    said = server.run("journalctl", "--no-pager", "--identifier=cccr-web", "--output=cat")
    assert "root went back from release 2 to release 1" in said
    assert "There is no release older than 1" in desk.deploy("rollback", status=1).words
    # Setting up again does not bring back what was left; only “release” does.
    desk.write_settings(RELEASE=str(desk.release(2)))
    assert "which “rollback” has left" in desk.deploy("--offline", desk.bundle).words
    assert serves(server, 1)
    desk.deploy("release", desk.release(2))
    assert serves(server, 2)


def test_failure_leaves_the_site(desk: Desk, server: Machine, clearnet: Clearnet) -> None:
    """Settings that tor refuses change nothing; what to do is said."""
    torrc = desk.folder / "private.torrc"
    good = torrc.read_text()
    before = disk(server)
    torrc.write_text(good + "NoSuchOption 1\n")
    try:
        done = desk.deploy("--offline", desk.bundle, status=1)
    finally:
        torrc.write_text(good)
    assert "NoSuchOption" in done.words
    assert "The site is as it was before." in done.words or "Nothing was changed." in done.words
    assert [line for line in disk(server).splitlines() if line not in before] == []
    assert b"release 2" in clearnet.get(PAGE).body


def test_dry_run_of_a_change(desk: Desk, server: Machine) -> None:
    """A changed setting is shown as the lines that would change, and nothing is changed."""
    before = disk(server)
    desk.write_settings(REBOOT_AT="", RELEASE=str(desk.release(2)))
    done = desk.deploy("--dry-run", "--offline", desk.bundle)
    assert '-Unattended-Upgrade::Automatic-Reboot "true";' in done.words
    assert '+Unattended-Upgrade::Automatic-Reboot "false";' in done.words
    assert disk(server) == before
    desk.write_settings(RELEASE=str(desk.release(2)))


def test_restart(server: Machine, clearnet: Clearnet, note: Note) -> None:
    """A restart of our server under load fails nobody: requests wait in systemd's socket."""
    with Crowd(Asker(clearnet)) as cached, Crowd(Asker(clearnet, "?x"), 4, 0.0) as direct:
        for _ in range(3):
            direct.wait_for(50)
            server.run("systemctl", "restart", "cccr-web-clearnet.service")
        direct.wait_for(50)
    note(f"3 restarts: failed of {direct.asked} uncached requests", len(direct.failures), "")
    note(f"3 restarts: failed of {cached.asked} cached requests", len(cached.failures), "")
    assert [cached.failures, direct.failures] == [[], []]


def test_killed_under_load(server: Machine, clearnet: Clearnet, note: Note) -> None:
    """SIGKILL of our server fails at most the requests in flight, and none that is cached."""
    with Crowd(Asker(clearnet)) as cached, Crowd(Asker(clearnet, "?x"), 4, 0.0) as direct:
        for _ in range(3):
            direct.wait_for(100)
            os.kill(server.main_process("cccr-web-clearnet.service"), signal.SIGKILL)
        direct.wait_for(100)
    note(f"3 SIGKILL: failed of {direct.asked} uncached requests", len(direct.failures), "")
    note(f"3 SIGKILL: failed of {cached.asked} cached requests", len(cached.failures), "")
    assert cached.failures == []
    assert len(direct.failures) <= 3 * direct.readers


KILLED = {
    "cccr-web-clearnet.service": "clearnet",
    "cccr-web-onion.service": "onion",
    "cccr-web-manager.service": "manager",
    "nginx.service": "nginx",
    "tor@cccr.service": "tor",
}


@pytest.mark.parametrize("unit", KILLED)
def test_killed(
    server: Machine, clearnet: Clearnet, hidden: Callable[[str], Reply], unit: str, note: Note
) -> None:
    """Each process comes back by itself; meanwhile only those fail whom nobody else can answer."""
    process = server.main_process(unit)
    with (
        Crowd(Asker(clearnet)) as cached,
        Crowd(Asker(clearnet, "?x")) as direct,
        Crowd(lambda: hidden(PAGE).status == 200, 1, 0.2) as onion,
    ):
        direct.wait_for(20)
        began = time.monotonic()
        os.kill(process, signal.SIGKILL)
        time.sleep(1)
        while server.ask("systemctl", "is-active", unit).stdout != "active\n":
            time.sleep(0.1)
        if "tor" in unit:
            while not _answers(hidden) and time.monotonic() < began + 90:
                time.sleep(0.3)
            note("tor killed: the onion answers again after", time.monotonic() - began)
        if "nginx" in unit:
            note("nginx killed: requests fail for", direct.longest)
        direct.wait_for(20)
        onion.wait_for(2)
    for name, crowd in (("cached", cached), ("uncached", direct), ("onion", onion)):
        note(
            f"{KILLED[unit]} killed: failed of {crowd.asked} {name} requests",
            len(crowd.failures),
            "",
        )
    assert server.main_process(unit) != process
    assert hidden(PAGE).status == 200
    if unit.startswith("cccr-web"):
        assert cached.failures == []
        assert onion.failures == []


def _answers(hidden: Callable[[str], Reply]) -> bool:
    try:
        return hidden(PAGE).status == 200
    except (OSError, ConnectionError):
        return False


def test_hung_server(server: Machine, clearnet: Clearnet, note: Note) -> None:
    """A server that hangs is killed by its watchdog and started anew; the cache answers."""
    process = server.main_process("cccr-web-clearnet.service")
    began = time.monotonic()
    os.kill(process, signal.SIGSTOP)
    with Crowd(Asker(clearnet), 1, 0.1) as cached:
        while server.main_process_or_none("cccr-web-clearnet.service") in (process, None):
            assert time.monotonic() < began + 60
            time.sleep(0.2)
    note("hung server replaced after", time.monotonic() - began)
    assert cached.failures == []
    assert clearnet.get(PAGE + "?x").status == 200


def test_server_down(server: Machine, clearnet: Clearnet, hidden: Callable[[str], Reply]) -> None:
    """While our servers are down, the cache answers every address of the release on both roads."""
    units = [
        f"cccr-web-{road}.{kind}"
        for road in ("clearnet", "onion")
        for kind in ("socket", "service")
    ]
    server.run("systemctl", "stop", *units)
    try:
        for path in PATHS:
            for coding in ("", "gzip", "br"):
                reply = clearnet.get(f"/{path}", {"Accept-Encoding": coding})
                assert reply.status == 200, path
            assert clearnet.get(f"/{path}").body == content(2).get(
                path, clearnet.get(f"/{path}").body
            )
        assert b"release 2" in hidden("/zh-hans/").body
        refused = clearnet.get("/no/such/page.html")
        assert (refused.status, refused.body) == (502, b"")
        assert "server" not in lower(refused.headers)
        assert "content-security-policy" in lower(refused.headers)
    finally:
        server.run("systemctl", "start", *units)


def test_reboot(
    desk: Desk, server: Machine, clearnet: Clearnet, private_tor: TorNetwork, note: Note
) -> None:
    """After a new start everything comes back by itself, and the script has nothing to mend."""
    began = time.monotonic()
    server.reboot()
    # The reader's tor still knows the old way to the onion, and must give it up first; now and
    # then that takes minutes, and another reader gets there meanwhile.
    readers = [onion_reader(private_tor.socks_port, onion_of(server), 6)]
    while not any(_answers(reader) for reader in readers):
        words = ["journalctl", "--no-pager", "--boot", "--lines=80"]
        assert time.monotonic() < began + 150, server.run(*words)
        if time.monotonic() > began + 60 and len(readers) == 1:
            readers.append(onion_reader(private_tor.add_client("another"), onion_of(server), 6))
        time.sleep(0.3)
    note("reboot, until the onion answers", time.monotonic() - began)
    assert b"release 2" in clearnet.get(PAGE).body
    assert desk.deploy("--offline", desk.bundle).words.endswith("Nothing had to be changed.\n")


def test_nothing_about_readers_is_kept(server: Machine, network: Network) -> None:
    """No log holds an address of who has asked: neither the journal nor a file."""
    assert network.admin
    written = ["--exclude-dir=journal", "--exclude-dir=letsencrypt", "--exclude=apt/*"]
    for word in ("192.0.2.1", PAGE, "GET /"):
        found = server.ask("grep", "--recursive", "--text", "-l", "-F", *written, word, "/var/log")
        assert found.stdout == ""
    said = server.run(
        "journalctl", "--no-pager", "-u", "nginx", "-u", "cccr-web-*", "-u", "tor@cccr"
    )
    assert "192.0.2.1" not in said
    assert onion_of(server) in server.run("cat", "/etc/systemd/system/cccr-web-onion.service")
