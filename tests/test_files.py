"""Files are written completely or not at all."""

from __future__ import annotations

import os
from pathlib import Path

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
