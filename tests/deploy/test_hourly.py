"""The hourly check of a booted server, and the messages that it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.deploy.admin import DOMAIN
from support.deploy.machine import SERVER
from support.receivers import webhook

if TYPE_CHECKING:
    from support.deploy.admin import AdminMachine
    from support.deploy.machine import Machine


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
