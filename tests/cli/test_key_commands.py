"""``key``: a key is made, shown and replaced, and its passphrase is read."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import PASSPHRASE, run

from cccr_web.cli.keys import read_passphrase
from cccr_web.release import read_public_key


@pytest.mark.long
def test_keys_are_made_and_shown(key_file: Path, tmp_path: Path) -> None:
    """Both commands print the key and its fingerprint."""
    passphrase = key_file.parent / "passphrase"
    made = run("key", "new", "--out", tmp_path / "next.key", "--passphrase-file", passphrase)
    following = read_public_key(str(tmp_path / "next.pub"))
    assert made.stdout == f"public key {following}\nfingerprint {following.fingerprint}\n"
    assert run("key", "show", tmp_path / "next.pub").stdout == made.stdout


def test_passphrase_is_asked_twice_on_the_terminal(tmp_path: Path) -> None:
    """Without a file the passphrase is asked for on the terminal, twice, and not shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cccr_web", "key", "new", "--out", str(tmp_path / "cccr.key")]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        shown = b""
        for question in (b"Passphrase: ", b"confirmation: "):
            while not shown.endswith(question):
                shown += os.read(ours, 1000)
            os.write(ours, f"{PASSPHRASE}\n".encode())
        while b"fingerprint" not in shown:
            shown += os.read(ours, 1000)
        assert process.wait(20) == 0
    os.close(ours)
    assert PASSPHRASE.encode() not in shown
    assert read_public_key(str(tmp_path / "cccr.pub")).fingerprint.encode() in shown


def test_input_that_ends_at_the_prompt_is_an_error(key_file: Path, tmp_path: Path) -> None:
    """Without a terminal or an answer, one sentence says so; nothing is written."""
    for command in (
        ("key", "new", "--out", tmp_path / "new.key"),
        ("mirrors", "--key", key_file, "--out", tmp_path / "m", "https://cccr.example"),
    ):
        done = run(*command)
        assert (done.exit_code, "Aborted" in done.output) == (1, False)
        assert done.stderr.endswith(
            "No passphrase was entered. Type it, or pass a file that holds it (see --help).\n"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        f"\ufeff{PASSPHRASE}\r\n".encode(),
        f"{PASSPHRASE}\r\nsecond line\r\n".encode(),
        f"{PASSPHRASE}\r\n".encode("utf-16"),
        b"\xfe\xff" + f"{PASSPHRASE}\n".encode("utf-16-be"),
    ],
)
def test_a_passphrase_file_made_on_windows_is_read(tmp_path: Path, body: bytes) -> None:
    """A byte order mark and CR LF are no part of the passphrase."""
    (tmp_path / "passphrase").write_bytes(body)
    assert read_passphrase(tmp_path / "passphrase", "") == PASSPHRASE


def test_a_missing_passphrase_file_is_an_error(tmp_path: Path) -> None:
    """The error names the file, the reason and what to do."""
    gone = tmp_path / "gone"
    result = run("key", "new", "--out", tmp_path / "cccr.key", "--passphrase-file", gone)
    assert (result.exit_code, result.stderr) == (
        1,
        f"The passphrase file {gone} cannot be read: No such file or directory. Use a text file.\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_passphrase_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    """The error names the file and says what is wrong with it."""
    (tmp_path / "bytes").write_bytes(b"\xff")
    result = run("key", "new", "--out", tmp_path / "x", "--passphrase-file", tmp_path / "bytes")
    assert (result.exit_code, result.stderr) == (
        1,
        f"The passphrase file {tmp_path}/bytes cannot be read: it is not text. Use a text file.\n",
    )
