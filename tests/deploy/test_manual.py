"""The manual's commands for the server, run by ssh as an admin runs them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from support.deploy.looks import serves
from support.deploy.machine import SERVER
from support.documents import Document

if TYPE_CHECKING:
    from support.deploy.desk import Desk
    from support.deploy.machine import Machine, Network

MANUAL = Document("deploy/README.md")


def test_every_command_for_the_server_works(desk: Desk, server: Machine, network: Network) -> None:
    """Every ssh command of ``deploy/README.md`` exits 0; then an installation starts everything."""
    before = server.run("readlink", "/srv/cccr-web/current").strip().rpartition("/")[2]
    commands = [line for line in MANUAL.commands if line.startswith("ssh root@server.example ")]
    assert commands
    for command in commands:
        here = command.replace("root@server.example", f"root@{SERVER}")
        line = f'PATH="{desk.folder}/bin:$PATH" {here}'
        done = subprocess.run(
            ["ip", "netns", "exec", network.admin, "bash", "-c", line],
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, command + done.stdout + done.stderr
    desk.deploy("--offline", desk.bundle)
    assert serves(server, int(before))
