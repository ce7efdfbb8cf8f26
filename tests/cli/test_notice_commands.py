"""The commands that make notices, and what readers check them with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from support.command import run
from support.hosting import short_folder
from support.signed import KEY, PUBLIC, facts, put_release
from support.texts import copy_texts, replace_once

from cccr_web.errors import CccrError
from cccr_web.notices import make_canary, make_mirrors, read_notice
from cccr_web.release import Release, RollbackGuard, Signer, make_release, write
from cccr_web.serve import Source

DAY = timedelta(days=1)
Run = Callable[..., Result]


@pytest.fixture
def run_with_key(key_file: Path) -> Run:
    """Run a command with the tests' key and these arguments."""

    def call(command: str, *more: object) -> Result:
        return run(
            command, "--key", key_file, "--passphrase-file", key_file.parent / "passphrase", *more
        )

    return call


def verify_with_minisign(file: Path, name: str) -> subprocess.CompletedProcess[str]:
    """Check a notice as its own last lines say, with Debian's minisign."""
    text, dashes, rest = file.read_text(encoding="utf-8").partition("-----BEGIN ")
    assert dashes
    part = file.with_name(f"{name}-text")
    part.write_text(text, encoding="utf-8")
    signature = "".join(line for line in rest.splitlines(keepends=True)[1:5])
    file.with_name(f"{name}-text.minisig").write_text(signature, encoding="utf-8")
    command = next(line for line in text.splitlines() if "minisign -Vm" in line)
    return subprocess.run(
        command.removeprefix("# ").split(),
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_canary_is_written_and_verified_by_minisign(
    run_with_key: Run, tmp_path: Path, today: date
) -> None:
    """The canary says what it was given, and its own command verifies it."""
    file = tmp_path / "canary.txt"
    done = run_with_key(
        "canary",
        *("--statement", "We gave no key away.", "--statement", "无人索要密钥。"),
        *("--proof", "Block 900000: 0000abcd", "--next", today + 90 * DAY, "--out", file),
    )
    assert done.exit_code == 0, done.output
    text = file.read_text(encoding="utf-8")
    assert "\n1. We gave no key away.\n2. 无人索要密钥。\n" in text
    assert f"\nDate: {today}\nNext canary by: {today + 90 * DAY}\n" in text
    assert "\nBlock 900000: 0000abcd\n" in text
    assert read_notice("canary.txt", file.read_bytes(), PUBLIC).issued == today
    checked = verify_with_minisign(file, "canary")
    assert checked.returncode == 0, checked.stderr
    file.write_text(text.replace("no key", "a key"), encoding="utf-8")
    assert verify_with_minisign(file, "canary").returncode == 1


@pytest.mark.parametrize(
    ("following", "problem"), [(-1, "which is in the past"), (0, "is due on"), (187, "186 days")]
)
def test_canary_rejects_a_next_day_out_of_bounds(
    run_with_key: Run, tmp_path: Path, today: date, following: int, problem: str
) -> None:
    """The next day must not be past, today, or more than half a year away."""
    file = tmp_path / "canary.txt"
    more = ("--statement", "x", "--proof", "y", "--next", today + following * DAY, "--out", file)
    done = run_with_key("canary", *more)
    assert done.exit_code == 1
    assert problem in done.stderr
    assert not file.exists()


def test_mirrors_is_written_and_verified_by_minisign(run_with_key: Run, tmp_path: Path) -> None:
    """The addresses keep their order, and the command in the file verifies it."""
    file = tmp_path / "mirrors.txt"
    onion = "http://" + "a" * 56 + ".onion"
    done = run_with_key("mirrors", "--out", file, onion, "https://cccr.example")
    assert done.exit_code == 0, done.output
    assert f"\n{onion}\nhttps://cccr.example\n" in file.read_text(encoding="utf-8")
    assert verify_with_minisign(file, "mirrors").returncode == 0
    done = run_with_key("mirrors", "--out", file, "http://cccr.example")
    assert done.exit_code == 1
    assert "is not the address of a mirror" in done.stderr


def test_security_txt_has_the_fields_of_the_rfc(tmp_path: Path, today: date) -> None:
    """The file has the fields of RFC 9116 and must expire within a year."""
    file = tmp_path / ".well-known" / "security.txt"
    fixed = ["security-txt", "--contact", "mailto:a@cccr.example", "--out", str(file)]
    done = run(*fixed, "--expires", today + 300 * DAY)
    assert done.exit_code == 0, done.output
    assert file.read_text() == (
        "Contact: mailto:a@cccr.example\n"
        "Preferred-Languages: en, zh\n"
        f"Expires: {today + 300 * DAY}T00:00:00Z\n"
    )
    for days in (0, 400):
        done = run(*fixed, "--expires", today + days * DAY)
        assert done.exit_code == 1
        assert "within the next year" in done.stderr


def test_security_txt_holds_no_bytes_that_are_no_text(tmp_path: Path, today: date) -> None:
    """Python hands over what is not UTF-8 on the command line; the error names the file."""
    file = tmp_path / "security.txt"
    contact = ("--contact", "mailto:a@cccr.example", "--policy", "https://a.example/\udcff")
    done = run("security-txt", *contact, "--out", file, "--expires", today + 300 * DAY)
    assert done.exit_code == 1
    assert "security.txt" in done.stderr
    assert not file.exists()


def test_security_txt_has_the_contact_of_the_site(
    tmp_path: Path, today: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --contact it is that of site.toml; with neither there is an error."""
    tree = copy_texts(tmp_path)
    monkeypatch.setattr("cccr_web.cli.notices.find_tree", lambda _name: tree)
    file = tmp_path / "security.txt"
    command = ["security-txt", "--out", str(file), "--expires", today + 300 * DAY]
    done = run(*command)
    assert done.exit_code == 1
    assert "Pass --contact, or set contact there." in done.stderr
    replace_once("site.toml", 'contact = ""', 'contact = "a@cccr.example"')(tree)
    assert run(*command).exit_code == 0
    assert file.read_text().startswith("Contact: mailto:a@cccr.example\n")


def release_with(canary: bytes) -> Release:
    """Return an unsigned release that holds this canary."""
    return make_release({"canary.txt": canary}, facts())


# The cases hold on the next day, too.
TODAY = facts().time.date()
MIRROR = ("https://cccr.example",)
WRONG: dict[str, tuple[bytes, str]] = {
    "mirrors.txt of the future": (make_mirrors(KEY, TODAY + 9 * DAY, MIRROR), "It is dated"),
    "mirrors.txt of the past": (make_mirrors(KEY, TODAY - 400 * DAY, MIRROR), "It was valid until"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_release_with_a_wrong_notice_is_not_signed_verified_or_served(
    case: str, tmp_path: Path
) -> None:
    """Each gives the same sentence, which names the file."""
    body, problem = WRONG[case]
    release = make_release({case.partition(" ")[0]: body}, facts())
    put_release(release, tmp_path / "release")
    (tmp_path / "key").write_bytes(bytes(KEY._secret) + b"\n")
    done = run("sign", tmp_path / "release", "--key", tmp_path / "key")
    assert (done.exit_code, (tmp_path / "release/SHA256SUMS.minisig").exists()) == (1, False)
    assert done.stderr.startswith(f"{case.partition(' ')[0]}: {problem}")
    put_release(Signer(KEY).sign(release), tmp_path / "release")
    verified = run("verify", tmp_path / "release", "--public-key", PUBLIC)
    assert (verified.exit_code, verified.stderr) == (1, done.stderr)
    with pytest.raises(CccrError) as refused:
        Source(tmp_path / "release", PUBLIC).load()
    assert f"{refused.value}\n" == done.stderr


EXPIRED = {"mirrors.txt": make_mirrors(KEY, TODAY - 367 * DAY, MIRROR)}


@pytest.mark.parametrize("name", EXPIRED)
@pytest.mark.parametrize("option", [(), ("--deployable",)], ids=["", "deployable"])
def test_a_release_with_a_notice_that_has_expired_since_is_rejected(
    name: str, option: tuple[str, ...], tmp_path: Path
) -> None:
    """It is rejected by each command that could bring it to readers, with the same sentence."""
    made = facts(time=facts().time - 9 * DAY)
    put_release(Signer(KEY).sign(make_release({name: EXPIRED[name]}, made)), tmp_path / "release")
    options = (tmp_path / "release", "--public-key", PUBLIC)
    verified = run("verify", *options, *option)
    assert (verified.exit_code, verified.stdout) == (1, "")
    assert verified.stderr.startswith(f"{name}: It was valid until {TODAY - DAY} 00:00 UTC, but ")
    as_json = run("verify", *options, *option, "--json")
    assert json.loads(as_json.stdout) == {"error": verified.stderr.strip()}
    mirrored = run("mirror", "write", tmp_path / "mirror", "--release", *options)
    assert (mirrored.exit_code, mirrored.stderr) == (1, verified.stderr)
    (tmp_path / "key").write_bytes(bytes(KEY._secret) + b"\n")
    signed = run("sign", tmp_path / "release", "--key", tmp_path / "key")
    assert (signed.exit_code, signed.stderr) == (1, verified.stderr)
    for guard in (None, RollbackGuard(tmp_path / "state")):
        with pytest.raises(CccrError) as refused:
            Source(tmp_path / "release", PUBLIC, guard).load()
        assert f"{refused.value}\n" == verified.stderr


def test_a_release_dated_in_the_future_is_not_signed(tmp_path: Path) -> None:
    """Nobody could verify it before its day."""
    tomorrow = facts(time=facts().time + timedelta(days=2))
    put_release(make_release({}, tomorrow), tmp_path / "release")
    (tmp_path / "key").write_bytes(bytes(KEY._secret) + b"\n")
    done = run("sign", tmp_path / "release", "--key", tmp_path / "key")
    assert (done.exit_code, "which is in the future" in done.stderr) == (1, True)


@pytest.mark.parametrize("days", [-366, 2])
@pytest.mark.parametrize("command", ["canary", "mirrors"])
def test_a_notice_is_dated_within_the_last_year(command: str, days: int, today: date) -> None:
    """Readers and servers would reject any other."""
    day = today + days * DAY
    done = run(*command.split(), "--date", day)
    assert done.exit_code == 2
    assert f"{day} is not within the last year" in done.stderr


def test_a_release_with_an_overdue_canary_is_not_signed(
    run_with_key: Run, tmp_path: Path, today: date
) -> None:
    """A release is signed until the last day of its canary is over."""
    old = make_canary(KEY, today - 60 * DAY, today - DAY, ("x",), ("y",))
    write(release_with(old), tmp_path / "old")
    done = run_with_key("sign", tmp_path / "old")
    assert done.exit_code == 1
    assert done.stderr.startswith("canary.txt: It was valid until ")
    assert not (tmp_path / "old" / "SHA256SUMS.minisig").exists()
    good = make_canary(KEY, today - 60 * DAY, today, ("x",), ("y",))
    write(release_with(good), tmp_path / "good")
    assert run_with_key("sign", tmp_path / "good").exit_code == 0


@pytest.fixture
def gpg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of gpg's with one key without a passphrase."""
    # Its agent's socket needs a short path.
    with short_folder() as home:
        home.chmod(0o700)
        monkeypatch.setenv("GNUPGHOME", str(home))
        make = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "cccr", "ed25519", "sign"]
        subprocess.run(make, check=True, capture_output=True)
        yield home
        end = ["gpgconf", "--kill", "gpg-agent"]
        subprocess.run(end, check=True, env={**os.environ, "GNUPGHOME": str(home)})


def test_a_notice_can_also_be_signed_by_gpg(
    run_with_key: Run, gpg: Path, tmp_path: Path, today: date
) -> None:
    """gpg verifies the outer signature, minisign the inner one."""
    # None of these may get into what we publish.
    settings = gpg / "gpg.conf"
    settings.write_text("comment x\nemit-version\nnot-dash-escaped\nstatus-fd 1\n")
    file = tmp_path / "mirrors.txt"
    done = run_with_key("mirrors", "--openpgp-key", "cccr", "--out", file, "https://cccr.example")
    assert done.exit_code == 0, done.output
    settings.unlink()
    shown = subprocess.run(["gpg", "--decrypt", str(file)], capture_output=True, check=True)
    assert b"Good signature" in shown.stderr
    whole = file.read_bytes()
    heads = [part.splitlines()[:2] for part in whole.split(b"-----BEGIN PGP ")[1:]]
    hash_ = next(line for line in whole.splitlines() if line.startswith(b"Hash: "))
    assert heads == [[b"SIGNED MESSAGE-----", hash_], [b"SIGNATURE-----", b""]]
    assert read_notice("mirrors.txt", whole, PUBLIC).issued == today
    # gpg returns the notice with our signature, which minisign can verify.
    (tmp_path / "plain.txt").write_bytes(shown.stdout)
    assert verify_with_minisign(tmp_path / "plain.txt", "mirrors").returncode == 0
    export = ["gpg", "--armor", "--export", "cccr"]
    exported = subprocess.run(export, capture_output=True, check=True)
    assert read_notice("pgp.txt", exported.stdout, PUBLIC).issued is None


def test_minisign_and_gpg_are_installed() -> None:
    """The tests above need the readers' own programs."""
    assert shutil.which("minisign")
    assert shutil.which("gpg")
