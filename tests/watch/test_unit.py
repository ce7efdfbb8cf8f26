"""The example unit and timer for a machine that watches."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import TOP

UNITS = TOP / "deploy" / "watch"
COMMAND = "/usr/local/bin/cccr-web"


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return the folder of units, changed to run a program that this machine has."""
    for unit in UNITS.iterdir():
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(text.replace(COMMAND, "/bin/true"), encoding="utf-8")
    return tmp_path


def test_systemd_accepts_the_units(units: Path) -> None:
    """systemd finds no fault in the unit and its timer."""
    names = [str(unit) for unit in sorted(units.iterdir())]
    assert [Path(name).suffix for name in names] == [".service", ".timer"]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names],
        capture_output=True,
        check=False,
        text=True,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "cccr" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_unit_is_sandboxed(units: Path) -> None:
    """systemd rates the sandbox of the watcher, which reads untrusted data, as strict."""
    unit = units / "cccr-watch.service"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_unit_runs_the_installed_command() -> None:
    """The unit runs the command under the name it is installed with."""
    text = (UNITS / "cccr-watch.service").read_text(encoding="utf-8")
    assert f"ExecStart={COMMAND} watch $WATCH\n" in text
