"""What tests read from a deployed server and from its responses."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.deploy.machine import Machine


def disk_state(machine: Machine) -> str:
    """Return path, mode, owner and time of every file, except those that change constantly."""
    skipped = "/proc /sys /dev /run /tmp /var/tmp /var/log /srv/apt"
    skipped += " /var/lib/systemd /var/lib/tor-instances"
    prune = " -o ".join(f"-path {path}" for path in skipped.split())
    find = rf"find / \( {prune} \) -prune -o -type d -printf '%p %M %U\n'"
    find += r" -o -printf '%p %M %U %T@ %l\n'"
    return machine.run("sh", "-c", f"{find} | sort")


def onion_address(machine: Machine) -> str:
    """Return the server's onion address."""
    found = re.search(
        r"^address (.*)$", (machine.root / "etc/cccr-web/onion.key").read_text(), re.MULTILINE
    )
    assert found is not None
    return found[1]


def header_policy(machine: Machine, route: str) -> dict[str, str]:
    """Return the headers of an error without a page, which the server's ``cccr-web`` prints."""
    release = machine.run("readlink", "/srv/cccr-web/current").strip()
    options = ["--release", release, "--public-key", "/etc/cccr-web/public.key", route]
    printed = machine.run("/opt/cccr-web/current/bin/cccr-web", "headers", *options)
    return dict(line.split(": ", 1) for line in printed.splitlines())


def lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their lower-case names, each of which must occur once."""
    found = {name.lower(): value for name, value in headers}
    assert len(found) == len(headers), headers
    return found


def without_connection_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return headers without those that depend on the connection."""
    out = {"connection", "date", "content-length", "transfer-encoding", "keep-alive"}
    return {name: value for name, value in headers.items() if name not in out}


def serves_release(machine: Machine, number: int) -> bool:
    """Return whether both servers report in their systemd status that they serve this release."""
    units = ["cccr-web-clearnet", "cccr-web-onion"]
    status = machine.run("systemctl", "show", "--property=StatusText", *units)
    return status.count(f"(release={number} ") == len(units)


def wait_for_published(machine: Machine) -> None:
    """Wait until the manager reports that the onion's descriptor is published."""
    show = ["systemctl", "show", "--property=StatusText", "--value", "cccr-web-manager"]
    end_at = time.monotonic() + 60
    while not (status := machine.run(*show)).startswith("Published: "):
        assert time.monotonic() < end_at, status
        time.sleep(0.1)
