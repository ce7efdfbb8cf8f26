"""After the first day: floods, releases, failures and a reboot."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.deploy.admin import DOMAIN, AdminMachine
from support.deploy.clients import ClearnetClient, Drips, Load, OnionReader, onion_client
from support.deploy.inspection import (
    disk_state,
    lower,
    onion_address,
    serves_release,
    wait_for_published,
)
from support.deploy.machine import SERVER, Machine, Network, call
from support.signed import content

if TYPE_CHECKING:
    from pathlib import Path

    from support.measurements import Recorder
    from support.tornet import Reply, TorNetwork

PAGE = "/en/index.html"
PATHS = sorted(content(1))


class PageRequest:
    """Requests a page and tells whether the response was right. A query bypasses the cache."""

    def __init__(self, clearnet: ClearnetClient, query: str = "") -> None:
        self.clearnet = clearnet
        self.query = query

    def __call__(self) -> bool:
        """Send one request."""
        reply = self.clearnet.get(PAGE + self.query)
        return reply.status == 200 and b"en index release" in reply.body


def test_a_hung_server_is_killed_and_restarted(
    server: Machine, clearnet: ClearnetClient, note: Recorder
) -> None:
    """systemd's watchdog kills and restarts a hung server; the cache answers meanwhile."""
    process = server.main_process("cccr-web-clearnet.service")
    began = time.monotonic()
    os.kill(process, signal.SIGSTOP)
    with Load(PageRequest(clearnet), 1, 0.1) as cached:
        while server.main_process_or_none("cccr-web-clearnet.service") in (process, None):
            assert time.monotonic() < began + 60
            time.sleep(0.2)
    note("hung server replaced after", time.monotonic() - began)
    assert cached.failures == []
    assert clearnet.get(PAGE + "?x").status == 200


def test_a_release_that_may_not_be_read_leaves_the_last_good_one(
    server: Machine, clearnet: ClearnetClient
) -> None:
    """A reload and a restart without access to the release serve the last good copy."""
    unit = "cccr-web-clearnet.service"
    link = server.root / "srv/cccr-web/current"
    release = server.run("readlink", "--canonicalize", "/srv/cccr-web/current").strip()
    number = release.rpartition("/")[2]
    before = str(link.readlink())
    process = server.main_process(unit)
    server.run("chmod", "0", release)
    try:
        server.run("systemctl", "reload", unit)
        wait_for_status(server, unit, f"(release={number} reloads=", "result=rejected)")
        assert server.main_process(unit) == process
        server.run("systemctl", "restart", unit)
        wait_for_status(server, unit, f"(release={number} reloads=0 ")
        assert clearnet.get(PAGE + "?x").status == 200
        server.run(
            "ln", "--symbolic", "--no-dereference", "--force", "/none", "/srv/cccr-web/current"
        )
        server.run("systemctl", "restart", unit)
        wait_for_status(server, unit, f"(release={number} reloads=0 ")
    finally:
        server.run("chmod", "755", release)
        server.run(
            "ln", "--symbolic", "--no-dereference", "--force", before, "/srv/cccr-web/current"
        )
    server.run("systemctl", "reload", unit)
    wait_for_status(server, unit, f"Serving release {number}", f"(release={number} reloads=1 ")
    assert "PermissionError" not in server.run("journalctl", "--no-pager", f"--unit={unit}")


def wait_for_status(server: Machine, unit: str, *parts: str) -> None:
    """Wait until the unit's status text contains all of ``parts``."""
    deadline = time.monotonic() + 30
    while True:
        text = server.run("systemctl", "show", "--property=StatusText", "--value", unit)
        if all(part in text for part in parts):
            return
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


def test_slow_senders_are_disconnected(drips: Drips, note: Recorder) -> None:
    """A client that sends a head or a body byte by byte is disconnected after some seconds."""
    seconds = drips.wait()
    for name, taken in seconds.items():
        note(f"dripping {name} closed after", taken)
    # nginx times HTTP/2 differently; the firewall limits the connections of an address.
    assert seconds.pop("head over HTTP/2") < 40
    assert len(seconds) == 3
    assert max(seconds.values()) < 15


def test_a_flood_from_one_address_gets_429(server: Machine, network: Network) -> None:
    """An address that sends too many requests gets 429 with the policy's headers."""
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


