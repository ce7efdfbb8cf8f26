"""A server's life, on a real Debian: from fresh to live, through its releases and its accidents.

The tests stand in the order of that life, each on what the ones before have made.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from acme import Authority
from typing import Any as Note
from desk import DOMAIN, Desk
from machine import Machine
from readers import Clearnet
from tornet import TorNetwork


def disk(machine: Machine) -> str:
    """Return name, kind, owner and content's time of all that is on the disk but what runs by itself."""
    leave = ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/srv/apt", "/var/lib/systemd"]
    prune = " -o ".join(f"-path {path}" for path in leave)
    return machine.run("sh", "-c", rf"find / \( {prune} \) -prune -o -printf '%p %y %M %U %T@ %l\n' | sort")


def test_dry_run_of_a_fresh_server(desk: Desk, server: Machine) -> None:
    """It shows what would be written, line by line, and changes nothing on the disk."""
    before = disk(server)
    done = desk.deploy("--dry-run", "--offline", desk.bundle)
    assert disk(server) == before
    assert "would install from Debian: " in done.words
    assert "+SocksPort 0" in done.words
    assert "changes would be made; nothing was changed." in done.words


def test_install(desk: Desk, server: Machine, private_tor: TorNetwork, note: Note) -> None:
    """One command, from a fresh Debian to an onion that answers: under five minutes."""
    began = time.monotonic()
    done = desk.deploy("--offline", desk.bundle)
    print(done.words, done.output)
    onion = onion_of(server)
    assert f"onion http://{onion}/\n" in done.output
    reply = private_tor.fetch_until(f"http://{onion}/en/", 60)
    assert b"release 1" in reply.body
    note("fresh Debian to answering onion", time.monotonic() - began)
    assert time.monotonic() - began < 300


def onion_of(machine: Machine) -> str:
    return (machine.root / "etc/cccr-web/onion.key").read_text().split("address ")[1].split("\n")[0]
