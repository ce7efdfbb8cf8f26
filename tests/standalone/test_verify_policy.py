"""``verify.py`` on copies under a policy of several signers, and the ZIP that no list names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.policies import TWO_OF_THREE, policy_release
from support.signed import put
from support.verify_copies import assert_differs, assert_rejected, run, zip_of

from cccr_web.release.archive import make_archive
from cccr_web.standalone import verify

FINGERPRINT = TWO_OF_THREE.fingerprint
REPACKED = "Another program repacked the ZIP · 这个ZIP被别的程序重新打包过"
ZIP = "cccr-web.zip"


@pytest.fixture
def files() -> dict[str, bytes]:
    """A copy that two of three signed."""
    return {path: file.body for path, file in policy_release("editor", "second").files.items()}


def pack(files: dict[str, bytes]) -> bytes:
    """Return the ZIP of these files with the time of the release."""
    return make_archive(files, policy_release("editor", "second").metadata.time)


def test_a_long_file_under_a_policy_is_not_read_to_its_end(
    tmp_path: Path,
    files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The ZIP in the folder has the length of every file here, too."""
    folder = put(files, tmp_path)
    os.truncate(folder / "en/index.html", 250 << 20)
    read: Counter[str] = Counter()
    real = verify.Folder.blocks

    def blocks(folder: verify.Folder, name: str) -> Iterator[bytes]:
        for block in real(folder, name):
            read[name] += len(block)
            yield block

    monkeypatch.setattr(verify.Folder, "blocks", blocks)
    assert verify.main([str(folder), FINGERPRINT]) == 1
    assert "en/index.html was changed." in capsys.readouterr().out
    assert read["en/index.html"] <= len(files["en/index.html"]) + verify.BLOCK


def test_a_folder_that_another_program_packs_with_its_zip_is_genuine(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    """The ZIP inside is checked like the one in a folder, and is no unknown file."""
    done = run(zip_of(tmp_path, pack(files)), FINGERPRINT)
    assert_differs(done, REPACKED)


@pytest.mark.parametrize("inside", [b"PK", b"", pack({"SHA256SUMS": b"", "forged.html": b""})])
def test_a_zip_in_our_zip_is_not_passed_over(
    tmp_path: Path, files: dict[str, bytes], inside: bytes
) -> None:
    """No list names it, so the whole copy is rejected unless it holds the same files."""
    done = run(zip_of(tmp_path, pack({**files, ZIP: inside})), FINGERPRINT)
    assert done.returncode == 1, done.stdout


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_in_place_of_a_page_is_rejected_in_a_zip_too(
    tmp_path: Path, files: dict[str, bytes], *, packed: bool
) -> None:
    """A browser may show what such a folder holds as the page."""
    del files[ZIP], files["en/index.html"]
    files["en/index.html/index.html"] = b"forged"
    copy = zip_of(tmp_path, pack(files)) if packed else put(files, tmp_path)
    done = run(copy, FINGERPRINT)
    assert_rejected(done, "'en/index.html' is a link, or not a file", "'en/index.html'是链接")
