"""From the texts to a verified release, by the commands that an admin types."""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest
from support.command import PASSPHRASE, run
from support.hosting import short_folder
from support.signed import TODAY, content, facts, organisation_key, put, put_release
from support.texts import texts_with_key

from cccr_web.release import Signer, load, make_release


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real site, built for the tests' key and dated now; not signed."""
    folder = tmp_path_factory.mktemp("built")
    tree = texts_with_key(folder, organisation_key().public)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", f"{time.time():.0f}")
        arguments = ["build", "--out", str(folder / "release"), "--translations", str(tree)]
        result = run(*arguments)
    assert result.exit_code == 0, result.output
    return folder / "release"


@pytest.fixture
def signed(built: Path, key_file: Path, tmp_path: Path) -> Path:
    """The same, signed."""
    folder = tmp_path / "release"
    shutil.copytree(built, folder)
    result = run(
        "sign", folder, "--key", key_file, "--passphrase-file", key_file.parent / "passphrase"
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"{organisation_key().public.fingerprint}\n")
    return folder


def test_debian_tools_verify_a_signed_release(signed: Path) -> None:
    """sha256sum, minisign and ssh-keygen verify the real site with files from the release."""
    key = str(organisation_key().public)
    for command in (
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        ["minisign", "-VHm", "SHA256SUMS", "-p", "minisign.pub"],
        ["minisign", "-Vm", "SHA256SUMS", "-P", key],
        [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            "allowed_signers",
            "-I",
            "cccr",
            "-n",
            "file",
            "-s",
            "SHA256SUMS.sshsig",
        ],
    ):
        with (signed / "SHA256SUMS").open("rb") as sums:
            done = subprocess.run(command, cwd=signed, stdin=sums, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stderr)


def test_verify_accepts_a_folder_and_a_zip(signed: Path, key_file: Path) -> None:
    """``verify`` prints the facts, for a key file and for the text of a key."""
    for path, given in (
        (signed, key_file.with_suffix(".pub")),
        (signed / "cccr-web.zip", organisation_key().public),
    ):
        result = run("verify", path, "--public-key", given)
        assert result.exit_code == 0, result.output
        line, unknown = result.output.splitlines()
        assert line.startswith("OK: release 1 of ")
        assert line.endswith(f"signed by {organisation_key().public.fingerprint}.")
        assert unknown == "A newer release may exist: there is no SHA256SUMS.latest."


def test_verify_names_the_changed_file(signed: Path) -> None:
    """One sentence is printed on stderr, and the exit status is 1."""
    (signed / "en/index.html").write_text("changed")
    result = run("verify", signed, "--public-key", organisation_key().public)
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "",
        "en/index.html is not the file that SHA256SUMS lists.\n",
    )


def test_verify_json_prints_the_facts_of_the_release(signed: Path) -> None:
    """``--json`` prints one object with what a program needs to know of a good release."""
    result = run("verify", "--json", signed, "--public-key", organisation_key().public)
    said = json.loads((signed / "RELEASE.json").read_text())
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {
            **{key: said[key] for key in ("sequence", "time", "expires", "fingerprint")},
            "signed": ["SHA256SUMS.minisig", "SHA256SUMS.sshsig"],
            "sha256": hashlib.sha256((signed / "SHA256SUMS").read_bytes()).hexdigest(),
            "files": sum(path.is_file() for path in signed.rglob("*")),
            "days_left": 364,
            "onions": [],
            "latest": None,
        },
    )
    assert said["fingerprint"] == organisation_key().public.fingerprint


def test_verify_json_prints_the_onions_of_the_release(tmp_path: Path) -> None:
    """``onions`` lists every onion that the release names, in its order."""
    onions = tuple(f"{letter * 56}.onion" for letter in "ba")
    named = make_release(content(1), facts(1, onions=onions))
    put_release(Signer(organisation_key()).sign(named), tmp_path / "release")
    result = run(
        "verify", "--json", tmp_path / "release", "--public-key", organisation_key().public
    )
    assert json.loads(result.stdout)["onions"] == list(onions)


