"""A release comes from a folder whole and unchanged, or not at all (``release/store.py``)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cccr_web.errors import BuildError, ReleaseError
from cccr_web.release import Release, load, make_release, store, write

PAGE = "en/index.html"


@pytest.fixture
def folder(release: Release, tmp_path: Path) -> Path:
    """A release of its own for each test, to be broken."""
    write(release, tmp_path / "release")
    return tmp_path / "release"


def relist(folder: Path, change: Callable[[str], str]) -> None:
    """Change the text of the list."""
    path = folder / "SHA256SUMS"
    path.write_text(change(path.read_text()))


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


def change(folder: Path) -> None:
    """Change one byte of a page."""
    page = folder / PAGE
    page.write_bytes(page.read_bytes().replace(b"2010", b"2011", 1))


def change_with_its_size(folder: Path) -> None:
    """Add a space to a page."""
    with (folder / PAGE).open("ab") as page:
        page.write(b" ")


def exchange(folder: Path) -> None:
    """Exchange two pages, both of which are listed."""
    one, two = folder / PAGE, folder / "en/verify.html"
    one.rename(folder / "x")
    two.rename(one)
    (folder / "x").rename(two)


def link_to_the_same(folder: Path) -> None:
    """Put a link to the same bytes in place of a page."""
    page = folder / PAGE
    page.rename(folder.parent / "page")
    page.symlink_to(folder.parent / "page")


def link_folder(folder: Path) -> None:
    """Put a link to the same folder in place of one."""
    (folder / "en").rename(folder.parent / "en")
    (folder / "en").symlink_to(folder.parent / "en")


def fifo(folder: Path) -> None:
    """Put a named pipe in place of a page."""
    (folder / PAGE).unlink()
    os.mkfifo(folder / PAGE)


def folder_for_file(folder: Path) -> None:
    """Put a folder in place of a page."""
    (folder / PAGE).unlink()
    (folder / PAGE).mkdir()


def file_for_folder(folder: Path) -> None:
    """Put a file in place of a folder."""
    shutil.rmtree(folder / "en")
    (folder / "en").write_text("")


def link_list(folder: Path) -> None:
    """Put a link in place of the list."""
    (folder / "SHA256SUMS").rename(folder.parent / "list")
    (folder / "SHA256SUMS").symlink_to(folder.parent / "list")


def without_metadata(folder: Path) -> None:
    """Take RELEASE.json away, from the list too."""
    (folder / "RELEASE.json").unlink()
    relist(folder, lambda text: text.split("\n", 1)[1])


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (change, f"{PAGE} is not the file that SHA256SUMS lists."),
    "longer": (change_with_its_size, f"{PAGE} is not the file that SHA256SUMS lists."),
    "exchanged": (exchange, f"{PAGE} is not the file that SHA256SUMS lists."),
    "missing": (
        lambda folder: (folder / PAGE).unlink(),
        f"{PAGE} cannot be read: No such file or directory.",
    ),
    "extra": (
        lambda folder: (folder / "en/extra.html").write_text("evil"),
        "en/extra.html is not listed in SHA256SUMS.",
    ),
    "extra and hidden": (
        lambda folder: (folder / "en/.htaccess").write_text("evil"),
        "en/.htaccess is not listed in SHA256SUMS.",
    ),
    "extra link": (
        lambda folder: (folder / "en/extra.html").symlink_to("/etc/passwd"),
        "en/extra.html is not listed in SHA256SUMS.",
    ),
    "extra link to a folder": (
        lambda folder: (folder / "etc").symlink_to("/etc"),
        "etc is not listed in SHA256SUMS.",
    ),
    "extra pipe": (
        lambda folder: os.mkfifo(folder / "pipe"),
        "pipe is not listed in SHA256SUMS.",
    ),
    "link": (
        link_to_the_same,
        f"{PAGE} cannot be read: Too many levels of symbolic links.",
    ),
    "link to a folder": (link_folder, "en/addresses.html cannot be read: Not a directory."),
    "pipe": (fifo, f"{PAGE} is no regular file."),
    "folder for a file": (folder_for_file, f"{PAGE} is no regular file."),
    "file for a folder": (file_for_folder, "en/addresses.html cannot be read: Not a directory."),
    "no list": (
        lambda folder: (folder / "SHA256SUMS").unlink(),
        "SHA256SUMS cannot be read: No such file or directory.",
    ),
    "list is a link": (
        link_list,
        "SHA256SUMS cannot be read: Too many levels of symbolic links.",
    ),
    "list names itself": (
        lambda folder: relist(
            folder, lambda text: text.replace("en/addresses.html", "SHA256SUMS", 1)
        ),
        "SHA256SUMS is not the file that SHA256SUMS lists.",
    ),
    "list names what lies outside": (
        lambda folder: relist(folder, lambda text: text + f"{'0' * 64}  zz/../../list\n"),
        "SHA256SUMS, line 24: 'zz/../../list' is no path inside a release.",
    ),
    "list with CRLF": (
        lambda folder: (folder / "SHA256SUMS").write_bytes(
            (folder / "SHA256SUMS").read_bytes().replace(b"\n", b"\r\n")
        ),
        "SHA256SUMS, line 1, is not “SHA-256, two spaces, path”.",
    ),
    "no facts": (without_metadata, "SHA256SUMS does not list RELEASE.json."),
}


@pytest.mark.parametrize(("attack", "message"), ATTACKS.values(), ids=ATTACKS)
def test_attack(folder: Path, attack: Callable[[Path], object], message: str) -> None:
    """A folder with one thing changed is refused, and that thing is named."""
    attack(folder)
    with pytest.raises(ReleaseError) as caught:
        load(folder)
    assert str(caught.value) == message


def test_no_folder(tmp_path: Path) -> None:
    """A place without a release says how to make one."""
    way_out = "Make one with: cccr-web build --out DIR"
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name, why in (
        ("none", "No such file or directory"),
        ("file", "Not a directory"),
        ("link", "Not a directory"),
    ):
        with pytest.raises(ReleaseError) as caught:
            load(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name} is no release: {why}. {way_out}"


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
    with pytest.raises(BuildError) as caught:
        write(release, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds something else than a release. Choose another or an empty folder."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_no_link_or_file_is_replaced(release: Release, tmp_path: Path) -> None:
    """A link, to whatever it leads, and a file are left as they are."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    for name in ("file", "link"):
        with pytest.raises(BuildError, match=f"{name} is no folder"):
            write(release, tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


def test_place_that_cannot_be_made(release: Release, tmp_path: Path) -> None:
    """A place below a file is told in one sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(BuildError, match=r"release could not be written: (File exists|Not a dir)"):
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
    with pytest.raises(BuildError, match="could not be written: Input/output error"):
        write(release, folder)
    assert load(folder) == release
    assert list(folder.parent.iterdir()) == [folder]
