"""Units that keep restarting, and updates that are not in effect."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cccr_web.doctor import CheckResult
from cccr_web.doctor.services import check_services, check_units, check_updates

DAY = 24 * 3600.0


def service(**changes: str) -> CheckResult:
    """Return the result for a unit that started 1,000 s ago."""
    state = {
        "Id": "nginx.service",
        "ActiveState": "active",
        "SubState": "running",
        "NRestarts": "0",
        "ExecMainStartTimestampMonotonic": "1000000000",
    }
    (result,) = check_services([state | changes], 2000.0)
    return result


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({}, "ok", "nginx.service runs; systemd restarted it 0 times."),
        ({"NRestarts": "4"}, "ok", "restarted it 4 times."),
        ({"NRestarts": "5"}, "wrong", "nginx.service keeps restarting: 5 times recently."),
        ({"ActiveState": "failed", "SubState": "failed"}, "wrong", "is failed (failed)"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "wrong", "is inactive (dead)"),
        ({"ActiveState": "activating", "NRestarts": "9"}, "wrong", "keeps restarting: 9 times"),
    ],
)
def test_a_unit_that_keeps_restarting_is_wrong(
    changes: dict[str, str], verdict: str, words: str
) -> None:
    """So is one that does not run; a few restarts are what systemd is for."""
    result = service(**changes)
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


def test_restarts_that_ended_an_hour_ago_are_over() -> None:
    """systemd's count never falls, so only a recent start counts."""
    state = {"Id": "a", "ActiveState": "active", "SubState": "running", "NRestarts": "9"}
    state["ExecMainStartTimestampMonotonic"] = "1000000000"
    for now, verdict in ((4500.0, "wrong"), (4700.0, "ok")):
        (result,) = check_services([state], now)
        assert result.verdict.value == verdict


def test_units_without_systemd_are_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an answer of systemctl, nothing is assumed to run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    (result,) = check_units(("nginx.service",))
    assert result.verdict.value == "wrong"
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    (result,) = check_units(("nginx.service",))
    assert "cannot be checked: systemctl failed" in result.sentence


def test_units_are_asked_in_one_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """systemctl's answer has a paragraph for each unit."""
    (tmp_path / "systemctl").write_text(
        f"#!{sys.executable}\nimport sys\n"
        "for unit in sys.argv[3:]:\n"
        '    print(f"Id={unit}", "ActiveState=active", "SubState=running", "", sep="\\n")\n'
    )
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = [result.sentence for result in check_units(("a.service", "b.service"))]
    assert [sentence.split()[0] for sentence in found[:2]] == ["a.service", "b.service"]


class UpdatedMachine:
    """The files that tell when updates were installed, and a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stamp = folder / "periodic/upgrade-stamp"
        self.stamp.parent.mkdir()
        self.stamp.touch()
        self.settings = folder / "52cccr-web"
        self.reboot = folder / "reboot-required"

    def check(self, *pids: int, later: float = 0.0) -> CheckResult:
        """Return the result ``later`` seconds from now."""
        now = time.time() + later
        own = {"reboot": self.reboot, "stamp": self.stamp, "settings": self.settings}
        (result,) = check_updates([*pids], now, **own)
        return result


@pytest.fixture
def machine(tmp_path: Path) -> UpdatedMachine:
    """A machine that has just installed its updates."""
    return UpdatedMachine(tmp_path)


def test_updates_that_do_not_run_are_wrong(machine: UpdatedMachine) -> None:
    """The daily run may be late, but not by two days; nor the first one, on a new server."""
    assert machine.check(later=1.9 * DAY).verdict.value == "ok"
    assert "have not run for two days" in machine.check(later=2.1 * DAY).sentence
    machine.stamp.unlink()
    assert machine.check().verdict.value == "wrong"
    machine.settings.touch()
    assert machine.check(later=1.9 * DAY).verdict.value == "ok"
    assert machine.check(later=2.1 * DAY).verdict.value == "wrong"
    machine.stamp.parent.rmdir()
    assert machine.check().verdict.value == "not applicable"


def test_a_kernel_that_waits_for_a_reboot_is_wrong_after_a_day(machine: UpdatedMachine) -> None:
    """A day, because the server may reboot at the configured hour."""
    machine.reboot.touch()
    assert machine.check(later=0.9 * DAY).verdict.value == "ok"
    found = machine.check(later=1.1 * DAY)
    assert (found.verdict.value, "waited for a reboot" in found.sentence) == ("wrong", True)


def test_a_library_that_was_replaced_is_wrong_after_a_day(machine: UpdatedMachine) -> None:
    """A real process maps a file that an update replaces, as apt does; a restart would help."""
    library = machine.folder / "libssl.so.3"
    library.write_bytes(bytes(5000))
    code = "import mmap, sys, time; f = open(sys.argv[1]); m = mmap.mmap(f.fileno(), 0, prot=1); "
    code += "print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, library], stdout=subprocess.PIPE) as user:
        try:
            assert user.stdout is not None
            user.stdout.readline()
            assert machine.check(user.pid, later=1.1 * DAY).verdict.value == "ok"
            (machine.folder / "new").write_bytes(b"a new version")
            (machine.folder / "new").replace(library)
            assert machine.check(user.pid, later=0.9 * DAY).verdict.value == "ok"
            found = machine.check(user.pid, os.getpid(), 2**22 + 1, later=1.1 * DAY)
        finally:
            user.kill()
    assert found.verdict.value == "wrong"
    assert f" uses an old {library}" in found.sentence
