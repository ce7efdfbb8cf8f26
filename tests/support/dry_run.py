"""Runs the scripts in ``tests/`` while the programs that they start only record their arguments.

A copy of the scripts finds recorders for Python, for the checks of ``tests/lint.sh`` and for what
only root may do. The scripts themselves are real: they parse their options and choose what to run.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from support import TOP

if TYPE_CHECKING:
    from pathlib import Path

# ``cccr-web serve`` runs until it is stopped, and tests/run.sh asks Python for its version.
RECORDER = """\
import json, sys, time
_, program, *arguments = sys.argv
name = program.rpartition("/")[2]
with open("LOG", "a") as log:
    print(json.dumps([name, *arguments]), file=log)
if "serve" in sys.argv:
    print("clearnet http://127.0.0.1:9/", flush=True)
    time.sleep(60)
elif name == "slowhttptest":
    print("Exit status: recorded")
elif "-c" in sys.argv:
    print("3.0")
"""
# What the copied scripts find in place of the real one.
REPLACED = {
    "bin/eatmydata": 'exec "$@"',
    "bin/id": "echo 0",
    "bin/unshare": 'while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
    "deploy/apt.sh": ":",
    "deploy/venv.sh": 'cd "$(dirname "$0")/.." && echo "$PWD/.cache/venv"',
    "tests/browser/npm.sh": ":",
    "tests/other_python.sh": 'cd "$(dirname "$0")/.." && echo "$PWD/.cache/venv/bin/python"',
}
CHECKS = ("cccr-web", "mypy", "python", "ruff")


class DryRun:
    """The scripts in ``folder``, with recorders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "calls"
        for script in (TOP / "tests").rglob("*.sh"):
            self._copy(script)
        # With it, tests/bench/run.sh has nothing to install.
        self._copy(TOP / "tests/bench/requirements.txt")
        self._copy(TOP / "tests/bench/requirements.txt", ".cache/bench/requirements.txt")
        self._write("recorder.py", RECORDER.replace("LOG", str(self._log)))
        # Not as the first line of a script: there a path cannot contain a space.
        command = shlex.join([sys.executable, "-IS", str(folder / "recorder.py")])
        recorder = f'#!/bin/sh\nexec {command} "$0" "$@"\n'
        scripts = "".join(script.read_text() for script in (TOP / "tests").rglob("*.sh"))
        programs = re.findall(r"^ +\[([\w.-]+)\]=", scripts, re.MULTILINE)
        for needed in re.findall(r"^need ((?:.*\\\n)*.*)", scripts, re.MULTILINE):
            programs += re.findall(r"([\w.-]+)=", needed)
        for name in {*programs}:
            self._write(f"bin/{name}", recorder)
        for name in CHECKS:
            self._write(f".cache/venv/bin/{name}", recorder)
        for name, body in REPLACED.items():
            self._write(name, f"#!/bin/sh\n{body}\n")

    def _copy(self, source: Path, name: str = "") -> None:
        target = self.folder / (name or source.relative_to(TOP))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, command: str) -> str:
        """Run a command, which must exit 0; return its output."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def calls(self, command: str) -> list[list[str]]:
        """Run a command; return the name and the arguments of each program that it started."""
        self._log.write_text("")
        self.run(command)
        return [json.loads(line) for line in self._log.read_text().splitlines()]
