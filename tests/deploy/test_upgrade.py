"""Upgrading Debian itself, on the server that runs the site."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from support.deploy.admin import AdminMachine
from support.deploy.clients import ClearnetClient, get_over_socket
from support.deploy.inspection import onion_address, wait_for_published
from support.deploy.machine import Machine, Network

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import AcmeAuthority
    from support.measurements import Recorder

PAGE = "/en/index.html"
APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes"]
APT += [
    "--option",
    "Dpkg::Options::=--force-confold",
    "--option",
    "Dpkg::Options::=--force-unsafe-io",
]


@pytest.mark.slow
def test_after_an_upgrade_of_debian_in_place_one_command_repairs_the_site(
    admin: AdminMachine,
    server: Machine,
    debian: Path,
    next_debian: Path,
    network: Network,
    authority: AcmeAuthority,
    note: Recorder,
) -> None:
    """A Debian 12 upgraded to 13 and rebooted serves the same site after the manual's command."""
    server.power_off()
    admin.write_settings(RELEASE=str(admin.release(1)))
    with Machine(debian, network, next=next_debian) as other:
        admin.authorize(other)
        authority.install_root_on(other)
        admin.deploy("--offline", admin.bundle)
        onion = onion_address(other)

        (other.root / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/next ./\n")
        other.run(*APT, "update")
        other.run(*APT, "full-upgrade")
        clearnet = ClearnetClient(authority.root())
        assert clearnet.get(PAGE).status == 200  # nobody has restarted anything yet
        other.reboot()
        assert 'VERSION_ID="13"' in (other.root / "etc/os-release").read_text()

        began = time.monotonic()
        admin.deploy("--offline", admin.bundle)
        note("Debian upgraded in place: repaired after", time.monotonic() - began)
        assert onion_address(other) == onion
        assert b"release 1" in clearnet.get(PAGE).body
        assert b"release 1" in get_over_socket(other.onion_socket, PAGE, onion).body
        assert other.run("systemctl", "--failed", "--no-legend") == ""
        wait_for_published(other)
        status = admin.deploy("status").stdout
        assert status.count("active since") == 5
        assert "WRONG" not in status
        again = admin.deploy("--offline", admin.bundle).stderr
        assert again.endswith("Nothing needed to be changed.\n"), again
