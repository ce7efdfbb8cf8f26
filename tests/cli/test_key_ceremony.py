"""The life of the signing keys, by the commands that the manual shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from support.command import run, run_script
from support.signed import known_key, known_key_file
from support.texts import copy_texts

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import PublicKey, RollbackGuard, load, read_policy
from cccr_web.serve import Source
from cccr_web.standalone import verify as verify_py


class Office:
    """The organisation: its texts, its signers' keys, and its releases."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.folder = folder
        self.tree = tree
        self.keys = tree / "files/keys.txt"
        self.sequence = 0

    def new_minisign(self, name: str) -> str:
        """Make a minisign key, and return how site.toml names its signer."""
        (self.folder / f"{name}.key").write_bytes(known_key_file(name.encode()))
        return f'{{ name = "{name}", minisign = "{self.public(name)}" }}'

    def new_ssh(self, name: str) -> str:
        """Make an SSH key, and return how site.toml names its signer."""
        file = self.folder / f"{name}.ssh"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)]
        subprocess.run(command, check=True)
        return f'{{ name = "{name}", ssh = "{Path(f"{file}.pub").read_text().strip()}" }}'

    def public(self, name: str) -> PublicKey:
        """Return the public key of a signer with minisign."""
        return known_key(name.encode()).public

    def with_key(self, name: str) -> tuple[str, Path]:
        """Return the option with a signer's key."""
        file = self.folder / f"{name}.key"
        return ("--key", file) if file.exists() else ("--ssh-key", self.folder / f"{name}.ssh")

    def write(self, lines: str) -> None:
        """Write who signs into site.toml."""
        file = self.tree / "site.toml"
        text = file.read_text(encoding="utf-8")
        pattern = r"(?m)^(public_key = .*|public_keys = .*|threshold = .*|policy_number = .*)\n"
        file.write_text(f"{lines}\n{re.sub(pattern, '', text)}", encoding="utf-8")

    def change(self, lines: str, *signers: str, previous: object = None) -> None:
        """Change the signers; these sign the change."""
        self.write(lines)
        begin = ("--previous", previous) if previous else ()
        self.done("key", "change", self.tree / "site.toml", "--out", self.keys, *begin)
        said = [self.done("key", "sign", self.keys, *self.with_key(signer)) for signer in signers]
        assert said[-1].endswith("signed\n"), said

    def release(self, *signers: str) -> Path:
        """Build the next release, and let these sign it."""
        self.sequence += 1
        file = self.tree / "site.toml"
        text = re.sub(r"(?m)^sequence = .*$", f"sequence = {self.sequence}", file.read_text())
        file.write_text(text)
        release = self.folder / f"release-{self.sequence}"
        self.done("build", "--out", release, "--translations", self.tree)
        for signer in signers:
            self.done("sign", release, *self.with_key(signer))
        return release

    def done(self, *command: object) -> str:
        """Run a command that must work, and return what it prints."""
        result = run(*command)
        assert result.exit_code == 0, result.output
        return result.stdout


def verified(release: Path, fingerprint: str, *trust: object) -> None:
    """Require that ``verify`` and verify.py accept a release."""
    done = run("verify", "--deployable", release, *trust)
    assert done.exit_code == 0, done.stderr
    script = run_script(Path(verify_py.__file__), release, fingerprint)
    assert script.returncode == 0, script.stdout
    # Both say so if the fingerprint is not the newest.
    newest = load(release).metadata.fingerprint
    for said in (
        "keys.txt leads to it from" in done.stdout,
        "Write down" in script.stdout,
    ):
        assert said == (fingerprint != newest)


