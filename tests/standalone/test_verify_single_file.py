"""``verify.py`` on a single file next to the signed list, and on files that are too long."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest
from support.signed import put, signed_release
from support.verify_copies import (
    COMMENT,
    FILES,
    ORGANISATION,
    MinisignSigner,
    assert_differs,
    assert_rejected,
    count_reads,
    pack,
    released,
    run,
    signed,
    zip_of,
)

from cccr_web.standalone import verify


@pytest.mark.parametrize("name", ["en/who-we-are.html", "en/cccr-en.epub", "en/feed.xml"])
def test_a_single_file_is_verified(tmp_path: Path, name: str) -> None:
    """A page, a book or any other file needs only the list and its signatures."""
    folder = put(released(name, "onion.png") | {"other.txt": b""}, tmp_path)
    file = folder / name.rpartition("/")[2]
    done = run(file, ORGANISATION)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[:2] == [
        f"GOOD. {file.name!r} ({name}) is exactly what was signed with the key {ORGANISATION}.",
        f"核对无误。{file.name!r}（{name}）与用密钥{ORGANISATION}签署的内容完全相同。",
    ]
    # Without a folder in front of its name, as typed in a terminal that was opened there.
    assert run(file.name, ORGANISATION, cwd=folder).returncode == 0


def test_a_single_file_is_verified_with_the_key_next_to_it(tmp_path: Path) -> None:
    """In place of the SSH signature, minisign.pub may lie there: the file itself is complete."""
    folder = put(released("onion.png", "minisign.pub"), tmp_path)
    (folder / "SHA256SUMS.sshsig").unlink()
    assert run(folder / "onion.png", ORGANISATION).returncode == 0
    (folder / "minisign.pub").unlink()
    done = run(folder / "onion.png", ORGANISATION)
    assert_rejected(done, "minisign.pub is missing", "缺少minisign.pub")


def test_a_single_file_under_another_name_is_genuine(tmp_path: Path) -> None:
    """The file is identified, because its name says something else."""
    folder = put(released("onion.png"), tmp_path)
    (folder / "onion.png").rename(folder / "who-we-are.html")
    done = run(folder / "who-we-are.html", ORGANISATION)
    assert_differs(done, "Its name in the list · 清单里的名字：onion.png")


def test_a_changed_single_file_is_rejected(tmp_path: Path) -> None:
    """The file is named."""
    folder = put(released("onion.png") | {"onion.png": b"forged"}, tmp_path)
    done = run(folder / "onion.png", ORGANISATION)
    assert_rejected(
        done, "'onion.png' was changed, or is not ours", "'onion.png'被改动过，或者不是"
    )


def test_a_single_file_needs_the_signature_of_the_list(tmp_path: Path) -> None:
    """What must be put next to the list is named."""
    folder = put(released("onion.png"), tmp_path)
    (folder / "SHA256SUMS.minisig").unlink()
    done = run(folder / "onion.png", ORGANISATION)
    wanted = ("SHA256SUMS.minisig is missing. It must be in the same", "缺少SHA256SUMS.minisig。")
    assert_rejected(done, *wanted)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A whole copy."""
    return put(
        {path: file.body for path, file in signed_release(2).files.items()}, tmp_path / "copy"
    )


PAGE = "en/who-we-are.html"


