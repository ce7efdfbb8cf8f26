"""minisign's form: our keys and signatures agree with the minisign command, and its with ours."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from support.signed import known_key, organisation_key

from cccr_web.errors import SignatureError
from cccr_web.release import PublicKey, SigningKey
from cccr_web.release.keys import LockedKey

MESSAGE = b"what the organisation wrote\n"


def verify(key: PublicKey, signature: bytes) -> str:
    """Verify a signature over the message."""
    return key.verify(MESSAGE, signature, name="m.minisig", of="m")


def minisign(*arguments: str, input_: str = "") -> subprocess.CompletedProcess[str]:
    """Run Debian's minisign."""
    return subprocess.run(
        ["minisign", *arguments], input=input_, capture_output=True, text=True, check=False
    )


def test_fingerprint_is_of_the_ed25519_key() -> None:
    """The fingerprint is 128 bits of the SHA-256 of the raw key, in groups of four digits."""
    key = PublicKey.parse("RWRhYmNkZWZnaAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f")
    assert key.raw == bytes(range(32))
    assert key.fingerprint == "630D CD29 66C4 3366 9112 5448 BBB2 5B4F"
    digits = hashlib.sha256(key.raw).hexdigest().upper()
    assert digits.startswith(key.fingerprint.replace(" ", ""))


@pytest.mark.parametrize("text", ["", "RW", "RUQ" + "A" * 53, "RWQ" + "A" * 57, "RWQ!" + "A" * 52])
def test_public_key_is_read_strictly(text: str) -> None:
    """Only 42 bytes of minisign's kind are a public key."""
    with pytest.raises(ValueError, match="is not a minisign public key"):
        PublicKey.parse(text)


def test_a_parsed_public_key_has_the_same_text() -> None:
    """A key is formatted as it was parsed."""
    text = str(SigningKey.generate().public)
    assert str(PublicKey.parse(text)) == text


def test_signing_twice_gives_the_same_bytes() -> None:
    """Ed25519 is deterministic, so the owner of a key can reproduce a signature."""
    key = SigningKey.generate()
    assert key.sign(MESSAGE, "a") == key.sign(MESSAGE, "a") != key.sign(MESSAGE, "b")


def test_two_new_keys_differ() -> None:
    """Every new key is different."""
    assert SigningKey.generate().public != SigningKey.generate().public


def test_repr_shows_nothing_of_the_secret() -> None:
    """A signing key in a traceback or a log does not reveal its secret."""
    assert organisation_key().seed.hex() not in repr(vars(organisation_key()))
    assert "object at" in repr(organisation_key())


def test_verifying_returns_the_trusted_comment() -> None:
    """The trusted comment is returned once it is verified."""
    key = SigningKey.generate()
    assert verify(key.public, key.sign(MESSAGE, "sequence:1")) == "sequence:1"


def test_a_key_that_is_not_on_the_curve_is_rejected() -> None:
    """A public key that is not on the curve verifies nothing."""
    key = organisation_key()
    broken = PublicKey(key.public.number, b"\xff" * 32)
    with pytest.raises(SignatureError, match=r"m\.minisig does not match m"):
        verify(broken, key.sign(MESSAGE, "a"))


def test_minisign_verifies_our_signature(tmp_path: Path) -> None:
    """The minisign command accepts our signature, and rejects a changed message."""
    key = SigningKey.generate()
    (tmp_path / "m").write_bytes(MESSAGE)
    (tmp_path / "m.minisig").write_bytes(key.sign(MESSAGE, "sequence:1"))
    arguments = ("-VHm", str(tmp_path / "m"), "-P", str(key.public))
    done = minisign(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Trusted comment: sequence:1\n" in done.stdout
    (tmp_path / "m").write_bytes(MESSAGE + b"!")
    assert minisign(*arguments).returncode != 0


@pytest.mark.long
def test_minisign_reads_our_public_key_file(tmp_path: Path) -> None:
    """The public key file in a release has minisign's format, including the key number."""
    (tmp_path / "key.pub").write_bytes(organisation_key().public.to_file())
    secret = tmp_path / "key"
    key = known_key(b"the tests' organisation")
    secret.write_bytes(key.to_file("passing words"))
    again = minisign(
        "-R", "-s", str(secret), "-p", str(tmp_path / "x.pub"), input_="passing words\n"
    )
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "x.pub").read_bytes() == (tmp_path / "key.pub").read_bytes()


def test_only_the_bytes_that_we_write_are_accepted(tmp_path: Path) -> None:
    """A signature by the minisign command is valid, but its unsigned comment is not ours."""
    key = organisation_key()
    (tmp_path / "key").write_bytes(key.to_file("passing words"))
    (tmp_path / "m").write_bytes(MESSAGE)
    done = minisign(
        "-Sm", str(tmp_path / "m"), "-s", str(tmp_path / "key"), "-t", "x", input_="passing words\n"
    )
    assert done.returncode == 0, done.stderr
    theirs = (tmp_path / "m.minisig").read_bytes()
    with pytest.raises(SignatureError, match="is not written as"):
        verify(key.public, theirs)
    ours = b"\n".join([key.sign(MESSAGE, "x").split(b"\n")[0], *theirs.split(b"\n")[1:]])
    assert ours == key.sign(MESSAGE, "x")


@pytest.mark.long
def test_key_made_by_minisign_signs_for_us(tmp_path: Path) -> None:
    """A key made by “minisign -G” is unlocked with its passphrase and signs like ours."""
    secret, public = tmp_path / "key", tmp_path / "key.pub"
    made = minisign("-G", "-s", str(secret), "-p", str(public), input_="passing words\n" * 2)
    assert made.returncode == 0, made.stderr
    locked = LockedKey(secret.read_bytes(), "key")
    assert locked.encrypted
    key = locked.unlock("passing words")
    assert key.public.to_file() == public.read_bytes()
    assert verify(key.public, key.sign(MESSAGE, "a")) == "a"


def test_the_key_number_in_a_public_key_file_is_not_padded() -> None:
    """minisign writes a key number with leading zeros without them, and so does our file."""
    key = PublicKey(b"\x1a" + bytes(7), bytes(32))
    assert key.to_file().splitlines()[0] == b"untrusted comment: minisign public key 1A"