def test_a_release_drops_no_request(
    admin: AdminMachine,
    server: Machine,
    clearnet: ClearnetClient,
    hidden: Callable[[str], Reply],
    note: Recorder,
) -> None:
    """The clearnet and the onion both switch to the next release without dropping a request."""
    with (
        Load(PageRequest(clearnet)) as cached,
        Load(PageRequest(clearnet, "?x")) as direct,
        Load(lambda: hidden(PAGE).status == 200, 1) as onion,
    ):
        done = admin.deploy("release", admin.release(2))
    assert [cached.failures, direct.failures, onion.failures] == [[], [], []]
    note(f"release: 0 of {cached.sent + direct.sent + onion.sent} requests failed", done.seconds)
    assert b"release 2" in clearnet.get(PAGE).body
    assert b"release 2" in hidden(PAGE).body
    assert serves_release(server, 2)


def test_a_modified_release_is_not_sent_to_the_server(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient, tmp_path: Path
) -> None:
    """A release that was changed after signing fails on the admin's machine."""
    bad = tmp_path / "bad"
    call("cp", "-r", admin.release(3), bad)
    (bad / "en/index.html").write_text("not what was signed")
    done = admin.deploy("release", bad, status=1)
    assert "en/index.html" in done.stderr
    assert serves_release(server, 2)
    assert b"release 2" in clearnet.get(PAGE).body


def test_a_different_release_with_the_same_sequence_is_rejected(
    admin: AdminMachine, server: Machine
) -> None:
    """The server rejects a release 2 that differs from the release 2 that it has."""
    mine = admin.release(2)
    before = disk_state(server)
    call("cp", "-r", mine, f"{mine}-kept")
    try:
        listed = (server.root / "srv/cccr-web/releases/2/SHA256SUMS").read_bytes()
        (server.root / "srv/cccr-web/releases/2/SHA256SUMS").write_bytes(listed + b"\n")
        done = admin.deploy("release", mine, status=1)
        assert "The server already has a different release 2." in done.stderr
    finally:
        (server.root / "srv/cccr-web/releases/2/SHA256SUMS").write_bytes(listed)
    assert len(disk_state(server).splitlines()) == len(before.splitlines())


def test_a_release_that_one_server_rejects_is_undone_on_the_other(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient
) -> None:
    """If the onion's server rejects a release, the clearnet's returns to the one before.

    nginx forgets what it cached of the rejected release.
    """

    def cache_new_page() -> bool:
        return clearnet.get("/en/only-in-4.html").status in (200, 404)

    state = server.root / "var/lib/private"
    # The onion's server, which is reloaded last, believes that it has served release 9.
    guard = state / "cccr-web-onion/highest-sequence"
    highest = guard.read_text()
    guard.write_text(f"9 {'0' * 64}\n")
    try:
        with (
            Load(PageRequest(clearnet)) as cached,
            Load(PageRequest(clearnet, "?x")) as direct,
            Load(cache_new_page),
        ):
            done = admin.deploy("release", admin.release(4), status=1)
    finally:
        guard.write_text(highest)
    assert "The onion server rejected release 4 and still serves release 2." in done.stderr
    assert [cached.failures, direct.failures] == [[], []]
    assert serves_release(server, 2)
    assert b"release 2" in clearnet.get(PAGE + "?x").body
    assert clearnet.get("/en/only-in-4.html").status == 404
    assert (state / "cccr-web-clearnet/highest-sequence").read_text().startswith("2 ")
    server.run("rm", "--recursive", "/srv/cccr-web/releases/4")


def test_rollback_drops_no_request_and_is_logged(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient, hidden: Callable[[str], Reply]
) -> None:
    """One command goes back to the previous release, and the journal records who did it."""
    with Load(PageRequest(clearnet)) as cached, Load(PageRequest(clearnet, "?x")) as direct:
        admin.deploy("rollback")
    assert [cached.failures, direct.failures] == [[], []]
    assert b"release 1" in clearnet.get(PAGE).body
    assert b"release 1" in hidden(PAGE).body
    assert serves_release(server, 1)
    logged = server.run("journalctl", "--no-pager", "--identifier=cccr-web", "--output=cat")
    assert "root went back from release 2 to release 1" in logged
    assert "The server has no release older than 1" in admin.deploy("rollback", status=1).stderr
    # Installing again does not return to the release that was rolled back; only “release” does.
    admin.write_settings(RELEASE=str(admin.release(2)))
    assert "which was rolled back" in admin.deploy("--offline", admin.bundle).stderr
    assert serves_release(server, 1)