@pytest.mark.parametrize(
    ("public_key", "expected"),
    [
        (organisation_key().public, "en/index.html is not the file that SHA256SUMS lists."),
        ("none.pub", "The key file none.pub cannot be read: No such file or directory."),
    ],
)
def test_verify_json_prints_why_a_release_is_rejected(
    signed: Path, public_key: object, expected: str
) -> None:
    """A failure is an object with only ``error``; stderr holds the sentence too."""
    (signed / "en/index.html").write_text("changed")
    result = run("verify", "--json", signed, "--public-key", public_key)
    (error,) = json.loads(result.stdout).items()
    assert (result.exit_code, error) == (1, ("error", result.stderr.rstrip("\n")))
    assert result.stderr.startswith(expected)


def test_signing_again_changes_nothing(signed: Path, key_file: Path, tmp_path: Path) -> None:
    """The same release signed twice is the same to the byte, the ZIP too."""
    shutil.copytree(signed, tmp_path / "before")
    run("sign", signed, "--key", key_file, "--passphrase-file", key_file.parent / "passphrase")
    names = [path.relative_to(signed) for path in signed.rglob("*") if path.is_file()]
    same = filecmp.cmpfiles(signed, tmp_path / "before", map(str, names), shallow=False)
    assert (len(same[0]), same[1:]) == (len(names), ([], []))


def test_sign_rejects_a_key_that_the_release_does_not_name(built: Path, tmp_path: Path) -> None:
    """With a key other than that of site.toml, the release stays unsigned."""
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    made = run(
        "key", "new", "--out", tmp_path / "x.key", "--passphrase-file", tmp_path / "passphrase"
    )
    assert made.exit_code == 0
    shutil.copytree(built, tmp_path / "release")
    result = run(
        "sign", tmp_path / "release", "--key", tmp_path / "x.key",
        "--passphrase-file", tmp_path / "passphrase",
    )  # fmt: skip
    assert result.exit_code == 1
    assert f"RELEASE.json names the key {organisation_key().public.fingerprint}," in result.stderr
    assert not (tmp_path / "release/SHA256SUMS.minisig").exists()


def test_release_without_a_key_is_not_signed(key_file: Path, tmp_path: Path) -> None:
    """While site.toml names no key, the error says what to write there."""
    assert run("build", "--out", tmp_path / "release").exit_code == 0
    passphrase = key_file.parent / "passphrase"
    result = run("sign", tmp_path / "release", "--key", key_file, "--passphrase-file", passphrase)
    assert result.exit_code == 1
    assert f'Write public_key = "{organisation_key().public}"' in result.stderr


def test_changed_release_is_not_signed(built: Path, key_file: Path, tmp_path: Path) -> None:
    """A release that differs from its manifest is not signed."""
    shutil.copytree(built, tmp_path / "release")
    (tmp_path / "release/en/index.html").write_text("changed")
    passphrase = key_file.parent / "passphrase"
    result = run("sign", tmp_path / "release", "--key", key_file, "--passphrase-file", passphrase)
    assert (result.exit_code, result.stderr) == (
        1,
        "en/index.html is not the file that SHA256SUMS lists.\n",
    )


def test_pages_and_facts_name_the_key(signed: Path) -> None:
    """Each page ends with the release's sequence and the fingerprint; RELEASE.json has them too."""
    fingerprint = organisation_key().public.fingerprint
    # The first page of a copy sends its reader elsewhere for the fingerprint; errors are short.
    pages = set(signed.rglob("*.html")) - set(signed.glob("*.html"))
    assert pages
    for page in pages:
        foot = page.read_text(encoding="utf-8").rpartition("<footer")[2]
        assert f'<code translate="no">{fingerprint}</code>' in foot
        assert "Release 1 of" in foot or "第1版" in foot
    facts = json.loads((signed / "RELEASE.json").read_text())
    assert facts["fingerprint"] == fingerprint
    assert (signed / "minisign.pub").read_bytes() == organisation_key().public.to_file()


def test_build_does_not_replace_a_signed_release(signed: Path) -> None:
    """The signatures may exist nowhere else; ``--replace`` says that they may go."""
    before = load(signed)
    result = run("build", "--out", signed)
    assert (result.exit_code, result.stderr) == (
        1,
        f"{signed} holds a signed release. Choose another folder, or pass --replace.\n",
    )
    # Nor by a release that every server would reject.
    result = run("build", "--out", signed, "--replace", SOURCE_DATE_EPOCH="4102444800")
    assert result.stderr == "RELEASE.json is dated 2100-01-01, which is in the future.\n"
    assert load(signed) == before
    assert run("build", "--out", signed, "--replace").exit_code == 0
    assert not (signed / "SHA256SUMS.minisig").exists()


