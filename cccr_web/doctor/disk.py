"""Whether there is room for another release where releases and the servers' states are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cccr_web.doctor.case import Case
from cccr_web.doctor.result import Result, ok, wrong

NAME: Final = "disk"

# In bytes and in files: enough to take a release, a copy of it and a system's updates.
SPACE: Final = 512 * 1024 * 1024
FILES: Final = 10_000
_MIB: Final = 1024 * 1024


def check_disk(case: Case) -> Iterator[Result]:
    """Judge each file system once."""
    seen: set[int] = set()
    for path in (case.release.resolve(), *case.states):
        try:
            device, left = path.stat().st_dev, os.statvfs(path)
        except OSError as error:
            yield wrong(
                NAME,
                f"The disk of {path} cannot be looked at: {error.strerror}.",
                "Give the path of a folder that is there, and run this as root.",
            )
            continue
        if device not in seen:
            seen.add(device)
            yield _judge(path, left)


def _judge(path: Path, left: os.statvfs_result) -> Result:
    space = left.f_bavail * left.f_frsize
    files = left.f_favail
    if space < SPACE:
        return wrong(
            NAME,
            f"The disk of {path} has {space // _MIB:,} MiB left.",
            "Remove old releases and packages: “apt clean”, “journalctl --vacuum-size=50M”.",
        )
    # Some file systems have no limit, and tell none.
    if left.f_files and files < FILES:
        return wrong(
            NAME,
            f"The disk of {path} has room for {files:,} files only.",
            "Find the folder with many small files: “du --inodes -x / | sort -n | tail”.",
        )
    return ok(NAME, f"The disk of {path} has {space // _MIB:,} MiB left.")
