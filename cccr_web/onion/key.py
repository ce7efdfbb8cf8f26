"""The onion's key: created once with mode 0600, never overwritten, verified when read.

Tor's 64 bytes have no checksum, so a damaged key would be the key of another address, or
one that signs unsafely. Our text file therefore contains the address and a checksum next to
the secret, and all three must agree. It is a single file, unlike tor's folder of three, so
that it fits a backup or a systemd credential. ``hs_ed25519_secret_key`` from tor's
HiddenServiceDir can be read too; it is checked against tor's ``hostname`` file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import KeyExistsError, KeyMissingError, OnionError

_TOR_HEADER: Final = b"== ed25519v1-secret: type0 ==\0\0\0"
_MAX_SIZE: Final = 4096  # bytes; a key file is shorter, and only this much is read

_ExtendedPoint = tuple[int, int, int, int]
"""Extended homogeneous coordinates X, Y, Z, T (RFC 8032, 5.1.4)."""

_FIELD_PRIME: Final = 2**255 - 19
_CURVE_D: Final = -121665 * pow(121666, -1, _FIELD_PRIME) % _FIELD_PRIME
_BASE_X: Final = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE_Y: Final = 4 * pow(5, -1, _FIELD_PRIME) % _FIELD_PRIME
_BASE: Final[_ExtendedPoint] = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _FIELD_PRIME)
_NEUTRAL: Final[_ExtendedPoint] = (0, 1, 1, 0)

# Of the address (rend-spec-v3, section 6).
_VERSION: Final = b"\x03"

_TEXT: Final = """\
# The secret key of an onion service. Anyone who has it can impersonate the site: keep it
# secret, keep a copy on another machine, and never change a character.
address {address}
key {blob}
check {check}
"""


@dataclass(frozen=True, slots=True)
class OnionKey:
    """An Ed25519-V3 key. ``address`` is ``<56 characters>.onion``; ``repr`` hides the secret."""

    address: str
    blob: str = field(repr=False)
    """``ED25519-V3:<base64 of the expanded secret>``, for ADD_ONION (control-spec, 3.27)."""


def new_key(path: Path) -> OnionKey:
    """Create a key and write it to ``path``, which must not exist, with mode 0600.

    Raises ``KeyExistsError`` or ``OnionError``.
    """
    key = _from_secret(_expand(secrets.token_bytes(32)))
    write_key(key, path)
    return key


def write_key(key: OnionKey, path: Path) -> None:
    """Write a key to ``path``, as ``new_key`` does."""
    text = _TEXT.format(address=key.address, blob=key.blob, check=_checksum(key.blob))
    try:
        files.create(path, text.encode("ascii"), mode=0o600)
    except FileExistsError:
        raise KeyExistsError(
            f"{path} exists already, and is never overwritten.",
            "Use that key, or choose another name for the new one.",
        ) from None
    except OSError as error:
        raise OnionError(
            f"The key cannot be written to {path}: {error.strerror}.",
            "Use a path in an existing folder that you may write to.",
        ) from error


def load_key(path: Path) -> OnionKey:
    """Read the key at ``path``, in our format or as tor's ``hs_ed25519_secret_key``.

    Raises ``KeyMissingError`` or ``OnionError``.
    """
    content = _read(path)
    if content.startswith(_TOR_HEADER):
        secret, address = content.removeprefix(_TOR_HEADER), _tor_hostname(path)
    else:
        secret, address = _parse(path, content)
    if not _is_expanded(secret):
        raise _damaged(path, "its secret is not an Ed25519 key")
    key = _from_secret(secret)
    if address is not None and address != key.address:
        raise _damaged(path, f"its secret does not belong to its address {address}")
    return key


def load_or_create_key(path: Path) -> OnionKey:
    """Read the key at ``path``, or create it if it does not exist."""
    try:
        return load_key(path)
    except KeyMissingError:
        pass
    try:
        return new_key(path)
    except KeyExistsError:  # another process has just created it
        return load_key(path)


def derive_key(key: OnionKey, name: str) -> OnionKey:
    """Return another key that everyone who has ``key`` can compute from ``name``."""
    seed = hmac.digest(key.blob.encode("ascii"), b"cccr-web peer " + name.encode(), "sha256")
    return _from_secret(_expand(seed))


def _from_secret(secret: bytes) -> OnionKey:
    blob = f"ED25519-V3:{base64.b64encode(secret).decode('ascii')}"
    return OnionKey(_address(_public_key(secret)), blob)


def _address(public_key: bytes) -> str:
    check = hashlib.sha3_256(b".onion checksum" + public_key + _VERSION).digest()[:2]
    return base64.b32encode(public_key + check + _VERSION).decode("ascii").lower() + ".onion"


def _read(path: Path) -> bytes:
    try:
        # Opening a pipe that was put there instead of the key must not block.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            _check_mode(path, os.fstat(handle))
            return file.read(_MAX_SIZE)
    except FileNotFoundError:
        raise KeyMissingError(
            f"There is no onion key at {path}.", f"Create one: cccr-web onion key new {path}"
        ) from None
    except OSError as error:
        raise OnionError(
            f"The onion key {path} cannot be read: {error.strerror}.",
            "Run this as the user who owns the key.",
        ) from error


def _check_mode(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OnionError(
            f"The onion key {path} is not a regular file.", "Use the path of the key file itself."
        )
    if files.exposed_mode(path, found):
        raise OnionError(
            f"The onion key {path} is open to other users "
            f"(mode {stat.S_IMODE(found.st_mode):04o}).",
            f"If nobody has read it, run: chmod 600 {path}. Otherwise create a new key.",
        )


def _checksum(blob: str) -> str:
    return hashlib.sha256(blob.encode("ascii")).hexdigest()


def _parse(path: Path, content: bytes) -> tuple[bytes, str]:
    try:
        lines = [line for line in content.decode("ascii").splitlines() if line[:1] != "#"]
        names, values = zip(*(line.split(" ") for line in lines), strict=True)
        if names != ("address", "key", "check"):
            raise _damaged(path, "the lines 'address', 'key' and 'check' are not all there")
        address, blob, check = values
        if check != _checksum(blob):
            raise _damaged(path, "its checksum is wrong")
        return base64.b64decode(blob.removeprefix("ED25519-V3:"), validate=True), address
    except ValueError as error:
        raise _damaged(path, "it is not in the format of a key file") from error


def _tor_hostname(path: Path) -> str | None:
    try:
        return path.with_name("hostname").read_text("ascii").strip()
    except (OSError, ValueError):
        return None


def _damaged(path: Path, why: str) -> OnionError:
    return OnionError(
        f"The onion key {path} is damaged: {why}.",
        "Restore it from a backup. A new key would have a new address.",
    )


def _expand(seed: bytes) -> bytes:
    """Hash and clamp a seed of 32 random bytes into an expanded secret of 64 bytes (5.1.5)."""
    secret = bytearray(hashlib.sha512(seed).digest())
    secret[0] &= 0b1111_1000
    secret[31] = secret[31] & 0b0111_1111 | 0b0100_0000
    return bytes(secret)


def _is_expanded(secret: bytes) -> bool:
    """Return whether ``secret`` has the length and the clamped bits of an expanded secret."""
    return len(secret) == 64 and secret[0] & 0b111 == 0 and secret[31] >> 6 == 0b01


def _public_key(secret: bytes) -> bytes:
    """Compute the public key (32 bytes) of an expanded secret (RFC 8032, 5.1.5).

    Libraries compute it from the seed, but tor stores only the expanded secret; stem has the
    arithmetic, but warns when it is imported. Arithmetic with Python's integers is not
    constant-time, which is safe here: it runs once per start, in the process that holds the
    secret, and nobody can measure how long it takes.
    """
    scalar = int.from_bytes(secret[:32], "little")
    total, power = _NEUTRAL, _BASE
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power = _add(power, power)
        scalar >>= 1
    return _encode(total)


def _add(one: _ExtendedPoint, two: _ExtendedPoint) -> _ExtendedPoint:
    a = (one[1] - one[0]) * (two[1] - two[0]) % _FIELD_PRIME
    b = (one[1] + one[0]) * (two[1] + two[0]) % _FIELD_PRIME
    c = 2 * one[3] * two[3] * _CURVE_D % _FIELD_PRIME
    d = 2 * one[2] * two[2] % _FIELD_PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _FIELD_PRIME, g * h % _FIELD_PRIME, f * g % _FIELD_PRIME, e * h % _FIELD_PRIME)


def _encode(point: _ExtendedPoint) -> bytes:
    inverse = pow(point[2], -1, _FIELD_PRIME)
    x, y = point[0] * inverse % _FIELD_PRIME, point[1] * inverse % _FIELD_PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")