def test_an_interrupted_release_is_completed(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient, hidden: Callable[[str], Reply]
) -> None:
    """If a run was killed after it pointed ``current`` to a release, the next one switches to it.

    The part of nginx's cache key is the release that the servers report.
    """
    partial = server.root / "srv/cccr-web/releases/.partial"
    partial.mkdir()
    link = server.root / "srv/cccr-web/current"
    link.unlink()
    link.symlink_to("/srv/cccr-web/releases/2")
    assert serves_release(server, 1)
    admin.deploy("release", admin.release(2))
    assert serves_release(server, 2)
    assert b"release 2" in clearnet.get(PAGE).body
    assert b"release 2" in hidden(PAGE).body
    keys = (server.root / "etc/cccr-web/nginx/release.conf").read_text()
    assert sorted(re.findall(r"^  (clearnet|onion) \"2-", keys, re.MULTILINE)) == [
        "clearnet",
        "onion",
    ]
    assert not partial.exists()


def test_a_release_reports_a_server_that_does_not_run(admin: AdminMachine, server: Machine) -> None:
    """``release`` fails and names a stopped server, and an install starts it."""
    server.run("systemctl", "stop", "cccr-web-onion.socket", "cccr-web-onion.service")
    done = admin.deploy("release", admin.release(2), status=1)
    assert "The onion server is not running." in done.stderr
    admin.deploy("--offline", admin.bundle)
    assert serves_release(server, 2)


def test_a_failed_install_leaves_the_site_unchanged(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient
) -> None:
    """Settings that tor rejects change nothing, and the message says why."""
    torrc = admin.folder / "private.torrc"
    good = torrc.read_text()
    before = disk_state(server)
    torrc.write_text(good + "NoSuchOption 1\n")
    try:
        done = admin.deploy("--offline", admin.bundle, status=1)
    finally:
        torrc.write_text(good)
    assert "NoSuchOption" in done.stderr
    assert "The site is unchanged." in done.stderr or "Nothing was changed." in done.stderr
    assert set(disk_state(server).splitlines()) <= set(before.splitlines())
    assert b"release 2" in clearnet.get(PAGE).body


def test_a_dry_run_shows_a_changed_setting_as_a_diff(admin: AdminMachine, server: Machine) -> None:
    """A dry run shows a changed setting as the lines that would change, and changes nothing.

    A received obfs4 bridge brings its program, and turns off tor's filter of system calls.
    """
    before = disk_state(server)
    bridge = f"obfs4 192.0.2.9:443 {'AB12' * 10} cert={'Ab1+/' * 14} iat-mode=0"
    torrc = admin.folder / "bridges"
    torrc.write_text(f"{(admin.folder / 'private.torrc').read_text()}> {bridge}\n")
    admin.write_settings(REBOOT_AT="", RELEASE=str(admin.release(2)), TORRC=str(torrc))
    done = admin.deploy("--dry-run", "--offline", admin.bundle)
    assert '-Unattended-Upgrade::Automatic-Reboot "true";' in done.stderr
    assert '+Unattended-Upgrade::Automatic-Reboot "false";' in done.stderr
    assert "would install from Debian: obfs4proxy\n" in done.stderr
    for line in ("-Sandbox 1", "+Sandbox 0", f"+Bridge {bridge}", "+UseBridges 1"):
        assert f"    {line}\n" in done.stderr
    assert disk_state(server) == before
    admin.write_settings(RELEASE=str(admin.release(2)))


