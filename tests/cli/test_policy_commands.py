"""Several signers, by the commands: the policy, one signature after the other, and the check."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from support.command import run, run_script
from support.policies import EDITOR, TWO_OF_THREE
from support.signed import known_key_file, organisation_key
from support.texts import copy_texts

from cccr_web.release import SigningPolicy, read_policy
from cccr_web.standalone import verify as verify_py


def tree_with_signers(folder: Path, lines: str) -> Path:
    """Copy the real texts, with these lines in place of the public key."""
    tree = copy_texts(folder)
    facts = (tree / "site.toml").read_text(encoding="utf-8")
    named = re.sub(r'(?m)^public_key = ".*"$', lambda _: lines, facts)
    (tree / "site.toml").write_text(named, encoding="utf-8")
    return tree


def signers(second: object) -> str:
    """Return the lines of a policy: the editor and one with an SSH key."""
    return (
        f'public_keys = [\n  {{ name = "second", ssh = "{second}" }},\n'
        f'  {{ name = "editor", minisign = "{EDITOR.public}" }},\n]\nthreshold = 2\n'
    )


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    """The second signer's own key."""
    file = tmp_path / "id"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)], check=True
    )
    return file


def test_two_signers_sign_one_after_the_other(
    tmp_path: Path, ssh_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first signature is not enough, the second completes the release for every verifier."""
    public = ssh_key.with_suffix(".pub").read_text().strip()
    tree = tree_with_signers(tmp_path, signers(public))
    made = run("key", "policy", tree / "site.toml", "--out", tmp_path / "policy.txt")
    assert made.exit_code == 0, made.output
    policy = read_policy(tmp_path / "policy.txt")
    assert made.stdout == (f"policy 1: 2 of 2 must sign\nfingerprint {policy.fingerprint}\n")
    release = tmp_path / "release"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", f"{time.time():.0f}")
    assert run("build", "--out", release, "--translations", tree).exit_code == 0
    page = (release / "en/verify.html").read_text(encoding="utf-8")
    assert policy.fingerprint in page
    assert f'<code translate="no">{public}</code>' in page
    (tmp_path / "editor.key").write_bytes(known_key_file(b"editor"))
    (tmp_path / "organisation.key").write_bytes(known_key_file(b"the tests' organisation"))

    stranger = run("sign", release, "--key", tmp_path / "organisation.key")
    assert f"No signer in policy.txt has the key {organisation_key().public.fingerprint}" in (
        stranger.stderr
    )
    first = run("sign", release, "--key", tmp_path / "editor.key")
    assert "has 1 of 2 signatures; second can sign" in first.stdout
    trust = ("--policy", tmp_path / "policy.txt")
    rejected = run("verify", release, *trust)
    assert (rejected.exit_code, "second can sign" in rejected.stderr) == (1, True)
    second = run("sign", release, "--ssh-key", ssh_key)
    assert "has the 2 signatures that it needs (editor, second)" in second.stdout

    for path in (release, release / "cccr-web.zip"):
        done = run("verify", "--deployable", path, *trust)
        assert done.exit_code == 0, done.stderr
        script = run_script(Path(verify_py.__file__), path, policy.fingerprint)
        assert script.returncode == 0, script.stdout
        assert "GOOD." in script.stdout
    single = run_script(Path(verify_py.__file__), release / "en/cccr-en.html", policy.fingerprint)
    assert single.returncode == 0, single.stdout
    assert run("verify", release, "--public-key", EDITOR.public).exit_code == 1


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (f'public_key = "{EDITOR.public}"\n{signers("ssh-ed25519 AAAA")}', "Set either"),
        (signers("ssh-ed25519 AAAA"), "is not an Ed25519 key of OpenSSH"),
        (signers("ssh-rsa AAAA"), "“public_keys” must be a list of signers"),
        (signers(TWO_OF_THREE.signers[2].key).replace("= 2", "= 3"), "cannot be met"),
        (signers(TWO_OF_THREE.signers[2].key).replace("second", "editor"), "only once"),
    ],
)
def test_wrong_signers_are_reported_with_the_line(lines: str, said: str, tmp_path: Path) -> None:
    """“check” and “key policy” name the line in site.toml."""
    tree = tree_with_signers(tmp_path, lines)
    for arguments in (
        ("check", "--translations", tree),
        ("key", "policy", tree / "site.toml", "--out", tmp_path / "policy.txt"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert re.search(rf"site\.toml:\d+: .*{re.escape(said)}", result.stderr), result.stderr
    assert not (tmp_path / "policy.txt").exists()


def test_one_signer_with_a_minisign_key_is_today_s_key(tmp_path: Path) -> None:
    """One of one has the fingerprint of the key."""
    lines = f'public_keys = [{{ name = "editor", minisign = "{EDITOR.public}" }}]'
    tree = tree_with_signers(tmp_path, lines)
    made = run("key", "policy", tree / "site.toml", "--out", tmp_path / "policy.txt")
    assert made.stdout.endswith(f"fingerprint {EDITOR.public.fingerprint}\n")
    assert SigningPolicy.of(read_policy(tmp_path / "policy.txt")).single_key == EDITOR.public


def test_a_key_and_a_policy_exclude_each_other(tmp_path: Path) -> None:
    """Exactly one of the two options is needed."""
    (tmp_path / "policy.txt").write_bytes(TWO_OF_THREE.to_file())
    both = ("--public-key", EDITOR.public, "--policy", tmp_path / "policy.txt")
    assert "Pass either --public-key or --policy" in run("verify", tmp_path, *both).stderr
    assert "Missing option '--public-key' or '--policy'" in run("verify", tmp_path).stderr