@pytest.mark.long
def test_a_ceremony_a_theft_and_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key becomes three signers, one is stolen and revoked, and everybody can follow.

    Whoever holds the first fingerprint, or the second, accepts each later release; what the thief
    signs is accepted by nobody.
    """
    monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{time.time():.0f}")
    office = Office(tmp_path, copy_texts(tmp_path))
    editor, second, third = (
        office.new_minisign("editor"), office.new_ssh("second"), office.new_minisign("third"),
    )  # fmt: skip
    office.write(f'public_key = "{office.public("editor")}"')
    first_key = office.public("editor")
    server = Source(tmp_path / "current", first_key, RollbackGuard(tmp_path / "state"))

    def serve(release: Path) -> int:
        (tmp_path / "current").unlink(missing_ok=True)
        (tmp_path / "current").symlink_to(release)
        served, _ = server.open(lambda release: release)
        server.keep(served)
        return served.metadata.sequence

    # One key signs.
    alone = office.release("editor")
    assert serve(alone) == 1
    # The ceremony: two of three.
    three = f"public_keys = [{editor}, {second}, {third}]\nthreshold = 2"
    office.change(three, "editor", "second", previous=first_key)
    policy = tmp_path / "policy.txt"
    office.done("key", "policy", office.tree / "site.toml", "--out", policy)
    two = office.release("second", "third")
    assert serve(two) == 2
    fingerprint = load(two).metadata.fingerprint
    assert fingerprint is not None
    verified(two, fingerprint, "--policy", policy)
    verified(two, first_key.fingerprint, "--public-key", first_key)

    # The theft: “third” signs alone, changes the signers alone, and goes back to the old key.
    stolen = shutil.copytree(office.tree, tmp_path / "stolen")
    thief = Office.__new__(Office)
    thief.folder, thief.tree, thief.keys, thief.sequence = (
        tmp_path,
        stolen,
        stolen / "files/keys.txt",
        10,
    )
    bad = thief.release("third")
    thief.write(f"public_keys = [{third}]")
    thief.done("key", "change", stolen / "site.toml", "--out", thief.keys)
    said = thief.done("key", "sign", thief.keys, *thief.with_key("third"))
    assert "as for policy 1, it has 1 of 2 signatures; editor, second can sign" in said
    rejected = run("build", "--out", tmp_path / "x", "--translations", stolen)
    assert (rejected.exit_code, "policy 2 is not signed" in rejected.stderr) == (1, True)
    for key in (("--public-key", first_key), ("--policy", policy)):
        assert "1 of 2 signatures" in run("verify", bad, *key).stderr
        checked = run("key", "check", thief.keys, *key)
        assert (checked.exit_code, "policy 2 is not signed" in checked.stderr) == (1, True)
    assert serve(bad) == 2

    # The rotation: “third” is revoked, and a fourth comes.
    fourth = office.new_minisign("fourth")
    office.change(
        f"public_keys = [{editor}, {second}, {fourth}]\nthreshold = 2", "editor", "second"
    )
    office.sequence = 20
    after = office.release("second", "fourth")
    assert serve(after) == 21
    newest = load(after).metadata.fingerprint
    assert newest is not None
    for print_, *trust in (
        (first_key.fingerprint, "--public-key", first_key),
        (fingerprint, "--policy", policy),
    ):
        verified(after, print_, *trust)
    printed = office.done("key", "check", office.keys, "--policy", policy)
    assert printed == (
        f"policy 0: 1 of 1 must sign\nfingerprint {first_key.fingerprint}\n"
        f"policy 1: 2 of 3 must sign\nfingerprint {fingerprint}\n"
        f"policy 2: 2 of 3 must sign\nfingerprint {newest}\n"
    )
    # What was signed before the revocation, with the revoked key, is not accepted afterwards.
    office.keys.write_bytes((two / "keys.txt").read_bytes())
    office.write(three)
    late = office.release("second", "third")
    assert serve(late) == 21
    with pytest.raises(ReleaseError, match="Policy 1 is older than policy 2"):
        server.load()
    with pytest.raises(CccrError, match="but not from"):
        load(late, read_policy(after / "policy.txt"))
    # An old release is verified with the key of its time, which “key check” prints.
    verified(alone, first_key.fingerprint, "--public-key", first_key)


def test_a_lost_key_is_replaced_and_a_lost_threshold_needs_preparation(tmp_path: Path) -> None:
    """Two of three go on without the third; one alone needs what the three signed in good time."""
    office = Office(tmp_path, copy_texts(tmp_path))
    editor, second, third = (
        office.new_minisign("editor"), office.new_ssh("second"), office.new_minisign("third"),
    )  # fmt: skip
    spare = [office.new_minisign(name) for name in ("fourth", "fifth")]
    three = f"public_keys = [{editor}, {second}, {third}]\nthreshold = 2"
    office.change(three, "editor", "third", previous=office.public("editor"))
    policy = tmp_path / "policy.txt"
    office.done("key", "policy", office.tree / "site.toml", "--out", policy)
    begun = office.keys.read_bytes()

    # In good time, and kept where no signer alone can reach it.
    office.change(
        f"public_keys = [{', '.join(spare)}]\nthreshold = 2", "editor", "third", "fourth", "fifth"
    )
    prepared = office.keys.read_bytes()

    # One key is lost: the other two replace it.
    office.keys.write_bytes(begun)
    office.change(
        f"public_keys = [{editor}, {second}, {spare[0]}]\nthreshold = 2", "editor", "second"
    )
    assert run("key", "check", office.keys, "--policy", policy).exit_code == 0

    # Two are lost: one alone changes nothing, and what was prepared leads on.
    office.keys.write_bytes(begun)
    office.write(f"public_keys = [{editor}, {', '.join(spare)}]\nthreshold = 2")
    office.done("key", "change", office.tree / "site.toml", "--out", office.keys)
    for name in ("fourth", "fifth"):
        office.done("key", "sign", office.keys, *office.with_key(name))
    said = office.done("key", "sign", office.keys, *office.with_key("editor"))
    assert "not signed yet: as for policy 1, it has 1 of 2 signatures" in said
    stuck = run("key", "check", office.keys, "--policy", policy)
    assert (stuck.exit_code, "policy 2 is not signed" in stuck.stderr) == (1, True)
    office.keys.write_bytes(prepared)
    assert run("key", "check", office.keys, "--policy", policy).exit_code == 0


def test_a_stranger_and_a_wrong_file_are_rejected(tmp_path: Path) -> None:
    """Each command says what is wrong, and changes nothing."""
    office = Office(tmp_path, copy_texts(tmp_path))
    editor, second = office.new_minisign("editor"), office.new_ssh("second")
    office.new_minisign("stranger")
    missing = run("key", "change", office.tree / "site.toml", "--out", office.keys)
    assert (missing.exit_code, "cannot be read" in missing.stderr) == (1, True)
    office.change(
        f"public_keys = [{editor}, {second}]\nthreshold = 2",
        *("editor", "second"),
        previous=office.public("editor"),
    )
    before = office.keys.read_bytes()
    for command, said in {
        ("key", "sign", office.keys, *office.with_key("stranger")): "No signer of the last two",
        (
            "key",
            "sign",
            office.tree / "site.toml",
            *office.with_key("editor"),
        ): "is not as cccr-web",
        ("key", "sign", office.keys): "Pass either --key or --ssh-key.",
        ("key", "check", office.keys, "--public-key", office.public("stranger")): "but not from",
        (
            *("key", "change", office.tree / "site.toml", "--out", office.keys),
            *("--previous", office.public("editor")),
        ): "exists already",
    }.items():
        result = run(*command)
        assert (result.exit_code, said in result.stderr) in {(1, True), (2, True)}, result.stderr
    assert office.keys.read_bytes() == before