@pytest.mark.parametrize("name", [PAGE, ".well-known/security.txt", "onion.png"])
def test_a_file_at_its_place_in_a_copy_is_verified(copy: Path, name: str) -> None:
    """The list of the copy is found above the file, however its path is typed."""
    file = copy / name
    around = Path(os.path.relpath(file, copy / "zh-hans"))
    for path, folder in (
        (file, copy),
        (Path(name), copy),
        (Path(file.name), file.parent),
        (around, copy / "zh-hans"),
    ):
        done = run(path, ORGANISATION, cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith(f"GOOD. {name!r} ({name}) is exactly what was signed ")


def test_a_changed_file_in_a_copy_is_rejected(copy: Path) -> None:
    """The file is named with its place."""
    (copy / PAGE).write_bytes(b"forged")
    done = run(copy / PAGE, ORGANISATION)
    assert_rejected(done, f"{PAGE!r} was changed", f"{PAGE!r}被改动过")


def test_a_file_at_the_place_of_another_is_identified(copy: Path) -> None:
    """The name of one page with the bytes of another is a difference."""
    (copy / PAGE).write_bytes((copy / "zh-hans/who-we-are.html").read_bytes())
    done = run(copy / PAGE, ORGANISATION)
    assert_differs(done, "Its name in the list · 清单里的名字：zh-hans/who-we-are.html")


def test_a_file_in_a_copy_is_not_verified_with_another_key(
    copy: Path, signer: MinisignSigner
) -> None:
    """A list that is found above the file counts only if the right key signed it."""
    done = run(copy / PAGE, signer.fingerprint)
    assert_rejected(done, f"typed, but {ORGANISATION}.", f"而是{ORGANISATION}。")


@pytest.mark.parametrize("above", ["nothing", "another list", "our list", "a huge file", "a link"])
def test_a_single_file_without_a_list_is_wrong_usage(tmp_path: Path, above: str) -> None:
    """A list above that does not name the file is not its list: the command says what to do."""
    folder = put({"onion.png": signed_release(2).files["onion.png"].body}, tmp_path / "Downloads")
    if above == "our list":
        put(released("onion.png"), tmp_path)
    elif above == "a link":
        (tmp_path / "SHA256SUMS").symlink_to("SHA256SUMS")
    elif above != "nothing":
        put({"SHA256SUMS": b"0" * 64 + b"  debian.iso\n"}, tmp_path)
    if above == "a huge file":
        os.truncate(tmp_path / "SHA256SUMS", 1 << 40)
    done = run(folder / "onion.png", ORGANISATION)
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no SHA256SUMS for 'onion.png'. Put SHA256SUMS, SHA256SUMS.mini" in done.stderr
    assert "没有'onion.png'可以对照的SHA256SUMS。请把" in done.stderr


def test_a_single_file_signed_by_another_key_is_rejected(
    tmp_path: Path, signer: MinisignSigner
) -> None:
    """The key in the SSH signature must have the fingerprint that was typed."""
    folder = put(released("onion.png"), tmp_path)
    done = run(folder / "onion.png", signer.fingerprint)
    assert_rejected(done, f"typed, but {ORGANISATION}.", f"而是{ORGANISATION}。")


def test_the_list_is_not_a_single_file(tmp_path: Path) -> None:
    """The list and its signatures are verified with every file: to name them is wrong usage."""
    folder = put(released("onion.png"), tmp_path)
    done = run(folder / "SHA256SUMS", ORGANISATION)
    assert done.returncode == 2
    assert "Type the name of that file" in done.stderr


@pytest.mark.parametrize("name", ["en/index.html", "onion.png"])
def test_a_file_that_is_too_long_is_not_read(tmp_path: Path, name: str) -> None:
    """A file of a terabyte is rejected at once, in a folder or alone."""
    folder = put({path: file.body for path, file in signed_release(2).files.items()}, tmp_path)
    os.truncate(folder / name, 1 << 40)
    wanted = (f"'{name}' is too large to be ours.", f"'{name}'太大")
    assert_rejected(run(folder, ORGANISATION), *wanted)
    if "/" not in name:
        assert_rejected(run(folder / name, ORGANISATION), *wanted)


def test_a_file_longer_than_signed_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The ZIP in a folder, once verified, has the length of every other file."""
    files = {path: file.body for path, file in signed_release(2).files.items()}
    folder = put(files, tmp_path)
    os.truncate(folder / "en/index.html", 250 << 20)
    read = count_reads(monkeypatch)
    assert verify.main([str(folder), ORGANISATION]) == 1
    assert "en/index.html was changed." in capsys.readouterr().out
    assert 0 < read["en/index.html"] <= len(files["en/index.html"]) + verify.BLOCK
    # Without the ZIP the copy is not complete, and no length is known.
    (folder / "cccr-web.zip").unlink()
    assert verify.main([str(folder), ORGANISATION]) == 1
    assert "en/index.html was changed." in capsys.readouterr().out


def test_a_signed_zip_of_another_kind_gives_no_lengths(
    tmp_path: Path, signer: MinisignSigner
) -> None:
    """A release that lists such a ZIP is good."""
    copy = put(signed(signer, FILES | {"cccr-web.zip": b"PK"}, "-t", COMMENT), tmp_path)
    assert run(copy, signer.fingerprint).returncode == 0


def test_a_long_file_in_a_zip_is_not_unpacked(
    tmp_path: Path, good: dict[str, bytes], signer: MinisignSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more is unpacked than one byte beyond the length that the ZIP states."""
    body = pack({**good, "en/index.html": bytes(100_000_000)})
    size, lie = (100_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little")
    assert body.count(size) == 2
    unpacked: list[int] = []
    real = zlib.crc32

    def crc32(block: bytes, crc: int) -> int:
        unpacked.append(len(block))
        return real(block, crc)

    monkeypatch.setattr(zlib, "crc32", crc32)
    file = zip_of(tmp_path, body.replace(size, lie))
    assert verify.main([str(file), signer.fingerprint]) == 1
    assert sum(unpacked) < 100_000
