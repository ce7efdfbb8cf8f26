"""Create and replace files on the disk.

Every function raises ``OSError``; its caller says what could not be written and what to do.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def create(file: Path, body: bytes, *, mode: int = 0o666) -> None:
    """Write a new file and flush it to the disk. Raises ``FileExistsError`` if it exists.

    The umask limits ``mode``, but the owner can always read and write the file.
    """
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as out:
        os.fchmod(handle, stat.S_IMODE(os.fstat(handle).st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        out.write(body)
        out.flush()
        os.fsync(handle)


def replace(file: Path, body: bytes, *, owner: os.stat_result | None = None) -> None:
    """Write ``file`` in one step: a reader sees the old content or the new, never a part.

    With ``owner``, the new file belongs to that user and group.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        # A killed process with the same id may have left one.
        partial.unlink(missing_ok=True)
        create(partial, body)
        if owner is not None:
            os.chown(partial, owner.st_uid, owner.st_gid)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk, so that a new name survives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