def test_build_does_not_delete_files_that_no_build_wrote(tmp_path: Path) -> None:
    """Files that the release does not list, or lists otherwise, are named and stay."""
    out = tmp_path / "release"
    assert run("build", "--out", out).exit_code == 0
    theirs = put({".git/HEAD": b"ref", "en/notes.txt": b"mine", "robots.txt": b"changed"}, out)
    (out / "en/feed.xml").unlink()
    result = run("build", "--out", out)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{out} holds files that no build wrote: .git, en/notes.txt, robots.txt. "
        "Choose another folder, or pass --replace.\n"
    )
    assert (theirs / "en/notes.txt").read_bytes() == b"mine"
    put({f"{number}.txt": b"" for number in range(10)}, out)
    assert "8.txt and 3 more. Choose" in run("build", "--out", out).stderr
    (out / "RELEASE.json").write_text("{}")
    damaged = run("build", "--out", out)
    assert damaged.stderr.startswith(f"The release in {out} is damaged: RELEASE.json is not ")
    assert (theirs / "en/notes.txt").read_bytes() == b"mine"
    assert run("build", "--out", out, "--replace").exit_code == 0
    assert not (out / "en/notes.txt").exists()
    assert load(out).files


def test_build_is_reproducible(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts at the same time give the same bytes, the ZIP included."""
    epoch = f"{load(built).metadata.time.timestamp():.0f}"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    tree = texts_with_key(tmp_path, organisation_key().public)
    arguments = ["build", "--out", str(tmp_path / "release"), "--translations", str(tree)]
    assert run(*arguments).exit_code == 0
    assert load(tmp_path / "release") == load(built)


def test_check_rejects_a_wrong_public_key_in_site_toml(tmp_path: Path) -> None:
    """The error names the file and the form of a key."""
    result = run("check", "--translations", texts_with_key(tmp_path, "RWQ"))
    assert result.exit_code == 1
    assert "site.toml:12: “public_key” must be the line" in result.stderr


def test_openpgp_signature_is_made_by_gpg_and_bound(
    built: Path, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --openpgp-key gpg signs too, and no other OpenPGP signature is accepted."""
    folder = tmp_path / "release"
    shutil.copytree(built, folder)
    with short_folder() as home:
        monkeypatch.setenv("GNUPGHOME", str(home))
        try:
            gpg = ["gpg", "--batch", "--quiet", "--passphrase", ""]
            for name in ("cccr@example.org", "other@example.org"):
                made = [*gpg, "--quick-gen-key", name, "ed25519", "sign", "never"]
                subprocess.run(made, check=True, capture_output=True)
            passphrase = key_file.parent / "passphrase"
            result = run(
                "sign", folder, "--key", key_file, "--passphrase-file", passphrase,
                "--openpgp-key", "cccr@example.org",
            )  # fmt: skip
            assert result.exit_code == 0, result.output
            check = ["gpg", "--verify", "SHA256SUMS.asc", "SHA256SUMS"]
            done = subprocess.run(check, cwd=folder, capture_output=True, check=False)
            assert b'Good signature from "cccr@example.org"' in done.stderr
            verified = run("verify", folder, "--public-key", organisation_key().public)
            assert verified.exit_code == 0, verified.output
            zipped = run(
                "verify", folder / "cccr-web.zip", "--public-key", organisation_key().public
            )
            assert zipped.exit_code == 0, zipped.output
            (folder / "SHA256SUMS.asc").unlink()
            other = ["gpg", "-a", "-b", "-u", "other@example.org", "SHA256SUMS"]
            subprocess.run(other, cwd=folder, check=True, capture_output=True)
            rejected = run("verify", folder, "--public-key", organisation_key().public)
            assert "SHA256SUMS.asc is missing, or not the one" in rejected.stderr
            unknown = run(
                "sign", folder, "--key", key_file, "--passphrase-file", passphrase,
                "--openpgp-key", "nobody",
            )  # fmt: skip
            assert unknown.exit_code == 1
            assert "gpg did not sign with nobody" in unknown.stderr
        finally:
            subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=True)


