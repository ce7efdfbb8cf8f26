"""Signatures by the same key in OpenSSH's format, for readers who have ``ssh-keygen``.

The format is OpenSSH's PROTOCOL.sshsig, with Ed25519 as in RFC 8709. A reader verifies with
``ssh-keygen -Y verify -f allowed_signers -I cccr -n file -s SHA256SUMS.sshsig < SHA256SUMS``.
The only importer of ``cryptography``, inside the functions that use it, like ``minisign``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import textwrap
from typing import Final

from cccr_web.errors import SignatureError
from cccr_web.release.keys import PublicKey, SigningKey

_PRINCIPAL: Final = "cccr"
_NAMESPACE: Final = "file"

_MAGIC: Final = b"SSHSIG"
_TYPE: Final = b"ssh-ed25519"
_HASH: Final = b"sha512"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----\n"
_END: Final = "-----END SSH SIGNATURE-----\n"


def allowed_signers(key: PublicKey) -> bytes:
    """Return the ``allowed_signers`` file for ``ssh-keygen`` (ssh-keygen(1))."""
    blob = base64.b64encode(_blob(key)).decode("ascii")
    return f'{_PRINCIPAL} namespaces="{_NAMESPACE}" {_TYPE.decode()} {blob}\n'.encode("ascii")


def sign(message: bytes, key: SigningKey) -> bytes:
    """Return the armoured signature over ``message``."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    secret = Ed25519PrivateKey.from_private_bytes(key.seed)
    return _armour(key.public, secret.sign(_signed(message)))


def verify(message: bytes, signature: bytes, key: PublicKey, *, name: str, of: str) -> None:
    """Raise ``SignatureError`` unless ``key`` made ``signature`` over ``message``.

    As with minisign, only the exact bytes that our own ``sign`` writes are accepted.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    text = signature.decode("ascii", errors="replace")
    try:
        blob = base64.b64decode(text.removeprefix(_BEGIN).removesuffix(_END))
    except (ValueError, binascii.Error):
        blob = b""
    # The last field is Ed25519's signature; the bytes before it are known.
    made = blob[-64:]
    if _armour(key, made) != signature:
        raise SignatureError(f"{name} is not an SSH signature by {key.fingerprint}.", path=name)
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(made, _signed(message))
    except (InvalidSignature, ValueError) as error:
        raise SignatureError(
            f"{name} does not match {of}: one of them was changed.", path=name
        ) from error


def _string(value: bytes) -> bytes:
    """RFC 4251, section 5."""
    return len(value).to_bytes(4, "big") + value


def _blob(key: PublicKey) -> bytes:
    return _string(_TYPE) + _string(key.raw)


def _signed(message: bytes) -> bytes:
    digest = hashlib.sha512(message).digest()
    fields = (_NAMESPACE.encode("ascii"), b"", _HASH, digest)
    return _MAGIC + b"".join(map(_string, fields))


def _armour(key: PublicKey, made: bytes) -> bytes:
    fields = (_blob(key), _NAMESPACE.encode("ascii"), b"", _HASH, _string(_TYPE) + _string(made))
    blob = _MAGIC + (1).to_bytes(4, "big") + b"".join(map(_string, fields))
    lines = textwrap.wrap(base64.b64encode(blob).decode("ascii"), 70)
    return (_BEGIN + "\n".join(lines) + "\n" + _END).encode("ascii")
