"""A release comes from a folder whole and unchanged, or not at all (``release/store.py``)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import Release, load, make_release, store, write

PAGE = "en/index.html"


@pytest.fixture
def folder(release: Release, tmp_path: Path) -> Path:
    """A release of its own for each test, to be broken."""
    write(release, tmp_path / "release")
    return tmp_path / "release"


def test_there_and_back(release: Release, folder: Path) -> None:
    """What is written is loaded as it was."""
    assert load(folder) == release
    assert sorted(release.files) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def test_list_agrees_with_coreutils(folder: Path) -> None:
    """A reader's own sha256sum checks every file but the list itself."""
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


def test_no_folder(tmp_path: Path) -> None:
    """A place without a release says how to make one."""
    way_out = "Make one with: cccr-web build --out DIR"
    (tmp_path / "link").symlink_to(tmp_path)
    for name, why in (("none", "No such file or directory"), ("link", "Not a directory")):
        with pytest.raises(ReleaseError) as caught:
            load(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name} is not a release: {why}. {way_out}"


def test_later_release_replaces_an_earlier_one(release: Release, folder: Path) -> None:
    """A release is exchanged whole: nothing of the earlier one stays."""
    pages = {path: file.body for path, file in release.files.items() if path == PAGE}
    later = make_release(pages, release.metadata)
    write(later, folder)
    assert load(folder) == later
    assert list(folder.parent.iterdir()) == [folder]


def test_empty_folder_becomes_a_release(release: Release, tmp_path: Path) -> None:
    """An empty folder, and a folder whose parents are not there yet, are written."""
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "a" / "b"):
        write(release, folder)
        assert load(folder) == release


@pytest.mark.parametrize("names", [["notes.txt"], ["SHA256SUMS", "debian.iso"], ["RELEASE.json"]])
def test_nothing_but_a_release_is_replaced(
    release: Release, tmp_path: Path, names: list[str]
) -> None:
    """A folder of something else, even with a list of sums of its own, is left as it is."""
    for name in names:
        (tmp_path / name).write_text("mine")
    with pytest.raises(CccrError) as caught:
        write(release, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds something other than a release. Choose another or an empty folder."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_no_link_or_file_is_replaced(release: Release, tmp_path: Path) -> None:
    """A link, to whatever it leads, and a file are left as they are."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    for name in ("file", "link"):
        with pytest.raises(CccrError, match=f"{name} is not a folder"):
            write(release, tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_place_that_cannot_be_made(release: Release, tmp_path: Path) -> None:
    """A place below a file is told in one sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(CccrError, match=r"release could not be written: (File exists|Not a dir)"):
        write(release, tmp_path / "file" / "release")


def test_left_overs(release: Release, tmp_path: Path) -> None:
    """What killed builds left is removed; what others made or still write is not."""
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


def test_names_that_a_page_may_have(release: Release) -> None:
    """A name that is not the same on every file system cannot come into a release."""
    with pytest.raises(ReleaseError, match="cannot be the name of a file in a release"):
        make_release({"en/公.html": b""}, release.metadata)


def test_one_step(release: Release, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exchange fails, the earlier release stays and nothing is left beside it."""

    def fail(one: Path, other: Path) -> None:
        raise OSError(5, "Input/output error", str(one), None, str(other))

    monkeypatch.setattr(store, "_exchange", fail)
    with pytest.raises(CccrError, match="could not be written: Input/output error"):
        write(release, folder)
    assert load(folder) == release
    assert list(folder.parent.iterdir()) == [folder]
