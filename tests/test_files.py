"""Files are written completely or not at all."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cccr_web import files


@pytest.mark.parametrize(
    ("umask", "mode", "expected"),
    [(0o022, 0o644, 0o644), (0o077, 0o644, 0o600), (0, 0o600, 0o600), (0o777, 0o600, 0o600)],
)
def test_a_new_file_has_its_mode_and_is_writable_by_its_owner(
    tmp_path: Path, umask: int, mode: int, expected: int
) -> None:
    """The umask limits the mode, but never takes the file from its owner."""
    before = os.umask(umask)
    try:
        files.create(tmp_path / "new", b"body", mode=mode)
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == expected
    assert (tmp_path / "new").read_bytes() == b"body"


def test_an_existing_file_is_not_created_again(tmp_path: Path) -> None:
    """``create`` never overwrites a file."""
    (tmp_path / "new").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "new", b"body")
    assert (tmp_path / "new").read_bytes() == b"mine"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
def test_a_file_is_created_where_a_rename_could_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Where RENAME_NOREPLACE is not supported, ``create`` still never overwrites a file."""

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files, "_rename", fail)
    files.create(tmp_path / "new", b"body", mode=0o600)
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "new", b"other")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"new": b"body"}


@pytest.mark.parametrize(("function", "before"), [("create", None), ("replace", b"old")])
@pytest.mark.parametrize(("flushes", "done"), [(1, False), (2, True)], ids=["file", "folder"])
def test_a_killed_process_leaves_no_part_of_a_file(
    tmp_path: Path, function: str, before: bytes | None, flushes: int, done: bool
) -> None:
    """A process killed as it flushes the file or its folder leaves the old state or the new."""
    file = tmp_path / "file"
    if before is not None:
        file.write_bytes(before)
    program = f"""
import os, pathlib, signal, sys
from cccr_web import files
count = 0
def fsync(handle):
    global count
    count += 1
    if count == {flushes}:
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = fsync
files.{function}(pathlib.Path(sys.argv[1]), b"new")
"""
    killed = subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (file.read_bytes() if file.exists() else None) == (b"new" if done else before)
    files.replace(file, b"newer")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"newer"}


def test_a_folder_that_cannot_be_flushed_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems answer EINVAL; other errors are raised."""
    code = errno.EINVAL
    flush = os.fsync

    def fail(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fail)
    files.create(tmp_path / "file", b"body")
    assert (tmp_path / "file").read_bytes() == b"body"
    code = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        files.replace(tmp_path / "file", b"new")


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """A reader that has opened the old file still reads all of it; nothing else is left."""
    (tmp_path / "file").write_bytes(b"old")
    with (tmp_path / "file").open("rb") as reader:
        files.replace(tmp_path / "file", b"new", owner=tmp_path.stat())
        assert reader.read() == b"old"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


def test_a_file_left_by_a_killed_process_does_not_matter(tmp_path: Path) -> None:
    """A partial file of a process with the same id is overwritten."""
    (tmp_path / f".file.{os.getpid()}.partial").write_bytes(b"half")
    files.replace(tmp_path / "file", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"new"}


def test_a_failed_replacement_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new content cannot be flushed, the old file stays and no partial file is left."""

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        files.replace(tmp_path / "file", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_a_folder_is_whole_on_the_disk_before_it_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are flushed at once; if that fails, the old folder stays and nothing else."""
    files.replace_folder(tmp_path / "folder", {"a": b"old"})
    flushed: list[dict[str, bytes]] = []

    def fail(folder: Path) -> None:
        written = [path for path in folder.rglob("*") if path.is_file()]
        flushed.append({str(path.relative_to(folder)): path.read_bytes() for path in written})
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    new = {"a": b"new", "b/c": b"newer"}
    monkeypatch.setattr(files, "_flush_all", fail)
    with pytest.raises(OSError, match="Input/output error"):
        files.replace_folder(tmp_path / "folder", new)
    assert flushed == [new]
    assert {path.name for path in tmp_path.iterdir()} == {"folder"}
    assert (tmp_path / "folder" / "a").read_bytes() == b"old"


def test_a_file_system_that_cannot_be_flushed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """syncfs(2) reports what could not be written to the disk."""

    def syncfs(_handle: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(files, "_LIBC", SimpleNamespace(syncfs=syncfs))
    with pytest.raises(OSError, match="Input/output error"):
        files.replace_folder(tmp_path / "folder", {"a": b"new"})
    assert not (tmp_path / "folder").exists()
