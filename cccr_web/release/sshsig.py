"""Signatures in OpenSSH's format: by the organisation's own key, and by signers' SSH keys.

The format is OpenSSH's PROTOCOL.sshsig, with Ed25519 as in RFC 8709. A reader verifies with
``ssh-keygen -Y verify -f allowed_signers -I cccr -n file -s SHA256SUMS.sshsig < SHA256SUMS``.
The only importer of ``cryptography``, inside the functions that use it, like ``minisign``.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError, SignatureError
from cccr_web.release.keys import PublicKey, SigningKey

_PRINCIPAL: Final = "cccr"
_NAMESPACE: Final = "file"

_MAGIC: Final = b"SSHSIG"
_TYPE: Final = b"ssh-ed25519"
_SECURITY_KEY: Final = b"sk-ssh-ed25519@openssh.com"
_HASH: Final = b"sha512"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----\n"
_END: Final = "-----END SSH SIGNATURE-----\n"

# PROTOCOL.u2f: somebody touched the security key, and it may have checked a PIN.
_TOUCHED: Final = frozenset({0x01, 0x05})
# Ed25519's signature; from a security key, followed by one byte of flags and a counter of four.
_MADE: Final = 64
_FLAGS_AND_COUNTER: Final = 5


@dataclass(frozen=True, slots=True)
class SshKey:
    """An Ed25519 key of OpenSSH; one in a security key has an ``application``, such as ``ssh:``."""

    raw: bytes
    application: bytes | None = None

    @classmethod
    def parse(cls, text: str) -> SshKey:
        """Read ``ssh-ed25519 AAAA…`` or ``sk-ssh-ed25519@openssh.com AAAA…``.

        A comment must not follow. Raises ``ValueError``.
        """
        _, _, data = text.partition(" ")
        try:
            fields = tuple(_fields(base64.b64decode(data, validate=True)))
        except ValueError:
            fields = ()
        if len(fields) in {2, 3} and len(fields[1]) == 32:
            key = cls(*fields[1:])
            if str(key) == text:
                return key
        raise ValueError(
            f"“{text[:60]}” is not an Ed25519 key of OpenSSH: take the first two parts of the "
            "line in its .pub file."
        )

    @property
    def type(self) -> bytes:
        """OpenSSH's name of this type of key."""
        return _TYPE if self.application is None else _SECURITY_KEY

    @property
    def blob(self) -> bytes:
        """The key as OpenSSH encodes it (RFC 8709, section 4; PROTOCOL.u2f)."""
        application = () if self.application is None else (self.application,)
        return b"".join(map(_string, (self.type, self.raw, *application)))

    def __str__(self) -> str:
        return f"{self.type.decode()} {base64.b64encode(self.blob).decode('ascii')}"

    def verify(self, message: bytes, signature: bytes, *, name: str, of: str) -> None:
        """Raise ``SignatureError`` unless this key made ``signature`` over ``message``.

        As with minisign, only the exact bytes that ``ssh-keygen -Y sign`` writes are accepted.
        A signature by a security key must say that somebody touched it (PROTOCOL.u2f).
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        text = signature.decode("ascii", errors="replace")
        try:
            data = base64.b64decode(text.removeprefix(_BEGIN).removesuffix(_END))
        except ValueError:
            data = b""
        # The bytes before the signature itself are known.
        length = _MADE if self.application is None else _MADE + _FLAGS_AND_COUNTER
        made, last = data[-length:][:_MADE], data[-length:][_MADE:]
        if _armour(self, made, last) != signature:
            key = PublicKey(bytes(8), self.raw).fingerprint
            raise SignatureError(f"{name} is not an SSH signature by {key}.", path=name)
        signed = _signed(message)
        if self.application is not None:
            if last[0] not in _TOUCHED:
                raise SignatureError(f"{name} was made without a touch of the key.", path=name)
            application, digest = (
                hashlib.sha256(part).digest() for part in (self.application, signed)
            )
            signed = application + last + digest
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(made, signed)
        except (InvalidSignature, ValueError) as error:
            raise SignatureError(
                f"{name} does not match {of}: one of them was changed.", path=name
            ) from error


def allowed_signers(key: PublicKey) -> bytes:
    """Return the ``allowed_signers`` file for ``ssh-keygen`` (ssh-keygen(1))."""
    line = f'{_PRINCIPAL} namespaces="{_NAMESPACE}" {SshKey(key.raw)}\n'
    return line.encode("ascii")


def sign(message: bytes, key: SigningKey) -> bytes:
    """Return the armoured signature over ``message``."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    secret = Ed25519PrivateKey.from_private_bytes(key.seed)
    return _armour(SshKey(key.public.raw), secret.sign(_signed(message)))


def sign_with_ssh_keygen(message: bytes, key: Path) -> bytes:
    """Return the armoured signature over ``message`` by a key file, an agent's or a security key.

    ``ssh-keygen`` asks for passphrase, PIN and touch itself. Raises ``CccrError``.
    """
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", _NAMESPACE]
    try:
        done = subprocess.run(command, input=message, stdout=subprocess.PIPE, check=True)
    except FileNotFoundError as error:
        raise CccrError(
            "The program ssh-keygen is not installed.", "Install openssh-client."
        ) from error
    except subprocess.CalledProcessError as error:
        raise CccrError(
            f"ssh-keygen did not sign with {key}.", "Its own message above says why."
        ) from error
    return done.stdout


def verify(message: bytes, signature: bytes, key: PublicKey, *, name: str, of: str) -> None:
    """Raise ``SignatureError`` unless ``key`` made ``signature`` over ``message``."""
    SshKey(key.raw).verify(message, signature, name=name, of=of)


def _signed(message: bytes) -> bytes:
    digest = hashlib.sha512(message).digest()
    fields = (_NAMESPACE.encode("ascii"), b"", _HASH, digest)
    return _MAGIC + b"".join(map(_string, fields))


def _armour(key: SshKey, made: bytes, last: bytes = b"") -> bytes:
    signature = _string(key.type) + _string(made) + last
    fields = (key.blob, _NAMESPACE.encode("ascii"), b"", _HASH, signature)
    blob = _MAGIC + (1).to_bytes(4, "big") + b"".join(map(_string, fields))
    lines = textwrap.wrap(base64.b64encode(blob).decode("ascii"), 70)
    return (_BEGIN + "\n".join(lines) + "\n" + _END).encode("ascii")


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _fields(data: bytes) -> Iterator[bytes]:
    """Yield each string of an encoding (RFC 4251, section 5)."""
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        yield data[4:end]
        data = data[end:]
