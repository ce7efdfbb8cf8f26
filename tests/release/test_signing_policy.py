"""The policy: its canonical text, its fingerprint, and whose signatures a release needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.policies import (
    EDITOR,
    SECURITY_KEY,
    SSH_KEY,
    TWO_OF_THREE,
    policy_release,
    signatures,
    ssh_signature,
    unsigned_release,
)
from support.signed import organisation_key, put_release, signed_release

from cccr_web.errors import CccrError, ReleaseError, SignatureError
from cccr_web.release import (
    MANIFEST,
    PolicySigner,
    RollbackGuard,
    SigningPolicy,
    load,
    verify_in_subprocess,
)
from cccr_web.release.sshsig import SshKey, sign_with_ssh_keygen
from cccr_web.serve import Source

README = Path(__file__).parents[2] / "cccr_web/README.md"
# The test vector, which cccr_web/README.md shows.
TEXT = TWO_OF_THREE.to_file()
FINGERPRINT = "B4F9 C255 0917 BCCC 5890 00E9 27A4 A233"


def test_the_text_and_the_fingerprint_are_those_of_the_vector() -> None:
    """The manual's example has the manual's fingerprint, and reads as the same policy."""
    assert TWO_OF_THREE.fingerprint == FINGERPRINT
    assert SigningPolicy.parse(TEXT) == TWO_OF_THREE
    manual = README.read_text(encoding="utf-8")
    assert f"```text\n{TEXT.decode()}```" in manual
    assert FINGERPRINT in manual


def test_one_minisign_key_is_a_policy_with_the_fingerprint_of_the_key() -> None:
    """One of one is the key: names and numbers do not change the fingerprint."""
    policy = SigningPolicy(3, 1, (PolicySigner("editor", EDITOR.public),))
    assert policy.fingerprint == EDITOR.public.fingerprint
    assert policy.single_key == EDITOR.public


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"policy 1", b"policy 2", "line 1: it is not “cccr-web policy 1”"),
        (b"number 1", b"number 01", "line 2: it is not “number NUMBER”"),
        (b"number 1\n", b"", "line 2: it is not “number NUMBER”"),
        (b"threshold 2", b"threshold 0", "line 3: it is not “threshold NUMBER”"),
        (b"threshold 2", b"threshold 4", "line 3: The threshold 4 cannot be met by 3 signers"),
        (b"editor", b"Editor", "line 4: it is not “NAME minisign KEY” or “NAME ssh KEY”"),
        (b"editor", b"zeta", "line 5: “lawyer” comes after “zeta”: sort the signers by name"),
        (b"second", b"lawyer", "line 6: “lawyer” comes after “lawyer”"),
        (b"minisign RW", b"minisign  RW", "line 4: “ RW"),
        (b"editor minisign", b"editor ssh", "line 4: “RW"),
        (b"AAAAC3", b"AAAAC4", "line 6: “ssh-ed25519 AAAAC4"),
        (TEXT[-5:], b"\r\n", "line 6: “ssh-ed25519"),
        (b"cccr-web", b"\xef\xbb\xbfcccr-web", "line 1"),
    ],
)
def test_another_text_is_rejected_with_its_line(old: bytes, new: bytes, said: str) -> None:
    """The parser accepts only the canonical text, and says where it differs."""
    changed = TEXT.replace(old, new)
    assert changed != TEXT
    with pytest.raises(CccrError) as caught:
        SigningPolicy.parse(changed)
    assert f"policy.txt, {said}" in str(caught.value)
    assert "cccr-web key policy" in str(caught.value)


def test_two_signers_need_two_keys() -> None:
    """The same Ed25519 key counts once, also if one signer names it in OpenSSH's format."""
    with pytest.raises(ValueError, match="“editor” and “second” have the same key"):
        SigningPolicy(
            1,
            2,
            (
                PolicySigner("editor", EDITOR.public),
                PolicySigner("second", SshKey(EDITOR.public.raw)),
            ),
        )


@pytest.mark.parametrize("key", [SSH_KEY, SECURITY_KEY], ids=["key", "security key"])
def test_ssh_keygen_accepts_the_signatures_of_these_tests(key: SshKey, tmp_path: Path) -> None:
    """Debian's ssh-keygen judges what the tests build from the protocol documents."""
    (tmp_path / "allowed").write_text(f'cccr namespaces="file" {key}\n')
    (tmp_path / "m.sshsig").write_bytes(ssh_signature(b"text\n", key))
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "cccr", "-n", "file"]
    for text, status in ((b"text\n", 0), (b"other\n", 255)):
        done = subprocess.run(
            [*command, "-s", "m.sshsig"], cwd=tmp_path, input=text, capture_output=True, check=False
        )
        assert done.returncode == status, done.stderr
    key.verify(b"text\n", ssh_signature(b"text\n", key), name="m.sshsig", of="m")


