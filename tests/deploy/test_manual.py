"""The manual's commands for the server, run by ssh as an admin runs them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from support.deploy.acme import NAME
from support.deploy.admin import DOMAIN
from support.deploy.inspection import serves_release
from support.deploy.machine import SERVER
from support.documents import Document

if TYPE_CHECKING:
    from support.deploy.admin import AdminMachine
    from support.deploy.machine import Machine, Network

SERVERS = ("clearnet", "onion")
ACME_SERVER = f"https://{NAME}:14000/dir"
NO_QUESTION = ("--non-interactive", "--server", ACME_SERVER)
MANUAL = Document("deploy/README.md")


def certify(server: Machine) -> None:
    """Get the certificate that the manual revokes, from the account of the server that revokes it.

    Let's Encrypt also revokes those of another account for the same names (RFC 8555, section
    7.6), as those of a seized server are; pebble does not.
    """
    names = ["--cert-name", "seized", "--domain", DOMAIN]
    webroot = ["--webroot", "--webroot-path", "/var/lib/cccr-web/acme"]
    server.run("certbot", "certonly", *NO_QUESTION, *names, *webroot)
    server.run("cp", "/etc/letsencrypt/live/seized/cert.pem", "/root/seized.pem")
    server.run("certbot", "delete", "--non-interactive", "--cert-name", "seized")


def test_every_ssh_command_of_the_manual_works(
    admin: AdminMachine, server: Machine, network: Network
) -> None:
    """Every ssh command of ``deploy/README.md`` exits 0, and none breaks the site."""
    assert MANUAL.commands_on_server
    certify(server)
    for command in MANUAL.commands_on_server:
        local = command.replace("root@server.example", f"root@{SERVER}")
        local = local.replace("certbot revoke", f"certbot revoke --server {ACME_SERVER}")
        script = f'PATH="{admin.folder}/bin:$PATH" {local}'
        done = subprocess.run(
            ["ip", "netns", "exec", network.admin, "bash", "-c", script],
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert server.run("systemctl", "--failed", "--no-legend") == ""
    revoke = ("certbot", "revoke", "--server", ACME_SERVER, "--non-interactive")
    again = server.try_run(*revoke, "--no-delete-after-revoke", "--cert-path", "/root/seized.pem")
    assert again.returncode == 1  # it is revoked already
    server.run("rm", "/root/seized.pem")


def test_an_install_starts_stopped_servers(admin: AdminMachine, server: Machine) -> None:
    """deploy.sh starts servers that an admin has stopped, with the release that they served.

    It also loads what an interrupted run only wrote.
    """
    sequence = int(server.run("readlink", "/srv/cccr-web/current").strip().rpartition("/")[2])
    units = [f"cccr-web-{name}.{kind}" for name in SERVERS for kind in ("socket", "service")]
    server.run("systemctl", "stop", *units)
    lock = Path(f"/proc/{server.pid}/root/run/lock/cccr-web")
    assert lock.read_text() == ""
    lock.write_text("/etc/systemd/system/cccr-web-manager.service\n")
    done = admin.deploy("--offline", admin.bundle)
    assert "restart cccr-web-manager.service\n" in done.stderr
    assert lock.read_text() == ""
    assert serves_release(server, sequence)
