"""Three verdicts: what is genuine but not alone or not complete is not called forged."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.attacks.target import AttackTarget
from support.command import PYTHON
from support.signed import ARMOUR, put, signed_release
from support.verify_copies import (
    ORGANISATION,
    SCRIPT,
    UNTRUSTED,
    MinisignSigner,
    assert_differs,
    assert_rejected,
    by_a_system,
    missing,
    moved,
    pack,
    released,
    run,
    unknown,
    unverified,
    zip_of,
)

from cccr_web.standalone import verify


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "en/.DS_Store",
        "._index.html",
        "en/._index.html",
        "Thumbs.db",
        "en/thumbs.db",
        "desktop.ini",
        "Desktop.ini",
        "__MACOSX/en/._index.html",
    ],
)
def test_a_file_that_a_system_adds_is_no_alarm(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """Everything of ours is genuine, and the file is named as one of macOS or Windows."""
    done = run(put({**good, name: b"Bud1"}, tmp_path), signer.fingerprint)
    assert_differs(done, by_a_system(name))
    assert done.stdout.startswith("GENUINE, BUT SEE BELOW. All 6 files are exactly what ")


def test_the_file_that_a_mirror_adds_is_no_alarm(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The empty file for GitHub Pages is named as one of a mirror, but only at its place."""
    done = run(put({**good, ".nojekyll": b"", "en/.nojekyll": b""}, tmp_path), signer.fingerprint)
    kind = "mirrors add a file with this name · 镜像网站会添加这个名字的文件"
    known = f"Not ours · 不是本组织的文件：'.nojekyll' ({kind})"
    assert_differs(done, known, unknown("en/.nojekyll"))


@pytest.mark.parametrize(
    "name",
    ["en/extra.html", ".htaccess", "setup.exe", "DS_Store", "en/thumbs.db.exe", "说明.txt"],
)
def test_an_unknown_file_is_named_as_unknown(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str
) -> None:
    """A file that is not ours is named, with a warning not to open it."""
    done = run(put({**good, name: b"MZ"}, tmp_path), signer.fingerprint)
    assert_differs(done, unknown(name))


@pytest.mark.parametrize("packed", [False, True])
def test_a_genuine_file_in_another_place_is_not_unknown(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, *, packed: bool
) -> None:
    """It is named with the file that it is a copy of; what differs by a byte stays unknown."""
    page, program = good["en/index.html"], good["verify.py"]
    files = {**good, "en/copy.html": page, "tools/verify.py": program, "en/new.html": page + b" "}
    del files["verify.py"]
    copy = zip_of(tmp_path, pack(files)) if packed else put(files, tmp_path / "copy")
    assert_differs(
        run(copy, signer.fingerprint),
        missing("verify.py"),
        moved("en/copy.html", "en/index.html"),
        unknown("en/new.html"),
        moved("tools/verify.py", "verify.py"),
    )


def test_an_extra_file_that_is_too_large_is_unknown(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A film in the folder is not read, and is no reason to reject the copy."""
    copy = put({**good, "film.mp4": b""}, tmp_path)
    os.truncate(copy / "film.mp4", 1 << 40)
    assert_differs(run(copy, signer.fingerprint), unknown("film.mp4"))


def test_an_extra_file_that_cannot_be_read_is_unknown(
    tmp_path: Path,
    good: dict[str, bytes],
    signer: MinisignSigner,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file that the reader may not open is no reason to reject the copy, if it is not ours."""
    copy = put({**good, "extra": b""}, tmp_path)
    real = Path.open

    def refuse(path: Path, mode: str = "r") -> object:
        if path.name == "extra":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, mode)

    fingerprint = signer.fingerprint
    monkeypatch.setattr(Path, "open", refuse)
    assert verify.main([str(copy), fingerprint]) == 3
    assert f"- {unknown('extra')}" in capsys.readouterr().out


