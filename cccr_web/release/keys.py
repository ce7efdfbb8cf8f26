"""The organisation's Ed25519 key in minisign's format, its files and its signatures.

The only importer of ``minisign`` (PyPI: py-minisign), inside the functions that use it: a
server verifies in a subprocess (``verify_subprocess.py``). The formats are those of
https://jedisct1.github.io/minisign/; of its two kinds of signature only the
prehashed one (``ED``, over BLAKE2b-512) is made and accepted.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cccr_web import files
from cccr_web.errors import CccrError, SignatureError
from cccr_web.facts import PUBLIC_KEY

if TYPE_CHECKING:
    import minisign

ORGANISATION: Final = "the Chinese Coalition for Citizens Rights"
# The comment above a signature is not signed: only this one is made and accepted.
_COMMENT: Final = f"signature of {ORGANISATION}"
_MAX_SIGNATURE: Final = 16 * 1024

_PUBLIC: Final = ".pub"
_MAX_KEY_FILE: Final = 64 * 1024

# scrypt with 2^18 blocks of 8: about a second and 256 MiB for each guess.
_OPSLIMIT: Final = 8 * 1024 * 1024
_MEMLIMIT: Final = 256 * 1024 * 1024

# In characters. Each guess costs a second, but a short passphrase needs few.
_MIN_PASSPHRASE: Final = 12

# The position of Ed25519's 32-byte seed in the bytes of a decrypted key file.
_SEED: Final = slice(62, 94)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: minisign's 8-byte key number and Ed25519's 32 bytes."""

    number: bytes
    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read ``RW…`` (56 characters). Raises ``ValueError``."""
        if PUBLIC_KEY.fullmatch(text) is None:
            raise ValueError(
                f"“{text[:60]}” is not a minisign public key: RW and 54 more characters."
            )
        whole = base64.b64decode(text)
        return cls(whole[2:10], whole[10:])

    def __str__(self) -> str:
        return base64.b64encode(b"Ed" + self.number + self.raw).decode("ascii")

    @property
    def fingerprint(self) -> str:
        """128 bits of the SHA-256 of the Ed25519 key, in groups that can be read aloud."""
        return group(hashlib.sha256(self.raw).hexdigest())

    def to_file(self) -> bytes:
        """Return minisign's public key file."""
        number = int.from_bytes(self.number, "little")
        # minisign does not pad the number with zeros.
        return f"untrusted comment: minisign public key {number:X}\n{self}\n".encode("ascii")

    def verify(self, message: bytes, signature: bytes, *, name: str, of: str) -> str:
        """Return the trusted comment of ``signature`` if this key made it over ``message``.

        Errors call the signature ``name`` and the message ``of``. Only the exact bytes
        that ``SigningKey`` writes are accepted, so that nothing unsigned is added.
        Raises ``SignatureError``.
        """
        import minisign

        if not signature.strip():
            raise SignatureError(f"{name} is empty.")
        if len(signature) > _MAX_SIGNATURE or signature.count(b"\n") != 4:
            raise SignatureError(f"{name} does not hold exactly one signature.")
        try:
            parsed = minisign.Signature.from_bytes(signature)
        except minisign.Error as error:
            raise SignatureError(f"{name} is not a minisign signature.") from error
        if not parsed.is_prehashed():
            raise SignatureError(
                f"{name} is a legacy minisign signature: only prehashed ones are accepted."
            )
        if parsed.untrusted_comment != _COMMENT or bytes(parsed) + b"\n" != signature:
            raise SignatureError(f"{name} is not written as “cccr-web sign” writes it.")
        # The second line: 2 bytes for the algorithm, 8 for the key number, Ed25519's signature.
        if base64.b64decode(signature.splitlines()[1])[2:10] != self.number:
            raise SignatureError(f"{name} was made with another key than {self.fingerprint}.")
        try:
            minisign.PublicKey.from_base64(str(self)).verify(message, parsed)
        except minisign.VerifyError as error:
            raise SignatureError(f"{name} does not match {of}: one of them was changed.") from error
        except ValueError as error:
            raise SignatureError(
                f"The public key {self} is not an Ed25519 key: {error}."
            ) from error
        return str(parsed.trusted_comment)


def group(digest: str) -> str:
    """Return the first 128 bits of a hexadecimal digest in groups of four digits."""
    digits = digest[:32].upper()
    return " ".join(digits[start : start + 4] for start in range(0, 32, 4))


