"""Verifying in a subprocess gives the same answers as verifying in this process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.signed import PUBLIC, known_key, put_release, signed_release

from cccr_web.errors import ReleaseError, SignatureError
from cccr_web.release import (
    PublicKey,
    Verify,
    load,
    verify_in_subprocess,
    verify_signatures,
    verify_subprocess,
)

FILES = {path: file.body for path, file in signed_release(7).files.items()}
SUMS = FILES["SHA256SUMS"]
SSHSIG = "SHA256SUMS.sshsig"
SIGNATURES = {name: FILES[name] for name in ("SHA256SUMS.minisig", SSHSIG)}


def answer(verify: Verify, key: PublicKey, sums: bytes, signatures: dict[str, bytes]) -> str:
    """Return the trusted comment, or the error."""
    try:
        return verify(sums, signatures, key)
    except SignatureError as error:
        return f"error: {error}"


@pytest.mark.parametrize(
    ("key", "sums", "signatures", "begins"),
    [
        (PUBLIC, SUMS, SIGNATURES, "sequence:7 "),
        (PUBLIC, SUMS + b"\n", SIGNATURES, "error: SHA256SUMS.minisig does not match SHA256SUMS"),
        (PUBLIC, SUMS, {}, "error: SHA256SUMS.minisig is missing"),
        (
            PUBLIC,
            SUMS,
            {**SIGNATURES, "SHA256SUMS.sshsig": b"\xff\0"},
            "error: SHA256SUMS.sshsig is",
        ),
        (known_key(b"x").public, SUMS, SIGNATURES, "error: SHA256SUMS.minisig was made with"),
    ],
    ids=["good", "other list", "unsigned", "no signature", "other key"],
)
def test_a_subprocess_gives_the_same_answer(
    key: PublicKey, sums: bytes, signatures: dict[str, bytes], begins: str
) -> None:
    """A good signature gives the same trusted comment, and a bad one the same error."""
    here = answer(verify_signatures, key, sums, signatures)
    assert here.startswith(begins)
    assert answer(verify_in_subprocess, key, sums, signatures) == here


def test_a_release_is_loaded_with_signatures_verified_in_a_subprocess(tmp_path: Path) -> None:
    """``load`` takes the function that verifies, and rejects a changed manifest."""
    release = signed_release(7)
    put_release(release, tmp_path)
    assert load(tmp_path, PUBLIC, verify=verify_in_subprocess) == release
    (tmp_path / "SHA256SUMS").write_bytes(SUMS.replace(b"a", b"b", 1))
    with pytest.raises(SignatureError, match="does not match"):
        load(tmp_path, PUBLIC, verify=verify_in_subprocess)


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
def test_a_subprocess_that_fails_has_verified_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, said: str
) -> None:
    """A subprocess that does not start, ends early or hangs is an error."""
    python = tmp_path / "python"
    if program is not None:
        python.write_text(program, encoding="ascii")
        python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(verify_subprocess, "_SECONDS", 0.5)
    with pytest.raises(ReleaseError, match=said):
        verify_in_subprocess(SUMS, SIGNATURES, PUBLIC)


def test_the_working_directory_cannot_replace_a_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the server's working directory is not imported."""
    (tmp_path / "json.py").write_text("raise SystemExit(0)", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    with pytest.raises(SignatureError, match=r"SHA256SUMS\.minisig is missing"):
        verify_in_subprocess(SUMS, {}, PUBLIC)
