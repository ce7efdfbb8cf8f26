"""Runs of the tests that are ended or killed, without a booted machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import TOP
from support.deploy.machine import DISKS, NAMESPACES, remove_left_behind
from support.hosting import gone, wait_until

# Has namespaces, a disk, and processes of which one has another network, as our servers have.
OWNER = """\
import subprocess, sys, tempfile, time
from support.deploy.machine import DISKS, Network, call
with Network() as network:
    disk = tempfile.mkdtemp(prefix=f"{network.machine}-", dir=DISKS)
    call("mkdir", f"{disk}/root")
    call("mount", "-t", "tmpfs", "left", f"{disk}/root")
    init = "unshare --net sleep 600 & exec sleep 600"
    subprocess.Popen(["ip", "netns", "exec", network.machine,
                      "unshare", "--pid", "--fork", "--kill-child=TERM", "sh", "-c", init])
    print(network.machine, network.admin, disk, flush=True)
    time.sleep(600)
"""


PATHS = {"PYTHONPATH": f"{TOP}/tests:{TOP}"}


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    """Its processes, namespaces and disk are removed; those of a run that lives stay."""
    command, environment = [sys.executable, "-c", OWNER], os.environ | PATHS
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other,
    ):
        try:
            (killed, disk), (living, its_disk) = started_by(one), started_by(other)
            one.kill()
            one.wait()
            processes = inside(killed)
            assert len(processes) >= 2
            remove_left_behind()
            wait_until(lambda: all(map(gone, processes)), 10)
            assert [path.exists() for path in (*killed, disk)] == [False] * 3
            assert len(inside(living)) >= 2
            assert [path.exists() for path in (*living, its_disk)] == [True] * 3
        finally:
            for owner in (one, other):
                owner.kill()
                owner.wait()
            remove_left_behind()
    assert [path.exists() for path in (*living, its_disk)] == [False] * 3


def started_by(owner: subprocess.Popen[str]) -> tuple[list[Path], Path]:
    """Return the namespaces and the disk of a process, once its own processes run."""
    assert owner.stdout is not None
    *names, disk = owner.stdout.readline().split()
    spaces = [NAMESPACES / name for name in names]
    wait_until(lambda: len(inside(spaces)) >= 2, 20)
    assert Path(disk).parent == DISKS
    return spaces, Path(disk)


def inside(spaces: list[Path]) -> list[int]:
    """Return the processes in the server's namespace."""
    command = ["ip", "netns", "pids", spaces[0].name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_ended_run_waits_until_its_tests_have_stopped_everything(
    tmp_path: Path, number: signal.Signals
) -> None:
    """``run.sh`` passes the signal on, waits for the fixtures, and starts no other suite."""
    for name in ("deploy", "tests/deploy", "tests/support", "bin"):
        (tmp_path / name).mkdir(parents=True)
    for script in ("tests/deploy/run.sh", "tests/support/setup.sh"):
        shutil.copy(TOP / script, tmp_path / script)
    (tmp_path / "tests/deploy/conftest.py").write_text(
        "import pathlib, time, pytest\n"
        "from support.deploy.fixtures import pytest_configure\n"
        "@pytest.fixture(scope='session')\n"
        "def server():\n"
        "    pathlib.Path('started').touch()\n"
        "    yield\n"
        "    time.sleep(1)\n"
        "    with open('ended', 'a') as log: log.write('x')\n"
    )
    (tmp_path / "tests/deploy/test_it.py").write_text(
        "import time\ndef test_it(server): time.sleep(60)\n"
    )
    scripts = {
        "deploy/venv.sh": f"echo {Path(sys.executable).parent.parent}",
        "deploy/apt.sh": ":",
        "bin/id": "echo 0",
        "bin/unshare": ":",
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ,
        **PATHS,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
    }
    run = subprocess.Popen(
        [tmp_path / "tests/deploy/run.sh", "all", "-p", "no:cacheprovider"], env=environment
    )
    wait_until((tmp_path / "started").exists, 60)
    run.send_signal(number)
    assert run.wait(60) == 143
    assert (tmp_path / "ended").read_text() == "x"
