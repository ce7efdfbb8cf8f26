"""Verifying in a process of its own gives the answers that verifying here gives."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.signed import known_key, organisation_key, put_release, signed_release

from cccr_web.errors import ReleaseError, SignatureError
from cccr_web.release import KeyApart, PublicKey, apart, load
from cccr_web.release.apart import verify_manifest

KEY = organisation_key().public
FILES = {path: file.body for path, file in signed_release(7).files.items()}
SUMS = FILES["SHA256SUMS"]
SSHSIG = "SHA256SUMS.sshsig"
SIGNATURES = {name: FILES[name] for name in ("SHA256SUMS.minisig", SSHSIG)}


def answer(key: PublicKey, sums: bytes, signatures: dict[str, bytes]) -> str:
    """Return the trusted comment, or why there is none."""
    try:
        return verify_manifest(sums, signatures, key)
    except SignatureError as error:
        return f"refused: {error}"


@pytest.mark.parametrize(
    ("key", "sums", "signatures", "begins"),
    [
        (KEY, SUMS, SIGNATURES, "sequence:7 "),
        (KEY, SUMS + b"\n", SIGNATURES, "refused: SHA256SUMS.minisig does not fit SHA256SUMS"),
        (KEY, SUMS, {}, "refused: SHA256SUMS.minisig is missing"),
        (
            KEY,
            SUMS,
            {**SIGNATURES, "SHA256SUMS.sshsig": b"\xff\0"},
            "refused: SHA256SUMS.sshsig is",
        ),
        (known_key(b"x").public, SUMS, SIGNATURES, "refused: SHA256SUMS.minisig was made with"),
    ],
    ids=["good", "other list", "unsigned", "no signature", "other key"],
)
def test_same_answer(
    key: PublicKey, sums: bytes, signatures: dict[str, bytes], begins: str
) -> None:
    """A signature that counts here counts there; one that does not is refused in the same words."""
    here = answer(key, sums, signatures)
    assert here.startswith(begins)
    assert answer(KeyApart.of(key), sums, signatures) == here


def test_load(tmp_path: Path) -> None:
    """A release is read by such a key as by any, and a changed list is refused."""
    release = signed_release(7)
    put_release(release, tmp_path)
    assert load(tmp_path, KeyApart.of(KEY)) == release
    (tmp_path / "SHA256SUMS").write_bytes(SUMS.replace(b"a", b"b", 1))
    with pytest.raises(SignatureError, match="does not fit"):
        load(tmp_path, KeyApart.of(KEY))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("#!/bin/sh\nexit 7\n", "status 7"),
        ("#!/bin/sh\necho sequence:7; kill -9 $$\n", "status -9"),
        ("#!/bin/sh\nexec sleep 30\n", "no answer in 0.5 seconds"),
        ("no program", "python: Exec format error"),
        (None, "python: No such file"),
    ],
)
def test_no_answer_is_no_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, said: str
) -> None:
    """A process that does not start, or ends early, has verified nothing."""
    python = tmp_path / "python"
    if program is not None:
        python.write_text(program, encoding="ascii")
        python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(apart, "_SECONDS", 0.5)
    with pytest.raises(ReleaseError, match=said):
        verify_manifest(SUMS, SIGNATURES, KeyApart.of(KEY))


def test_nothing_from_the_folder_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server was started no file can take the place of a module."""
    (tmp_path / "json.py").write_text("raise SystemExit(0)", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    with pytest.raises(SignatureError):
        verify_manifest(SUMS, {}, KeyApart.of(KEY))