@pytest.mark.parametrize("flags", [0, 4, 0x41, 0x81])
def test_a_security_key_must_have_been_touched(flags: int) -> None:
    """A signature without the flag of PROTOCOL.u2f, or with unknown ones, is rejected."""
    with pytest.raises(SignatureError, match="without a touch"):
        SECURITY_KEY.verify(
            b"m", ssh_signature(b"m", SECURITY_KEY, flags=flags), name="m.sshsig", of="m"
        )


def test_what_ssh_keygen_signs_is_accepted(tmp_path: Path) -> None:
    """A signer's own ssh-keygen writes the bytes that a release accepts."""
    file = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)], check=True
    )
    key = SshKey.parse(file.with_suffix(".pub").read_text().strip())
    key.verify(b"m", sign_with_ssh_keygen(b"m", file), name="m.sshsig", of="m")


@pytest.mark.parametrize("names", [("editor", "second"), ("editor", "lawyer", "second")])
def test_enough_signatures_make_a_release(names: tuple[str, ...], tmp_path: Path) -> None:
    """A folder and its ZIP are accepted with two or with three signatures."""
    put_release(policy_release(*names), tmp_path)
    for path in (tmp_path, tmp_path / "cccr-web.zip"):
        loaded = load(path, TWO_OF_THREE, verify=verify_in_subprocess)
        assert len(loaded.signatures) == len(names)


def test_a_missing_signature_is_named(tmp_path: Path) -> None:
    """The error says how many there are and who can sign."""
    put_release(policy_release("second"), tmp_path)
    with pytest.raises(SignatureError, match=r"has 1 of 2 signatures; editor, lawyer can sign"):
        load(tmp_path, TWO_OF_THREE)


def test_one_stolen_key_makes_no_release(tmp_path: Path) -> None:
    """A release that the key of one signer alone has signed is rejected."""
    put_release(signed_release(1), tmp_path)
    with pytest.raises(SignatureError, match="0 of 2 signatures"):
        load(tmp_path, TWO_OF_THREE)


def test_a_lower_policy_is_rejected(tmp_path: Path) -> None:
    """A server that has pinned policy 2 accepts no older one, no other 2, and no single key."""
    guard = RollbackGuard(tmp_path)
    second = SigningPolicy(2, 2, TWO_OF_THREE.signers)
    guard.record_policy(TWO_OF_THREE)
    guard.record_policy(second)
    guard.record_policy(TWO_OF_THREE)
    guard.check_policies([second])
    guard.check_policies([SigningPolicy(3, 1, (PolicySigner("editor", EDITOR.public),))])
    with pytest.raises(ReleaseError, match="Policy 1 is older than policy 2"):
        guard.check_policies([TWO_OF_THREE])
    with pytest.raises(ReleaseError, match="A single key is older than policy 2"):
        guard.check_policies([SigningPolicy.of(EDITOR.public)])
    with pytest.raises(ReleaseError, match="Policy 2 differs"):
        guard.check_policies([SigningPolicy(2, 1, TWO_OF_THREE.signers)])
    with pytest.raises(ReleaseError, match="Policy 2 differs"):
        guard.check_policies([SigningPolicy(n, 1, TWO_OF_THREE.signers) for n in (1, 2, 3)])


def test_a_server_with_a_policy_does_not_go_back_to_a_key(tmp_path: Path) -> None:
    """Once it has served under a policy, neither the key's release nor the last good one starts."""
    put_release(policy_release("editor", "second"), tmp_path / "two")
    put_release(signed_release(2), tmp_path / "one")
    guard = RollbackGuard(tmp_path / "state")
    before = Source(tmp_path / "two", TWO_OF_THREE, guard)
    release, _ = before.open(lambda release: release)
    before.keep(release)
    after = Source(tmp_path / "one", organisation_key().public, guard)
    with pytest.raises(ReleaseError, match="A single key is older than policy 1"):
        after.open(lambda release: release)


def test_signing_again_gives_the_same_release() -> None:
    """The order of the signers makes no difference to the bytes."""
    sums = unsigned_release().files[MANIFEST].body
    assert policy_release("editor", "second") == policy_release("second", "editor")
    assert signatures(sums, "editor") == signatures(sums, "editor")
