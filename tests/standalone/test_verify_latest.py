"""What ``verify.py`` says of whether a copy is the newest."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.policies import TWO_OF_THREE, policy_release, with_latest
from support.signed import KEY, PUBLIC, TODAY, put, put_release, signed_release
from support.verify_copies import ORGANISATION, assert_differs, assert_rejected, run, zip_of

from cccr_web.release import LATEST, Release
from cccr_web.release.archive import make_archive
from cccr_web.standalone import verify

DAY = timedelta(days=1)
ISSUED = TODAY.date() - 36 * DAY
LAPSED: dict[str, Any] = {"issued": ISSUED, "lapses": TODAY.date() - DAY}
NEWER: dict[str, Any] = {"sequence": 9, "sha256": "0" * 64}
NEWEST = "Newest as of {0}; a newer one may exist · 截至{0}是最新的，之后可能有更新的"
COPIES = {
    "one key": (with_latest(signed_release(2), KEY), KEY, ORGANISATION),
    "policy": (
        with_latest(policy_release("editor", "second", sequence=2)),
        None,
        TWO_OF_THREE.fingerprint,
    ),
}


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what is said of the newest release."""
    return [line for line in done.stdout.splitlines() if "newe" in line.lower() or "lapsed" in line]


def copy_of(release: Release, folder: Path) -> Path:
    """Write a copy, and return its folder."""
    put_release(release, folder / "copy")
    return folder / "copy"


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, [NEWEST.format(f"{TODAY:%Y-%m-%d}")]),
        (
            LAPSED,
            [
                NEWEST.format(ISSUED),
                (
                    f"That statement lapsed on {LAPSED['lapses']}: look for a newer copy · "
                    f"这句话已在{LAPSED['lapses']}失效：请另找一份更新的"
                ),
            ],
        ),
        (
            NEWER,
            [
                (
                    f"NOT THE NEWEST: there was release 9 by {TODAY:%Y-%m-%d} · "
                    f"不是最新的：到{TODAY:%Y-%m-%d}，已有第9版"
                )
            ],
        ),
    ],
    ids=["newest", "lapsed", "newer"],
)
def test_it_says_on_which_day_a_copy_was_the_newest(
    kind: str, changes: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    """The copy is genuine in any case, so the exit status is 0; the same for a single file."""
    release, key, fingerprint = COPIES[kind]
    release = with_latest(release, **({"key": key} if key else {}), **changes)
    folder = copy_of(release, tmp_path)
    for path in (folder, folder / "en/index.html"):
        done = run(path, fingerprint)
        assert (done.returncode, lines(done)) == (0, said), done.stdout


def test_without_the_file_one_line_says_that_nothing_is_known(tmp_path: Path) -> None:
    """The exit status is 0 for a folder and for our ZIP, which never holds the file."""
    folder = copy_of(signed_release(2), tmp_path)
    for path in (folder, folder / "cccr-web.zip"):
        done = run(path, ORGANISATION)
        assert (done.returncode, lines(done)) == (0, [verify.NO_LATEST]), done.stdout


def test_for_a_single_file_the_list_alone_tells_which_release_it_is(tmp_path: Path) -> None:
    """Without RELEASE.json the number of the release is unknown, but not its list."""
    release, _, fingerprint = COPIES["policy"]
    for index, (changes, said) in enumerate(
        (({}, "Newest as of"), (NEWER, "NOT THE NEWEST: there was release 9"))
    ):
        files = with_latest(release, **changes).files
        kept = {path: file.body for path, file in files.items() if "SHA256SUMS" in path}
        page = {"index.html": files["en/index.html"].body, "policy.txt": files["policy.txt"].body}
        folder = put({**kept, **page}, tmp_path / f"{index}")
        done = run(folder / "index.html", fingerprint)
        assert (done.returncode, said in done.stdout) == (0, True), done.stdout


def test_a_folder_that_another_program_packs_keeps_the_file(tmp_path: Path) -> None:
    """It is no unknown file there, but a ZIP that holds it is not ours."""
    release, _, fingerprint = COPIES["policy"]
    files = {path: file.body for path, file in release.files.items()}
    done = run(zip_of(tmp_path, make_archive(files, release.metadata.time)), fingerprint)
    assert_differs(done, verify.REPACKED)
    assert lines(done) == [NEWEST.format(f"{TODAY:%Y-%m-%d}")]


def test_a_forged_file_is_rejected_with_a_single_key_too(tmp_path: Path) -> None:
    """Its key is that of the list, whether minisign.pub or the SSH signature has it."""
    folder = copy_of(COPIES["one key"][0], tmp_path)
    (folder / "minisign.pub").unlink()
    assert lines(run(folder, ORGANISATION)) == [NEWEST.format(f"{TODAY:%Y-%m-%d}")]
    other = COPIES["policy"][0].files[LATEST].body
    (folder / LATEST).write_bytes(other)
    done = run(folder, ORGANISATION)
    assert_rejected(done, f"{LATEST} was made with another key", f"{LATEST}是用另一把密钥签署的")
    assert str(PUBLIC) not in other.decode()
