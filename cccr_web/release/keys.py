"""The files that keys lie in: made once, never overwritten."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from cccr_web.errors import (
    CccrError,
)
from cccr_web.release.signature import LockedKey, PublicKey, SigningKey

_PUBLIC: Final = ".pub"
_MAX_BYTES: Final = 64 * 1024


def new_key(file: Path, passphrase: str) -> PublicKey:
    """Make a key in ``file``, and its public half beside it with the ending ``.pub``.

    Raises ``CccrError`` if either is there, and ``CccrError``.
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
    write_new(file, key.to_file(passphrase), mode=0o600)
    write_new(public_file, key.public.to_file(), mode=0o644)
    return key.public


def read_locked_key(file: Path) -> LockedKey:
    """Read a secret key that we made or ``minisign -G``."""
    return LockedKey(_read(file), str(file))


def read_public_key(text: str) -> PublicKey:
    """Return the key that ``text`` is (``RW…``), or that stands in the file of that name.

    Raises ``CccrError``.
    """
    with contextlib.suppress(ValueError):
        return PublicKey.parse(text)
    lines = _read(Path(text)).decode("utf-8", errors="replace").splitlines()
    try:
        # minisign's file has a comment above the key.
        return PublicKey.parse(lines[-1] if lines else "")
    except ValueError as error:
        raise CccrError(
            f"{text} holds no minisign public key.", "It ends in a line that begins with RW."
        ) from error


def write_new(file: Path, body: bytes, *, mode: int) -> None:
    """Write ``file`` where nothing is. Raises ``CccrError`` otherwise."""
    try:
        # Not by a name beside it and a link: a USB stick's file system has no links.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as out:
            out.write(body)
            out.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise _exists(file) from error
    except OSError as error:
        raise CccrError(
            f"{file} cannot be written: {error.strerror}.", "Choose another place."
        ) from error


def _exists(file: Path) -> CccrError:
    return CccrError(
        f"{file} is there already, and nothing overwrites a key.", "Choose another name."
    )


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as source:
            return source.read(_MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CccrError(
            f"The key file {file} cannot be read: {reason}.", "Give the path of a key file."
        ) from error
