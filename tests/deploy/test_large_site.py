"""A site of a thousand statements goes through ten releases on a booted server."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.deploy.machine import Machine, Network
from support.signed import organisation_key, put_release
from support.texts import add, add_statements, replace_once, texts_with_key

from cccr_web.config import find_tree
from cccr_web.release import Signer
from cccr_web.render import Cache, build_release

if TYPE_CHECKING:
    from support.deploy.admin import AdminMachine
    from support.measurements import Recorder

STATEMENTS = 1000
RELEASES = 10
UNIT = "cccr-web-onion"


class LargeSite:
    """The texts of the site, and its releases."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "large"
        self._folder.mkdir()
        self._tree = texts_with_key(self._folder, organisation_key().public)
        add_statements(self._tree, STATEMENTS)
        self._number = 1

    def release(self) -> Path:
        """Build and sign the next release, in which one text has changed; return its folder."""
        folder = self._folder / str(self._number)
        with contextlib.closing(Cache(self._folder / "cache", b"secret")) as cache:
            unsigned = build_release(self._tree, find_tree("templates"), cache=cache)
        put_release(Signer(organisation_key()).sign(unsigned), folder)
        old, self._number = self._number, self._number + 1
        replace_once("site.toml", f"sequence = {old}\n", f"sequence = {self._number}\n")(self._tree)
        for language in ("en", "zh_Hans"):
            add(f"{language}/pages/verify.md", f"{self._number}.")(self._tree)
        return folder


def show(machine: Machine, name: str) -> str:
    """Return a property of the server's unit."""
    return machine.run("systemctl", "show", f"--property={name}", "--value", UNIT).strip()


def megabytes(machine: Machine, name: str) -> float:
    """Return a size of the server's process (proc(5), ``status``)."""
    status = Path(f"/proc/{machine.main_process(UNIT)}/status").read_text()
    (kilobytes,) = re.findall(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024 / 1e6


@pytest.mark.slow
def test_ten_releases_of_a_thousand_statements_fit_in_the_servers_memory(
    server: Machine, debian: Path, network: Network, admin: AdminMachine, note: Recorder
) -> None:
    """One process serves all ten, and never needs more memory than its unit allows."""
    site = LargeSite(admin.folder)
    admin.key = organisation_key()
    admin.write_settings(DOMAIN="", RELEASE=str(site.release()))
    server.power_off()
    with Machine(debian, network) as machine:
        admin.authorize(machine)
        admin.deploy("--offline", admin.bundle)
        process, first = show(machine, "MainPID"), megabytes(machine, "VmRSS")
        most = int(show(machine, "MemoryMax")) / 1e6
        for number in range(2, RELEASES + 1):
            admin.deploy("release", site.release())
            assert f"(release={number} " in show(machine, "StatusText")
            assert show(machine, "MainPID") == process
        peak, last = (megabytes(machine, name) for name in ("VmHWM", "VmRSS"))
        note("1,000 statements: memory of a server after the first release", first, "MB")
        note("1,000 statements: after the tenth", last, "MB")
        note("1,000 statements: at its most, during a reload", peak, "MB")
        note("1,000 statements: MemoryMax of its unit", most, "MB")
        assert peak < most
        assert last < 1.2 * first
