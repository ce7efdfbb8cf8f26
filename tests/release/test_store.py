"""A release comes from a folder whole and unchanged, or not at all (``release/store.py``)."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import Release, ReleaseFolder, load, make_release, write

PAGE = "en/index.html"


@pytest.fixture
def folder(release: Release, tmp_path: Path) -> Path:
    """A separate release for each test, to be broken."""
    write(release, tmp_path / "release")
    return tmp_path / "release"


def test_a_release_is_loaded_as_it_was_written(release: Release, folder: Path) -> None:
    """A release that is written and loaded is the same."""
    assert load(folder) == release
    assert sorted(release.files) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def test_sha256sum_accepts_the_manifest(folder: Path) -> None:
    """A reader's own sha256sum checks every file except the manifest itself."""
    done = subprocess.run(
        ["sha256sum", "--strict", "--check", "SHA256SUMS"],
        cwd=folder,
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
        text=True,
    )
    checked = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert checked == files - {"SHA256SUMS"}


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The error says how to make a release."""
    way_out = "Make one with: cccr-web build --out FOLDER"
    (tmp_path / "link").symlink_to(tmp_path)
    for name, why in (("none", "No such file or directory"), ("link", "Not a directory")):
        with pytest.raises(ReleaseError) as caught:
            load(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name} is not a release: {why}. {way_out}"


def test_later_release_replaces_an_earlier_one(release: Release, folder: Path) -> None:
    """A release is replaced completely: nothing of the earlier one is left."""
    pages = {path: file.body for path, file in release.files.items() if path == PAGE}
    later = make_release(pages, release.metadata)
    write(later, folder)
    assert load(folder) == later
    assert list(folder.parent.iterdir()) == [folder]


def test_empty_folder_becomes_a_release(release: Release, tmp_path: Path) -> None:
    """A release can be written to an empty folder, and parent folders are made."""
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b"):
        write(release, folder)
        assert load(folder) == release


@pytest.mark.parametrize("names", [["notes.txt"], ["SHA256SUMS", "debian.iso"], ["RELEASE.json"]])
def test_nothing_but_a_release_is_replaced(
    release: Release, tmp_path: Path, names: list[str]
) -> None:
    """A folder with other files, even with its own SHA256SUMS, is not touched."""
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(CccrError) as caught:
        write(release, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds something other than a release. Choose another or an empty folder."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_no_link_or_file_is_replaced(release: Release, tmp_path: Path) -> None:
    """A link, whatever its target, and a file are not touched."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    for name in ("file", "link"):
        with pytest.raises(CccrError, match=f"{name} is not a folder"):
            write(release, tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_an_error(release: Release, tmp_path: Path) -> None:
    """A folder below a file is rejected in one sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(CccrError, match=r"release cannot be written: (File exists|Not a dir)"):
        write(release, tmp_path / "file" / "release")


def test_leftovers_of_killed_builds_are_removed(release: Release, tmp_path: Path) -> None:
    """Files of other programs and of running builds are not removed."""
    folder = tmp_path / "re[l]ease"
    dead = tmp_path / ".re[l]ease.4194304.partial"
    kept = [
        tmp_path / f".re[l]ease.{os.getppid()}.partial",
        tmp_path / ".re[l]ease.mine.partial",
        tmp_path / ".release.4194304.partial",
        tmp_path / ".re[l]ease.old.4194304.partial",
    ]
    for left in (dead, *kept):
        left.mkdir()
    write(release, folder)
    assert sorted(tmp_path.iterdir()) == sorted([folder, *kept])


def test_an_unsafe_name_cannot_be_in_a_release(release: Release) -> None:
    """A name that is not the same on every file system is rejected."""
    with pytest.raises(ReleaseError, match="cannot be the name of a file in a release"):
        make_release({"en/公.html": b""}, release.metadata)


def test_a_failed_exchange_leaves_the_earlier_release(
    release: Release, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier release stays, and nothing else is left next to it."""

    def fail(old: Path, new: Path, _flag: int) -> None:
        raise OSError(5, "Input/output error", str(old), None, str(new))

    monkeypatch.setattr(files, "_rename", fail)
    with pytest.raises(CccrError, match="cannot be written: Input/output error"):
        write(release, folder)
    assert load(folder) == release
    assert list(folder.parent.iterdir()) == [folder]


def test_a_file_that_is_read_is_in_memory_once(tmp_path: Path) -> None:
    """Reading the ZIP of a large site does not take twice its length."""
    (tmp_path / "large.zip").write_bytes(bytes(5_000_000))
    tracemalloc.start()
    try:
        with ReleaseFolder.open(tmp_path) as folder:
            body = folder.read("large.zip", 6_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body == bytes(5_000_000)
    assert peak < 7_000_000
