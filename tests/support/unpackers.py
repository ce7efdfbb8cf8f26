"""The programs with which readers unpack a ZIP, each run on its own copy of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Each as a command that unpacks ZIP into the current folder; without ZIP it reads a pipe.
UNPACKERS = {
    "busybox": ("busybox", "unzip", "-o", "ZIP"),
    "bsdtar": ("bsdtar", "-xf", "ZIP"),
    "bsdtar from a pipe": ("bsdtar", "-xf", "-"),
    "7z": ("7z", "x", "-y", "-pnone", "ZIP"),
    "unzip": ("unzip", "-o", "-P", "none", "ZIP"),
    "Python": (sys.executable, "-I", "-W", "ignore", "-m", "zipfile", "-e", "ZIP", "."),
}


def require_unpackers() -> None:
    """Fail if one is missing."""
    for command in UNPACKERS.values():
        assert shutil.which(command[0]), f"{command[0]} is missing: tests/run.sh installs it."


def unpack(name: str, body: bytes, room: Path) -> dict[str, bytes]:
    """Return what a program unpacks, by path: also what it leaves after an error."""
    folder = room / "a" / "b"  # a name that leads upwards stays in the room
    folder.mkdir(parents=True)
    packed = room / "copy.zip"
    packed.write_bytes(body)
    command = [str(packed) if part == "ZIP" else part for part in UNPACKERS[name]]
    subprocess.run(
        command,
        cwd=folder,
        input=b"" if str(packed) in command else body,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    packed.unlink()
    # A ZIP can take the permissions away from its own owner.
    subprocess.run(["chmod", "-R", "u+rwX", room], check=True)
    found = {
        os.path.relpath(file, folder): file.read_bytes()
        for file in room.rglob("*")
        if file.is_file() and not file.is_symlink()
    }
    links = {os.path.relpath(file, folder): b"" for file in room.rglob("*") if file.is_symlink()}
    shutil.rmtree(room)
    return found | links
