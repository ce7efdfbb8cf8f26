"""The hourly check of a booted server, and the messages that it sends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from support.deploy.admin import DOMAIN
from support.deploy.inspection import onion_address, wait_for_published
from support.deploy.machine import OTHER, SERVER
from support.receivers import webhook

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import AcmeAuthority
    from support.deploy.admin import AdminMachine
    from support.deploy.machine import Machine
    from support.tornet import TorNetwork


def test_a_server_notifies_of_what_the_hourly_check_finds(
    admin: AdminMachine, server: Machine
) -> None:
    """A test message arrives, then one of a new ssh key, then one that it is gone.

    The receiver is in the server's own network.
    """
    keys = server.root / "root/.ssh/authorized_keys"
    before = keys.read_text()
    with webhook() as hook:
        admin.write_settings(NOTIFY=hook.url())
        admin.deploy("--offline", admin.bundle)
        admin.deploy("notify-test")
        assert f"{DOMAIN}: a test" in hook.titles
        keys.write_text(f"{before}ssh-ed25519 AAAA intruder\n")
        server.run("systemctl", "start", "cccr-doctor.service")
        server.run("systemctl", "start", "cccr-notify.service")
        keys.write_text(before)
        server.run("systemctl", "start", "cccr-doctor.service")
        server.run("systemctl", "start", "cccr-notify.service")
        assert any("WRONG: " in title and "ssh keys" in title for title in hook.titles)
        assert any("right again: ssh keys" in title for title in hook.titles)
        journal = server.run("journalctl", "--no-pager", "--output=cat")
        assert "secretword" not in journal
    admin.write_settings()
    admin.deploy("--offline", admin.bundle)
    assert not (server.root / "etc/systemd/system/cccr-notify.timer").exists()


def test_the_server_does_not_watch_itself(admin: AdminMachine) -> None:
    """A watcher on the machine of the site would be silent with it."""
    admin.write_settings(NOTIFY="json://127.0.0.1:9/", WATCH=f"https://{DOMAIN}")
    arguments = ("--offline", admin.bundle, "--dry-run", f"root@{SERVER}")
    done = admin.deploy(*arguments, "watch-install", status=1)
    assert "The site itself is on this machine." in done.stderr
    admin.write_settings()


@contextlib.contextmanager
def moved_ssh(server: Machine) -> Iterator[None]:
    """Let sshd on the server listen at its own address only."""
    own = server.root / "etc/ssh/sshd_config.d/own.conf"
    own.write_text(f"ListenAddress {SERVER}\n")
    server.run("systemctl", "restart", "ssh")
    try:
        yield
    finally:
        own.unlink()
        server.run("systemctl", "restart", "ssh")


@pytest.mark.slow
def test_another_machine_watches_the_site_and_reports(
    admin: AdminMachine,
    server: Machine,
    debian: Path,
    authority: AcmeAuthority,
    private_tor: TorNetwork,
) -> None:
    """``watch-install`` lets a fresh Debian compare domain and onion, and notify on change.

    It is in the server's network, so the domain leads to the same loopback.
    """
    wait_for_published(server)
    onion = f"http://{onion_address(server)}"
    with webhook() as hook, moved_ssh(server), admin.another(debian, OTHER) as watcher:
        authority.install_root_on(watcher)
        with (watcher.root / "etc/hosts").open("a") as hosts:
            hosts.write(f"127.0.0.1 {DOMAIN}\n")
        admin.write_settings(NOTIFY=hook.url(), WATCH=f"https://{DOMAIN} {onion}")
        command = ("--offline", admin.bundle, f"root@{OTHER}", "watch-install")
        admin.deploy(*command)
        assert hook.titles == ["the watcher: a test"]
        assert admin.deploy(*command).stderr.count("Nothing needed to be changed.\n") == 1
        # Otherwise the watcher's tor would use the real network.
        with (watcher.root / "etc/tor/torrc").open("a") as torrc:
            torrc.write((admin.folder / "private.torrc").read_text())
        watcher.run("systemctl", "restart", "tor@default")

        def check() -> dict[str, bool]:
            watcher.run("systemctl", "start", "cccr-watch.service")
            watcher.run("systemctl", "start", "cccr-watch-notify.service")
            report = json.loads(watcher.run("cat", "/run/cccr-watch/watch.json"))
            sites = report["addresses"]
            return {each["address"].rstrip("/"): not each["differences"] for each in sites}

        private_tor.fetch_until(f"{onion}/en/index.html")
        assert check() == {f"https://{DOMAIN}": True, onion: True}
        assert hook.titles[-1] == "the watcher: the checks are running"
        server.run("systemctl", "stop", "nginx")
        try:
            assert check() == {f"https://{DOMAIN}": False, onion: False}
        finally:
            server.run("systemctl", "start", "nginx")
        assert hook.titles[-1].startswith("the watcher: WRONG: ")
        assert check() == {f"https://{DOMAIN}": True, onion: True}
        assert hook.titles[-1].startswith("the watcher: right again: ")
        for timer in ("cccr-watch.timer", "cccr-watch-notify.timer"):
            assert watcher.run("systemctl", "is-active", timer) == "active\n"
    admin.write_settings()