class SigningKey:
    """The secret key, decrypted. Its ``repr`` shows nothing of it."""

    def __init__(self, secret: minisign.SecretKey) -> None:
        self._secret = secret
        self.public = PublicKey.parse(secret.get_public_key().to_base64().decode("ascii"))

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key from the kernel's randomness."""
        import minisign

        return cls(minisign.KeyPair.generate().secret_key)

    @property
    def seed(self) -> bytes:
        """The 32 bytes of Ed25519's secret (RFC 8032, section 5.1.5)."""
        return base64.b64decode(self._secret.to_base64())[_SEED]

    def sign(self, message: bytes, trusted_comment: str) -> bytes:
        """Return a signature file. The same message always gives the same bytes (RFC 8032)."""
        made = self._secret.sign(
            message, prehash=True, untrusted_comment=_COMMENT, trusted_comment=trusted_comment
        )
        return bytes(made) + b"\n"

    def to_file(self, passphrase: str) -> bytes:
        """Return minisign's secret key file, encrypted. Raises ``CccrError``."""
        if len(passphrase.strip()) < _MIN_PASSPHRASE:
            what = f"has fewer than {_MIN_PASSPHRASE} characters" if passphrase else "is empty"
            raise CccrError(f"The passphrase {what}.", "Choose one of six words or more.")
        import minisign

        copy = minisign.SecretKey.from_base64(self._secret.to_base64())
        copy.encrypt(passphrase, opslimit=_OPSLIMIT, memlimit=_MEMLIMIT)
        copy.untrusted_comment = "minisign encrypted secret key"
        return bytes(copy) + b"\n"


class LockedKey:
    """A secret key as read from its file, encrypted or not."""

    def __init__(self, text: bytes, name: str) -> None:
        import minisign

        try:
            self._secret = minisign.SecretKey.from_bytes("\n".join(_lines(text)).encode())
        except (minisign.Error, ValueError) as error:
            raise CccrError(
                f"{name} holds no minisign secret key: {error}.",
                "Restore it from a backup, or make one with: cccr-web key new",
            ) from error
        self._name = name

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase is needed."""
        return bool(self._secret.is_encrypted())

    def unlock(self, passphrase: str) -> SigningKey:
        """Return the key. Raises ``CccrError``."""
        import minisign

        try:
            self._secret.decrypt(passphrase)
        except minisign.Error as error:
            raise CccrError(f"That is not the passphrase of {self._name}.", "Try again.") from error
        except (MemoryError, ValueError) as error:
            raise CccrError(
                f"{self._name} cannot be unlocked here: {error}.", "It may need 1 GiB of memory."
            ) from error
        return SigningKey(self._secret)


def new_key(file: Path, passphrase: str) -> PublicKey:
    """Make a key in ``file``, and its public key in a file of the same name that ends in ``.pub``.

    Raises ``CccrError``, including if one of the files exists.
    """
    public_file = file.with_suffix(_PUBLIC)
    if public_file == file:
        raise CccrError(
            f"{file} ends in .pub, as public keys do.", "Choose another name for the secret key."
        )
    for path in (file, public_file):
        if os.path.lexists(path):
            raise _exists(path)
    key = SigningKey.generate()
    _write_new(file, key.to_file(passphrase), mode=0o600)
    _write_new(public_file, key.public.to_file(), mode=0o644)
    return key.public


def read_locked_key(file: Path) -> LockedKey:
    """Read a secret key that ``cccr-web key new`` or ``minisign -G`` has made."""
    return LockedKey(_read(file), str(file))


def read_public_key(text: str) -> PublicKey:
    """Return the key that ``text`` is (``RW…``), or the one in the file of that name.

    Raises ``CccrError``.
    """
    with contextlib.suppress(ValueError):
        return PublicKey.parse(text.strip())
    lines = _lines(_read(Path(text)))
    try:
        # minisign's file has a comment above the key.
        return PublicKey.parse(lines[-1] if lines else "")
    except ValueError as error:
        raise CccrError(
            f"{text} holds no minisign public key.", "It ends in a line that begins with RW."
        ) from error


def _write_new(file: Path, body: bytes, *, mode: int) -> None:
    """Write ``file``, which must not exist. Raises ``CccrError``."""
    with files.writing(file, "Choose another place."):
        try:
            files.create(file, body, mode=mode)
        except FileExistsError as error:
            raise _exists(file) from error


def _lines(body: bytes) -> list[str]:
    """Return the lines of a key file without the blanks and marks that editors add."""
    lines = body.decode("utf-8-sig", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _exists(file: Path) -> CccrError:
    return CccrError(f"{file} exists already, and is never overwritten.", "Choose another name.")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(_MAX_KEY_FILE)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CccrError(
            f"The key file {file} cannot be read: {reason}.", "Use the path of a key file."
        ) from error
