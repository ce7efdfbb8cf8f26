"""Looks at a deployed machine and at what it answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from support.deploy.machine import Machine


class Note(Protocol):
    """Notes a measurement."""

    def __call__(self, what: str, amount: float, unit: str = "s") -> None:
        """Keep it for the end of the run."""


def disk(machine: Machine) -> str:
    """Return name, kind, owner and time of all on the disk but what changes by itself."""
    leave = "/proc /sys /dev /run /tmp /var/tmp /var/log /srv/apt"
    leave += " /var/lib/systemd /var/lib/tor-instances"
    prune = " -o ".join(f"-path {path}" for path in leave.split())
    find = rf"find / \( {prune} \) -prune -o -type d -printf '%p %M %U\n'"
    find += r" -o -printf '%p %M %U %T@ %l\n'"
    return machine.run("sh", "-c", f"{find} | sort")


def onion_of(machine: Machine) -> str:
    """Return the machine's onion address."""
    found = re.search(
        r"^address (.*)$", (machine.root / "etc/cccr-web/onion.key").read_text(), re.MULTILINE
    )
    assert found is not None
    return found[1]


def policy(machine: Machine, road: str) -> dict[str, str]:
    """Return what the server's own command says of its headers."""
    release = machine.run("readlink", "/srv/cccr-web/current").strip()
    words = ["--release", release, "--public-key", "/etc/cccr-web/public.key", road]
    said = machine.run("/opt/cccr-web/current/bin/cccr-web", "headers", *words)
    return dict(line.split(": ", 1) for line in said.splitlines())


def lower(headers: list[tuple[str, str]]) -> dict[str, str]:
    """Return headers by their names in small letters, each there once."""
    found = {name.lower(): value for name, value in headers}
    assert len(found) == len(headers), headers
    return found


def by_connection(headers: dict[str, str]) -> dict[str, str]:
    """Return headers without those that follow from the connection."""
    out = {"connection", "date", "content-length", "transfer-encoding", "keep-alive"}
    return {name: value for name, value in headers.items() if name not in out}


def serves(machine: Machine, number: int) -> bool:
    """Tell whether both servers say in systemd's status that they serve this release."""
    units = ["cccr-web-clearnet", "cccr-web-onion"]
    said = machine.run("systemctl", "show", "--property=StatusText", *units)
    return said.count(f"elease {number}") == len(units)