def test_whatever_else_is_in_a_folder_is_named(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Links, pipes and empty folders are named as well; a loop of links ends nothing."""
    copy = put(good, tmp_path / "copy")
    (copy / "loop").symlink_to(copy, target_is_directory=True)
    (copy / "link").symlink_to(tmp_path)
    os.mkfifo(copy / "pipe")
    (copy / "empty").mkdir()
    done = run(copy, signer.fingerprint)
    assert_differs(done, unknown("empty/"), unknown("link"), unknown("loop"), unknown("pipe"))


def test_every_missing_file_is_named(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A part of a copy is genuine; what is missing is listed, before what is not ours."""
    copy = put({**good, ".DS_Store": b""}, tmp_path)
    (copy / "zh-hans/index.html").unlink()
    (copy / "RELEASE.json").unlink()
    done = run(copy, signer.fingerprint)
    assert_differs(
        done, missing("RELEASE.json"), missing("zh-hans/index.html"), by_a_system(".DS_Store")
    )
    assert " 4 of 6 files are exactly " in done.stdout
    assert "6个文件中的4个与用密钥" in done.stdout


def test_a_changed_file_counts_more_than_a_missing_one(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A copy with a changed file is rejected, whatever else is wrong with it."""
    copy = put({**good, "en/index.html": b"forged", ".DS_Store": b""}, tmp_path)
    (copy / "RELEASE.json").unlink()
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "en/index.html was changed.", "en/index.html被改动过。")


def test_a_folder_in_place_of_a_file_is_rejected(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A browser may show what such a folder holds as the page."""
    copy = put(good, tmp_path)
    (copy / "en/index.html").unlink()
    put({"en/index.html/index.html": b"forged"}, copy)
    done = run(copy, signer.fingerprint)
    assert_rejected(done, "'en/index.html' is a link, or not a file", "'en/index.html'是链接")


def test_the_folder_that_holds_the_copy_will_do(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """The copy in a folder is found and named."""
    put(good, tmp_path / "cccr-web")
    done = run(tmp_path, signer.fingerprint)
    assert done.returncode == 0, done.stdout
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("GOOD. All 6 files in 'cccr-web' are exactly what ")
    assert second.startswith("核对无误。'cccr-web'里的全部6个文件都与")


def test_what_lies_next_to_the_copy_is_named_but_not_read(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A folder next to the copy is named once, whatever it holds."""
    put(good, tmp_path / "cccr-web")
    put({"__MACOSX/a": b"", "photos/1": b"", "photos/2": b"", "cccr-web.zip": b""}, tmp_path)
    done = run(tmp_path, signer.fingerprint)
    assert_differs(done, by_a_system("__MACOSX/"), unknown("cccr-web.zip"), unknown("photos/"))


@pytest.mark.parametrize("name", ["en/", "verify.py", "RELEASE.json", ".well-known/"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_lies_next_to_the_copy_may_have_the_name_of_a_file_of_ours(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, name: str, *, packed: bool
) -> None:
    """It is named, neither passed over nor taken for the file of that name in the copy."""
    put(good, tmp_path / "all" / "cccr-web")
    (tmp_path / "all" / name).mkdir() if name.endswith("/") else (tmp_path / "all" / name).touch()
    if packed:
        shutil.make_archive(str(tmp_path / "copy"), "zip", tmp_path / "all")
    done = run(tmp_path / ("copy.zip" if packed else "all"), signer.fingerprint)
    repacked = ["Another program repacked the ZIP · 这个ZIP被别的程序重新打包过"] * packed
    assert_differs(done, unknown(name), *repacked)


def test_the_program_itself_may_lie_next_to_the_copy(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A reader who got the program elsewhere puts it there and types the fingerprint alone."""
    put(good, tmp_path / "cccr-web")
    shutil.copy(SCRIPT, tmp_path)
    done = subprocess.run(
        [PYTHON, "-I", "-S", tmp_path / "verify.py", *signer.fingerprint.split()],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout


def test_a_folder_without_a_copy_is_not_searched(
    tmp_path: Path,
    good: dict[str, bytes],
    signer: MinisignSigner,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader who types the wrong folder does not wait until the whole disk was read."""
    put(good, tmp_path / "too" / "deep")
    read: list[str] = []
    scandir = os.scandir

    def spy(path: Path) -> Iterator[os.DirEntry[str]]:
        read.append(str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", spy)
    assert verify.main([str(tmp_path), signer.fingerprint]) == 1
    assert "SHA256SUMS is missing" in capsys.readouterr().out
    assert read == [str(tmp_path)]


def test_of_two_copies_the_reader_must_choose(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """A folder that holds two copies is wrong usage, and both are named."""
    put(good, tmp_path / "old")
    put(good, tmp_path / "new")
    done = run(tmp_path, signer.fingerprint)
    assert done.returncode == 2
    assert "Type the name of one: 'new', 'old'." in done.stderr
    assert "请写明核对哪一份：'new', 'old'。" in done.stderr


@pytest.mark.parametrize("where", ["folder", "single file"])
def test_what_nobody_signed_is_reported_and_not_counted(tmp_path: Path, where: str) -> None:
    """An unsigned OpenPGP signature and a false SSH signature change no exit code."""
    files = {path: file.body for path, file in signed_release(2).files.items()}
    count = len(signed_release(2).listed)
    more = {"SHA256SUMS.asc": b"x", "SHA256SUMS.sshsig": b"x" * 10_000}
    folder = put(files | more, tmp_path)
    done = run(folder / "onion.png" if where == "single file" else folder, ORGANISATION)
    assert done.returncode == 0, done.stdout
    assert unverified(done) == f"{UNTRUSTED}, SHA256SUMS.sshsig, SHA256SUMS.asc"
    if where == "folder":
        assert done.stdout.startswith(f"GOOD. All {count} files are exactly ")


def test_an_ssh_signature_that_was_verified_is_not_reported(tmp_path: Path) -> None:
    """The SSH signature of a release is verified like minisign's; one of another list is not."""
    files = {path: file.body for path, file in signed_release(2).files.items()}
    done = run(put(files, tmp_path), ORGANISATION)
    assert (done.returncode, unverified(done)) == (0, UNTRUSTED)
    good = files["SHA256SUMS.sshsig"]
    old = signed_release(1).files["SHA256SUMS.sshsig"].body
    for changed in (old, good + b"trust me\n", b"trust me\n" + good, good.replace(b"-\n", b"\n")):
        done = run(put({"SHA256SUMS.sshsig": changed}, tmp_path), ORGANISATION)
        assert (done.returncode, unverified(done)) == (0, f"{UNTRUSTED}, SHA256SUMS.sshsig")


def test_an_ssh_signature_without_a_good_minisign_signature_proves_nothing(tmp_path: Path) -> None:
    """The key may come from the SSH signature; the list must be signed in minisign's format."""
    folder = put(released("onion.png"), tmp_path)
    old = signed_release(1).files["SHA256SUMS.minisig"].body
    (folder / "SHA256SUMS.minisig").write_bytes(old)
    done = run(folder / "onion.png", ORGANISATION)
    assert_rejected(done, "does not match SHA256SUMS", "与SHA256SUMS不符")


@pytest.fixture
def with_openpgp(tmp_path: Path) -> Path:
    """A release with a signed comment that names its OpenPGP signature."""
    target = AttackTarget(tmp_path / "release")
    target.sign(armour=ARMOUR)
    return target.folder


def test_a_signed_openpgp_signature_is_one_of_our_files(with_openpgp: Path) -> None:
    """The OpenPGP signature that the signed comment names is verified and counted."""
    done = run(with_openpgp, ORGANISATION)
    assert (done.returncode, unverified(done)) == (0, UNTRUSTED)
    count = len(signed_release(2).listed) + 1
    assert done.stdout.startswith(f"GOOD. All {count} files are exactly ")


def test_a_changed_openpgp_signature_is_rejected(with_openpgp: Path) -> None:
    """It is a file of ours that was changed."""
    (with_openpgp / "SHA256SUMS.asc").write_bytes(ARMOUR + b"\n")
    done = run(with_openpgp, ORGANISATION)
    assert_rejected(done, "SHA256SUMS.asc was changed.", "SHA256SUMS.asc被改动过。")


def test_a_missing_openpgp_signature_is_named(with_openpgp: Path) -> None:
    """It is a file of ours that is missing."""
    (with_openpgp / "SHA256SUMS.asc").unlink()
    assert_differs(run(with_openpgp, ORGANISATION), missing("SHA256SUMS.asc"))


@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_ssh_signature_is_named(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, *, packed: bool
) -> None:
    """A folder or a ZIP without it is not complete, though the list does not have it."""
    files = {name: body for name, body in good.items() if name != "SHA256SUMS.sshsig"}
    done = run(
        zip_of(tmp_path, pack(files)) if packed else put(files, tmp_path), signer.fingerprint
    )
    assert_differs(done, missing("SHA256SUMS.sshsig"))


def test_the_untrusted_comment_is_not_repeated(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner
) -> None:
    """Anybody can change the untrusted comment: it is reported as not verified, not shown."""
    old = good["SHA256SUMS.minisig"]
    forged = b"untrusted comment: trust me\n" + old.partition(b"\n")[2]
    done = run(put({**good, "SHA256SUMS.minisig": forged}, tmp_path), signer.fingerprint)
    assert (done.returncode, unverified(done)) == (0, UNTRUSTED)
    assert "trust me" not in done.stdout