def test_sign_without_gpg_leaves_the_release_unsigned(
    built: Path, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says that gpg is not installed."""
    shutil.copytree(built, tmp_path / "release")
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run(
        "sign", tmp_path / "release", "--key", key_file, "--openpgp-key", "x",
        "--passphrase-file", key_file.parent / "passphrase",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (
        1,
        "The program gpg is not installed. Install gnupg.\n",
    )
    assert load(tmp_path / "release") == load(built)


def test_an_expired_release_is_verified_but_not_deployed(tmp_path: Path) -> None:
    """``verify`` warns that it has expired; ``verify --deployable`` and ``mirror`` reject it."""
    past = TODAY - timedelta(days=2)
    old = make_release(content(1), facts(1, time=past, expires=past))
    put_release(Signer(organisation_key()).sign(old), tmp_path / "release")
    options = (tmp_path / "release", "--public-key", organisation_key().public)
    expected = f"Release 1 expired on {past:%Y-%m-%d}. Build and sign it again"
    verified, as_json = run("verify", *options), run("verify", "--json", *options)
    for done in (verified, as_json):
        assert (done.exit_code, done.stderr.startswith(f"Warning: {expected}")) == (0, True)
    assert f"expired on {past:%Y-%m-%d}, signed by" in verified.stdout
    assert json.loads(as_json.stdout)["days_left"] < 0
    rejected = run("verify", *options, "--deployable")
    assert (rejected.exit_code, rejected.stdout) == (1, "")
    assert rejected.stderr.startswith(expected)
    rejected = run("verify", *options, "--deployable", "--json")
    assert json.loads(rejected.stdout)["error"].startswith(expected)
    rejected = run("mirror", "write", tmp_path / "mirror", "--release", *options)
    assert rejected.stderr.startswith(expected)
    assert not (tmp_path / "mirror").exists()


@pytest.mark.parametrize(
    ("days", "words", "warns"),
    [(300, "(in 299 days)", False), (10, "(in 9 days)", False), (-1, "expired on", True)],
)
def test_signing_reports_the_days_left_and_warns_of_an_expired_release(
    tmp_path: Path, key_file: Path, days: int, words: str, *, warns: bool
) -> None:
    """``sign`` and ``verify`` give the days left; an expired release is signed with a warning."""
    past = facts(1, time=TODAY - timedelta(days=30), expires=TODAY + timedelta(days=days))
    put_release(make_release(content(1), past), tmp_path / "release")
    passphrase = key_file.parent / "passphrase"
    done = run("sign", tmp_path / "release", "--key", key_file, "--passphrase-file", passphrase)
    assert (done.exit_code, words in done.stdout) == (0, True), done.output
    warning = f"Warning: Release 1 expired on {past.expires:%Y-%m-%d}. "
    assert done.stderr.startswith(warning) if warns else not done.stderr
    done = run("verify", tmp_path / "release", "--public-key", organisation_key().public)
    assert (done.exit_code, words in done.stdout, bool(done.stderr)) == (0, True, warns)
    if not warns:
        options = ("--release", tmp_path / "release", "--public-key", organisation_key().public)
        assert words in run("mirror", "write", tmp_path / "mirror", *options).stdout


def test_a_build_with_a_cache_writes_the_same_release(tmp_path: Path) -> None:
    """So does the next one, which finds everything in it. Only the owner can read its key."""
    state, out = tmp_path / "state", tmp_path / "out"
    first = run("build", "--out", out, XDG_STATE_HOME=str(state))
    assert first.exit_code == 0, first.output
    right = load(out)
    assert not state.exists()
    for _ in range(2):
        arguments = ["build", "--out", out, "--cache", tmp_path / "cache"]
        result = run(*arguments, XDG_STATE_HOME=str(state))
        assert (result.exit_code, result.output) == (0, first.output)
        assert load(out) == right
    key = state / "cccr-web" / "cache.key"
    assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, 32)


def test_a_build_rejects_a_damaged_key_of_the_cache(tmp_path: Path) -> None:
    """An empty key would believe anybody."""
    (tmp_path / "cccr-web").mkdir()
    (tmp_path / "cccr-web" / "cache.key").touch()
    arguments = ["build", "--out", tmp_path / "out", "--cache", tmp_path / "cache"]
    result = run(*arguments, XDG_STATE_HOME=str(tmp_path))
    key = tmp_path / "cccr-web" / "cache.key"
    assert (result.exit_code, result.stderr) == (1, f"{key} is damaged. Delete it.\n")
    assert not (tmp_path / "out").exists()
