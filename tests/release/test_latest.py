"""``SHA256SUMS.latest``: until when a release is known to be the newest (``release/latest.py``)."""

from __future__ import annotations

import json
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.command import run
from support.policies import EDITOR, TWO_OF_THREE, policy_release, with_latest
from support.signed import KEY, PUBLIC, TODAY, known_key_file, put, put_release, signed_release

from cccr_web.release import (
    LATEST,
    Latest,
    Release,
    add_signature,
    latest_of,
    load,
    with_archive,
)

DAY = timedelta(days=1)
PAST: dict[str, Any] = {"issued": TODAY.date() - 36 * DAY, "lapses": TODAY.date() - DAY}
NEWER: dict[str, Any] = {"sequence": 9, "sha256": "0" * 64}


def verify(release: Release, folder: Path, *options: str) -> Result:
    """Verify a release with the tests' key."""
    put_release(release, folder / "release")
    return run("verify", folder / "release", "--public-key", PUBLIC, *options)


@pytest.mark.parametrize(
    ("changes", "said", "warning"),
    [
        ({}, f"The newest as of {TODAY:%Y-%m-%d}; a newer one may exist.", ""),
        (
            PAST,
            f"The newest as of {PAST['issued']}; a newer one may exist.",
            f"Warning: SHA256SUMS.latest of {PAST['issued']} lapsed on {PAST['lapses']}.\n",
        ),
        (
            NEWER,
            None,
            "Warning: SHA256SUMS.latest says that release 9 is newer than this one, 2.\n",
        ),
    ],
    ids=["newest", "lapsed", "newer"],
)
def test_verify_says_on_which_day_a_release_was_the_newest(
    changes: dict[str, Any], said: str | None, warning: str, tmp_path: Path
) -> None:
    """Whatever it says, the exit code stays: the release is what was signed."""
    done = verify(with_latest(signed_release(2), KEY, **changes), tmp_path)
    assert (done.exit_code, done.stderr) == (0, warning)
    assert done.stdout.splitlines()[1:] == ([said] if said else [])


def test_verify_says_that_nothing_says_so(tmp_path: Path) -> None:
    """Without the file one line says so; programs get null, or the day."""
    done = verify(signed_release(2), tmp_path)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1] == f"A newer release may exist: there is no {LATEST}."
    assert json.loads(verify(signed_release(2), tmp_path, "--json").stdout)["latest"] is None
    dated = verify(with_latest(signed_release(2), KEY), tmp_path, "--json")
    assert json.loads(dated.stdout)["latest"] == f"{TODAY:%Y-%m-%d}"


def test_one_signer_writes_it_and_minisign_verifies_it(
    tmp_path: Path, key_file: Path, today: date
) -> None:
    """The text above the signature is a file of its own for minisign."""
    put_release(signed_release(2), tmp_path / "release")
    passphrase = ("--passphrase-file", key_file.parent / "passphrase")
    done = run("latest", tmp_path / "release", "--key", key_file, *passphrase)
    assert (done.exit_code, done.stdout) == (
        0,
        f"Release 2 is the newest as of {today}, until {today + 35 * DAY}.\n",
    )
    found = latest_of(load(tmp_path / "release", PUBLIC))
    sha256 = signed_release(2).manifest_sha256
    assert found == Latest(2, sha256, today, today + 35 * DAY, PUBLIC)
    text, _, rest = (tmp_path / "release" / LATEST).read_bytes().partition(b"-----BEGIN")
    signature = b"".join(rest.splitlines(keepends=True)[1:5])
    put({"text": text, "text.minisig": signature}, tmp_path)
    command = ["minisign", "-Vm", "text", "-P", str(PUBLIC)]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_it_is_written_again_without_a_release(tmp_path: Path) -> None:
    """Only this file changes; the day on which it lapses may be chosen."""
    release = with_latest(policy_release("editor", "second"), **PAST)
    folder, key = tmp_path / "release", put({"key": known_key_file(b"editor")}, tmp_path) / "key"
    put_release(release, folder)
    lapses = TODAY.date() + 5 * DAY
    assert run("latest", folder, "--key", key, "--lapses", lapses).exit_code == 0
    renewed = load(folder, TWO_OF_THREE)
    changed = {path for path in release.files if release.files[path] != renewed.files[path]}
    assert changed == {LATEST}
    found = latest_of(renewed)
    assert found
    assert (found.key, found.lapses) == (EDITOR.public, lapses)


@pytest.mark.parametrize(
    ("release", "key", "lapses", "problem"),
    [
        (policy_release("editor"), b"editor", 5, "lawyer, second can sign"),
        (policy_release("editor", "second"), b"a stranger", 5, "is no key of a signer"),
        (policy_release("editor", "second"), b"editor", 0, "would lapse on"),
        (policy_release("editor", "second"), b"editor", 400, "would lapse on"),
        (signed_release(2), b"a stranger", 5, "was made with another key"),
    ],
    ids=["incomplete", "stranger", "at once", "too late", "another key"],
)
def test_it_is_not_written_if_nobody_would_accept_it(
    release: Release, key: bytes, lapses: int, problem: str, tmp_path: Path
) -> None:
    """The command rejects what a verifier would, and writes nothing."""
    file = put({"key": known_key_file(key)}, tmp_path) / "key"
    put_release(release, tmp_path / "release")
    until = TODAY.date() + lapses * DAY
    done = run("latest", tmp_path / "release", "--key", file, "--lapses", until)
    assert (done.exit_code, problem in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "release" / LATEST).exists()


def test_no_zip_holds_it_and_another_signature_keeps_it() -> None:
    """The third signer may come later: the ZIP gets the signature, and never this file."""
    two, three = policy_release("editor", "second"), policy_release("editor", "lawyer", "second")
    dated = with_latest(two)
    assert with_archive(dated) == dated
    signed = add_signature(dated, three.signatures)
    assert signed.files == {**three.files, LATEST: dated.files[LATEST]}
