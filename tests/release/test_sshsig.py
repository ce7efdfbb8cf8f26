"""OpenSSH's form: ssh-keygen agrees with our signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.signed import organisation_key

from cccr_web.errors import SignatureError
from cccr_web.release import SigningKey, allowed_signers
from cccr_web.release.sshsig import sign, verify

MESSAGE = b"what the organisation wrote\n"


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """The command by which a reader checks, as the verify page gives it."""
    (tmp_path / "m.sshsig").write_bytes(sign(MESSAGE, organisation_key()))
    (tmp_path / "allowed_signers").write_bytes(allowed_signers(organisation_key().public))
    signers, made = str(tmp_path / "allowed_signers"), str(tmp_path / "m.sshsig")
    return ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "cccr", "-n", "file", "-s", made]


def test_ssh_keygen_verifies_our_signature(asked: list[str]) -> None:
    """Debian's ssh-keygen accepts the signature for the principal cccr."""
    done = subprocess.run(asked, input=MESSAGE, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b'Good "file" signature for cccr with ED25519 key' in done.stdout


def test_ssh_keygen_rejects_a_changed_message(asked: list[str]) -> None:
    """With one more byte, ssh-keygen fails."""
    done = subprocess.run(asked, input=MESSAGE + b"!", capture_output=True, check=False)
    assert done.returncode != 0


def test_our_armour_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    """We verify what ssh-keygen signs with a key, because the armour is identical."""
    file = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(file)], check=True
    )
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(file), "-n", "file"],
        input=MESSAGE,
        capture_output=True,
        check=True,
    )
    from cryptography.hazmat.primitives import serialization

    from cccr_web.release import PublicKey

    public = serialization.load_ssh_public_key(file.with_suffix(".pub").read_bytes())
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    verify(MESSAGE, done.stdout, PublicKey(bytes(8), raw), name="m.sshsig", of="m")


@pytest.mark.parametrize("cut", [0, 30, 100, -1])
def test_damaged_armour_is_rejected(cut: int) -> None:
    """A signature that is cut off anywhere is rejected."""
    made = sign(MESSAGE, organisation_key())[:cut]
    with pytest.raises(SignatureError, match="is not an SSH signature"):
        verify(MESSAGE, made, organisation_key().public, name="m.sshsig", of="m")


def test_a_signature_of_another_message_is_rejected() -> None:
    """The right key does not help a signature of another message."""
    made = sign(b"other", organisation_key())
    with pytest.raises(SignatureError, match="does not match m:"):
        verify(MESSAGE, made, organisation_key().public, name="m.sshsig", of="m")


def test_a_signature_by_another_key_is_rejected() -> None:
    """A signature names its key, and another key's is rejected."""
    made = sign(MESSAGE, SigningKey.generate())
    with pytest.raises(SignatureError, match="is not an SSH signature by"):
        verify(MESSAGE, made, organisation_key().public, name="m.sshsig", of="m")