def test_an_obfs4_bridge_publishes_the_onion_where_tor_is_blocked(
    admin: AdminMachine,
    server: Machine,
    private_tor: TorNetwork,
    hidden: Callable[[str], Reply],
    note: Recorder,
) -> None:
    """Where the firewall lets tor reach no relay, an install with a bridge publishes the onion.

    Snowflake needs servers on the internet, so only its configuration is tested.
    """
    bridge = private_tor.add_bridge("bridge")
    torrc = admin.folder / "bridges"
    torrc.write_text(f"{(admin.folder / 'private.torrc').read_text()}> {bridge}\n")
    relays = re.findall(r"orport=(\d+) .* 127\.0\.0\.1:(\d+)", private_tor.torrc_lines)
    ports = ", ".join(port for pair in relays for port in pair)
    user = server.run("id", "--user", "_tor-cccr").strip()
    blocked = f"meta skuid {user} tcp dport {{ {ports} }} counter reject with tcp reset"
    chain = "type filter hook output priority 0;"
    server.run("nft", f"table inet blocked {{ chain out {{ {chain} {blocked}; }}; }}")
    server.run("systemctl", "restart", "tor@cccr")
    end_at = time.monotonic() + 30
    while "packets 0 " in server.run("nft", "list", "table", "inet", "blocked"):
        assert time.monotonic() < end_at, "tor does not try to reach a relay"
        time.sleep(0.1)

    admin.write_settings(RELEASE=str(admin.release(2)), TORRC=str(torrc))
    began = time.monotonic()
    done = admin.deploy("--offline", admin.bundle)
    assert "install from Debian: obfs4proxy\n" in done.stderr
    wait_for_published(server)
    assert "counter packets" in server.run("nft", "list", "table", "inet", "blocked")
    reader = onion_client(private_tor.add_client("of-the-bridge"), onion_address(server))
    while not _answers(reader):
        assert time.monotonic() < began + 180
        time.sleep(0.3)
    note("blocked: until the onion answers through a bridge", time.monotonic() - began)
    written = (server.root / "etc/tor/instances/cccr/torrc").read_text()
    assert f"\nBridge {bridge}\n" in written
    assert "\nSandbox 0\n" in written

    server.run("nft", "delete", "table", "inet", "blocked")
    admin.write_settings(RELEASE=str(admin.release(2)))
    admin.deploy("--offline", admin.bundle)
    assert "\nSandbox 1\n" in (server.root / "etc/tor/instances/cccr/torrc").read_text()
    wait_for_published(server)
    began = time.monotonic()
    while not _answers(hidden):
        assert time.monotonic() < began + 180
        time.sleep(0.3)


def test_a_restart_under_load_drops_no_request(
    server: Machine, clearnet: ClearnetClient, note: Recorder
) -> None:
    """Requests wait in systemd's socket while our server restarts."""
    with Load(PageRequest(clearnet)) as cached, Load(PageRequest(clearnet, "?x"), 4, 0.0) as direct:
        for _ in range(3):
            direct.wait_for(50)
            server.run("systemctl", "restart", "cccr-web-clearnet.service")
        direct.wait_for(50)
    note(f"3 restarts: failed of {direct.sent} uncached requests", len(direct.failures), "")
    note(f"3 restarts: failed of {cached.sent} cached requests", len(cached.failures), "")
    assert [cached.failures, direct.failures] == [[], []]


def test_a_kill_under_load_fails_only_requests_in_flight(
    server: Machine, clearnet: ClearnetClient, note: Recorder
) -> None:
    """SIGKILL of our server fails at most the uncached requests in flight."""
    with Load(PageRequest(clearnet)) as cached, Load(PageRequest(clearnet, "?x"), 4, 0.0) as direct:
        for _ in range(3):
            direct.wait_for(100)
            os.kill(server.main_process("cccr-web-clearnet.service"), signal.SIGKILL)
        direct.wait_for(100)
    note(f"3 SIGKILL: failed of {direct.sent} uncached requests", len(direct.failures), "")
    note(f"3 SIGKILL: failed of {cached.sent} cached requests", len(cached.failures), "")
    assert cached.failures == []
    assert len(direct.failures) <= 3 * direct.count


KILLED = {
    "cccr-web-clearnet.service": "clearnet",
    "cccr-web-onion.service": "onion",
    "cccr-web-manager.service": "manager",
    "nginx.service": "nginx",
    "tor@cccr.service": "tor",
}


