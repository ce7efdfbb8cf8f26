"""The onion's key: made once, kept at mode 0600, never overwritten, checked when read.

A damaged key is still a key, of another address, or one that signs unsafely: tor's 64
bytes carry no check of their own. So our file is text that holds beside the secret its
address and a check sum, and all must agree. One file, rather than tor's folder of three,
is what a backup or a systemd credential takes. ``hs_ed25519_secret_key`` of a tor
HiddenServiceDir can be read as well; the check there is tor's ``hostname`` beside it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import (
    KeyExistsError,
    KeyMissingError,
    OnionError,
)
from cccr_web.onion import ed25519

TOR_HEADER: Final = b"== ed25519v1-secret: type0 ==\0\0\0"
ENOUGH: Final = 4096  # bytes; no key file is longer, and nothing else is read into memory

TEXT: Final = """\
# The secret key of an onion service. Whoever has it can be the site: keep it secret,
# keep a copy off this machine, and never change a character.
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
    """Make a key and write it to ``path``, which must not exist, at mode 0600.

    Raises ``KeyExistsError`` or ``OnionError``.
    """
    key = _from_secret(ed25519.expand(secrets.token_bytes(32)))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            text = TEXT.format(address=key.address, blob=key.blob, check=_check(key.blob))
            files.create(beside, text.encode("ascii"), mode=0o600)
            # Unlike a rename, a link never replaces what is there, even in a race.
            os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
        files.sync_folder(path.parent)
    except FileExistsError:
        raise KeyExistsError(
            f"There is already a file at {path}; a key is never overwritten.",
            "Use it, or give the new key another name.",
        ) from None
    except OSError as error:
        raise OnionError(
            f"The key cannot be written to {path}: {error.strerror}.",
            "Give a path in a folder that exists and that you may write to.",
        ) from error
    return key


def load_key(path: Path) -> OnionKey:
    """Read the key at ``path``, ours or tor's ``hs_ed25519_secret_key``.

    Raises ``KeyMissingError``, ``OnionError``.
    """
    content = _read(path)
    if content.startswith(TOR_HEADER):
        secret, address = content.removeprefix(TOR_HEADER), _hostname_beside(path)
    else:
        secret, address = _parse(path, content)
    if not ed25519.is_expanded(secret):
        raise _damaged(path, "the secret in it is not an Ed25519 key")
    key = _from_secret(secret)
    if address is not None and address != key.address:
        raise _damaged(path, f"its secret does not belong to its address {address}")
    return key


def load_or_make(path: Path) -> OnionKey:
    """Read the key at ``path``, or make it there if there is none yet."""
    try:
        return load_key(path)
    except KeyMissingError:
        pass
    try:
        return new_key(path)
    except KeyExistsError:  # another process made it in this moment
        return load_key(path)


def _from_secret(secret: bytes) -> OnionKey:
    """Compute the address of an expanded secret (rend-spec-v3, section 6)."""
    public = ed25519.public_key(secret)
    version = b"\x03"
    check = hashlib.sha3_256(b".onion checksum" + public + version).digest()[:2]
    address = base64.b32encode(public + check + version).decode("ascii").lower() + ".onion"
    return OnionKey(address, f"ED25519-V3:{base64.b64encode(secret).decode('ascii')}")


def _read(path: Path) -> bytes:
    try:
        # Not blocking: a pipe put in the key's place must not hold us up.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            _check_mode(path, os.fstat(handle))
            return file.read(ENOUGH)
    except FileNotFoundError:
        raise KeyMissingError(
            f"There is no onion key at {path}.", f"Make one: cccr-web onion key new {path}"
        ) from None
    except OSError as error:
        raise OnionError(
            f"The onion key {path} cannot be read: {error.strerror}.",
            "Run this as the user who owns the key.",
        ) from error


def _check_mode(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OnionError(
            f"The onion key {path} is not a plain file.", "Give the path of the key file itself."
        )
    open_to = stat.S_IMODE(found.st_mode) & 0o077
    # systemd gives a service its credentials by an access list, which shows as a group's bits.
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials is not None and path.parent == Path(credentials):
        open_to &= 0o007
    if open_to:
        raise OnionError(
            f"Others than its owner can reach the onion key {path} "
            f"(mode {stat.S_IMODE(found.st_mode):04o}).",
            f"If nobody has read it: chmod 600 {path}. Otherwise make a new key.",
        )


def _check(blob: str) -> str:
    return hashlib.sha256(blob.encode("ascii")).hexdigest()


def _parse(path: Path, content: bytes) -> tuple[bytes, str]:
    try:
        lines = [line for line in content.decode("ascii").splitlines() if line[:1] != "#"]
        names, values = zip(*(line.split(" ") for line in lines), strict=True)
        if names != ("address", "key", "check"):
            raise _damaged(path, "it has not the lines 'address', 'key' and 'check'")
        address, blob, check = values
        if check != _check(blob):
            raise _damaged(path, "its check sum is wrong")
        return base64.b64decode(blob.removeprefix("ED25519-V3:"), validate=True), address
    except ValueError as error:
        raise _damaged(path, "it is not in the form of a key file") from error


def _hostname_beside(path: Path) -> str | None:
    try:
        return path.with_name("hostname").read_text("ascii").strip()
    except (OSError, ValueError):
        return None


def _damaged(path: Path, why: str) -> OnionError:
    return OnionError(
        f"The onion key {path} is damaged: {why}.",
        "Put your copy of it back. A new key would be a new address.",
    )
