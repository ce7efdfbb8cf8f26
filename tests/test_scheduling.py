"""What the test commands run, and what they leave out (``support/scheduling.py``)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.dry_run import DryRun
from support.scheduling import NOT_QUICK, PLACES, USED

TESTS = Path(__file__).parent
# Their tests start browsers, tor or whole machines.
SLOW_FOLDERS = {"browser", "deploy", "onion", "onion_site"}


@pytest.mark.parametrize("name", PLACES)
def test_what_the_plan_marks_by_its_place_exists(name: str) -> None:
    """A folder or file that the plan marks was not renamed since."""
    assert list(TESTS.rglob(name)) != []


@pytest.mark.parametrize("name", USED)
def test_what_the_plan_marks_by_its_use_exists(name: str) -> None:
    """A fixture or helper that the plan marks is a function in ``tests/``."""
    sources = (path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py"))
    assert any(re.search(rf"^ *def {name}\(", source, re.MULTILINE) for source in sources)


@pytest.mark.long
def test_quick_mode_keeps_only_tests_without_browsers_tor_and_waiting() -> None:
    """Quick mode collects every test file except those that the plan marks, and counts the rest."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--quick", "--collect-only", "-q", "-p", "no:xdist"],
        cwd=TESTS.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    collected = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert {name for name in collected if name.split("/")[1] in SLOW_FOLDERS} == set()
    for file in TESTS.rglob("test_*.py"):
        if file.relative_to(TESTS.parent).as_posix() not in collected:
            text = file.read_text(encoding="utf-8")
            marked = not {*PLACES}.isdisjoint(file.parts) or any(name in text for name in USED)
            assert marked, f"{file} has no test that runs in quick mode"
    for kind in NOT_QUICK.values():
        assert f" tests {kind}\n" in done.stdout


@pytest.mark.long
def test_without_another_python_no_test_claims_to_have_used_it() -> None:
    """What needs a second version of Python is left out and counted unless there is one."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:xdist"]
    environment = {name: os.environ[name] for name in os.environ if name != "OTHER_PYTHON"}
    for settings, found in (({}, False), ({"OTHER_PYTHON": "/another/python"}, True)):
        done = subprocess.run(
            [*command, "tests/render/test_builder.py"],
            cwd=TESTS.parent,
            env=environment | settings,
            check=True,
            capture_output=True,
            text=True,
        )
        assert ("test_another_python_builds_the_same" in done.stdout) == found
        assert ("LEFT OUT: 2 tests on another Python\n" in done.stdout) != found


def test_a_missing_second_python_is_reported_at_the_end(tmp_path: Path) -> None:
    """The test command says so next to what else it left out; quick mode never looks for one."""
    scripts = DryRun(tmp_path)
    (tmp_path / "tests/other_python.sh").write_text("#!/bin/sh\nexit 1\n")
    assert "\nLEFT OUT: another Python, which cannot be" in scripts.run("tests/run.sh tests/watch")
    assert "another Python" not in scripts.run("tests/run.sh --quick")


def test_ci_fails_unless_it_is_root(tmp_path: Path) -> None:
    """CI must not pass without the booted machines, which only root can start."""
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    with (TESTS.parent / ".ci" / "run").open("rb") as script:
        done = subprocess.run(
            [*nobody, "bash"], stdin=script, cwd=tmp_path, check=False, capture_output=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"Run this as root. ")
