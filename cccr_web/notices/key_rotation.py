"""``keys.txt``: the signed change from the organisation's current key to the next.

Both keys sign it inside (see ``signed_text``): the current key says which one to trust next,
the next key proves that somebody holds it. A reader who trusts the current key verifies
both signatures with this file alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.signed_text import DAY, KEY, MAX_BYTES, NoticeFormat, check_key, sign_text
from cccr_web.release import ORGANISATION, PublicKey, SigningKey

NAME: Final = "keys.txt"

_TEMPLATE: Final = (
    f"Keys of {ORGANISATION}"
    """

Date: {issued}
Current key: {current}
Current fingerprint: {current.fingerprint}
Next key: {next}
Next fingerprint: {next.fingerprint}

The current key makes the first signature below, the next key the second.
To check one: save all lines above its first BEGIN line as keys-text, the four
lines of a signature as keys-text.minisig, and run
minisign -Vm keys-text -P KEY

"""
)


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """The key that signs now, the one that will, and the day of the announcement."""

    issued: date
    current: PublicKey
    next: PublicKey


FORMAT: Final = NoticeFormat(
    NAME,
    _TEMPLATE,
    {"issued": DAY, "current": KEY, "next": KEY},
    KeyRotation,
    lambda rotation: (rotation.current, rotation.next),
    "Fetch it again, or make it with: cccr-web key rotate",
)


def rotate_key(current: SigningKey, following: SigningKey, day: date) -> bytes:
    """Return ``keys.txt``, signed by both keys. Raises ``CccrError`` if they are the same."""
    if current.public.raw == following.public.raw:
        raise CccrError("The old and the new key are the same.", "Make one: cccr-web key new")
    text = FORMAT.format(KeyRotation(day, current.public, following.public))
    return sign_text(text, (current, following), f"keys {day}")


def check_key_rotation(file: Path, trusted: PublicKey) -> KeyRotation:
    """Read ``file`` as ``read_key_rotation`` does."""
    try:
        with file.open("rb") as source:
            whole = source.read(MAX_BYTES)
    except OSError as error:
        raise CccrError(f"{file} cannot be read: {error.strerror}.", "Pass keys.txt.") from error
    return read_key_rotation(whole, trusted)


def read_key_rotation(whole: bytes, trusted: PublicKey) -> KeyRotation:
    """Return the rotation if ``trusted`` is its current key and both keys have signed it.

    Raises ``CccrError`` for another text, ``SignatureError`` for a wrong signature.
    """
    rotation = FORMAT.read(whole)
    check_key(NAME, rotation.current, trusted)
    return rotation