@pytest.mark.parametrize("unit", KILLED)
def test_a_killed_process_is_restarted(
    server: Machine,
    clearnet: ClearnetClient,
    hidden: OnionReader,
    unit: str,
    note: Recorder,
) -> None:
    """systemd restarts each killed process, and the other processes keep answering meanwhile."""
    process = server.main_process(unit)
    with (
        Load(PageRequest(clearnet)) as cached,
        Load(PageRequest(clearnet, "?x")) as direct,
        Load(lambda: hidden(PAGE).status == 200, 1, 0.2) as onion,
    ):
        direct.wait_for(20)
        began = time.monotonic()
        os.kill(process, signal.SIGKILL)
        time.sleep(1)
        while server.try_run("systemctl", "is-active", unit).stdout != "active\n":
            time.sleep(0.1)
        if "tor" in unit:
            hidden.wait(PAGE, 150, lambda: server.run("journalctl", "--lines", "80"))
            note("tor killed: the onion answers again after", time.monotonic() - began)
        if "nginx" in unit:
            note("nginx killed: requests fail for", direct.longest)
        direct.wait_for(20)
        onion.wait_for(2)
    for name, load in (("cached", cached), ("uncached", direct), ("onion", onion)):
        note(
            f"{KILLED[unit]} killed: failed of {load.sent} {name} requests",
            len(load.failures),
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


def test_the_cache_answers_every_path_while_our_servers_are_down(
    server: Machine, clearnet: ClearnetClient, hidden: Callable[[str], Reply]
) -> None:
    """While our servers are down, the cache answers every path of the release."""
    units = [
        f"cccr-web-{name}.{kind}"
        for name in ("clearnet", "onion")
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
        missing = clearnet.get("/no/such/page.html")
        assert (missing.status, missing.body) == (502, b"")
        assert "server" not in lower(missing.headers)
        assert "content-security-policy" in lower(missing.headers)
    finally:
        server.run("systemctl", "start", *units)


def test_everything_comes_back_after_a_reboot(
    admin: AdminMachine,
    server: Machine,
    clearnet: ClearnetClient,
    hidden: OnionReader,
    note: Recorder,
) -> None:
    """After a reboot everything starts automatically, and an install changes nothing."""
    began = time.monotonic()
    server.reboot()
    hidden.wait(PAGE, 150, lambda: server.run("journalctl", "--boot", "--lines", "80"))
    note("reboot, until the onion answers", time.monotonic() - began)
    assert b"release 2" in clearnet.get(PAGE).body
    assert admin.deploy("--offline", admin.bundle).stderr.endswith(
        "Nothing needed to be changed.\n"
    )


def test_no_log_contains_a_client_address(server: Machine, network: Network) -> None:
    """Neither the journal nor a log file contains a client's address or request."""
    assert network.admin
    written = ["--exclude-dir=journal", "--exclude-dir=letsencrypt", "--exclude=apt/*"]
    for word in ("192.0.2.1", PAGE, "GET /"):
        found = server.try_run(
            "grep", "--recursive", "--text", "-l", "-F", *written, word, "/var/log"
        )
        assert found.stdout == ""
    journal = server.run(
        "journalctl", "--no-pager", "-u", "nginx", "-u", "cccr-web-*", "-u", "tor@cccr"
    )
    assert "192.0.2.1" not in journal
    assert onion_address(server) in server.run("cat", "/etc/systemd/system/cccr-web-onion.service")


@pytest.mark.slow
def test_a_second_login_that_fails_leaves_ssh_as_it_was(
    admin: AdminMachine, server: Machine
) -> None:
    """An admin who cannot log in with a key keeps the passwords, and the rest of the site."""

    def offered() -> str:
        return admin.ssh("-o", "PubkeyAuthentication=no", f"root@{SERVER}", "true").stderr

    newest = str(admin.release(2))
    admin.write_settings(RELEASE=newest, SSH_KEYS_ONLY="")
    admin.deploy("--offline", admin.bundle)
    assert "(publickey,password)" in offered()
    admin.write_settings(RELEASE=newest)
    wrapper = admin.folder / "bin/ssh"
    before = wrapper.read_text()
    keyless = 'case $* in *ControlPath=none*) set -- -o PubkeyAuthentication=no "$@" ;; esac\nexec'
    wrapper.write_text(before.replace("&& exec", f"&& {keyless}"))
    try:
        done = admin.deploy("--offline", admin.bundle, status=1)
    finally:
        wrapper.write_text(before)
    assert "A second login with a key failed, so sshd stays as it was." in done.stderr
    assert "The site is unchanged." in done.stderr
    assert "(publickey,password)" in offered()
    admin.deploy("--offline", admin.bundle)
    assert "(publickey)." in offered()
    assert server.try_run("test", "-e", "/run/cccr-web-login").returncode == 1
