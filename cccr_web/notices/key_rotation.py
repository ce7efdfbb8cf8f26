"""``keys.txt``: the signed changes from one of the organisation's keys to the next, oldest first.

Both keys sign a change inside (see ``signed_text``): the current key says which one to trust
next, the next key proves that somebody holds it. A reader who trusts any of the earlier keys
verifies all signatures after it with this file alone. The chain has neither forks nor loops.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.signed_text import (
    DAY,
    KEY,
    MAX_BYTES,
    Notice,
    NoticeFormat,
    check_key,
    sign_text,
)
from cccr_web.release import (
    ORGANISATION,
    KeyChange,
    PublicKey,
    Release,
    RollbackGuard,
    SigningKey,
    strip_clear_signature,
)

NAME: Final = "keys.txt"
TITLE: Final = f"Keys of {ORGANISATION}"

_TEMPLATE: Final = (
    TITLE
    + """

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


_FORMAT: Final = NoticeFormat(
    NAME,
    _TEMPLATE,
    {"issued": DAY, "current": KEY, "next": KEY},
    KeyRotation,
    lambda rotation: (rotation.current, rotation.next),
    "Fetch it again, or make it with: cccr-web key rotate",
)


def rotate_key(current: SigningKey, following: SigningKey, day: date, before: bytes = b"") -> bytes:
    """Return ``keys.txt`` with one more change after those ``before``, signed by both keys.

    Raises ``CccrError`` if a key would have two successors, or become current twice.
    """
    if current.public.raw == following.public.raw:
        raise CccrError("The old and the new key are the same.", "Make one: cccr-web key new")
    text = _FORMAT.format(KeyRotation(day, current.public, following.public))
    whole = strip_clear_signature(before, name=NAME) + sign_text(
        text, (current, following), f"keys {day}"
    )
    read_rotations(whole)
    return whole


def read_rotations(whole: bytes, *, verify: bool = True) -> tuple[KeyRotation, ...]:
    """Return every change in ``keys.txt``, none of them dated later than the last.

    Raises ``CccrError`` unless they form a chain in the order of their dates.
    """
    title = TITLE.encode() + b"\n"
    first, *others = strip_clear_signature(whole, name=NAME).split(title)
    texts = [whole] if first or not others else [title + other for other in others]
    rotations = tuple(_FORMAT.read(text, verify=verify) for text in texts)
    successors: dict[bytes, PublicKey] = {}
    for rotation in rotations:
        _add(successors, rotation.current, rotation.next)
    for one, other in pairwise(rotations):
        if other.current != one.next:
            raise CccrError(
                f"{NAME}: the key {other.current.fingerprint} is not the one that was "
                "announced before.",
                "Announce the next key with the key that was announced last.",
            )
        if other.issued < one.issued:
            raise CccrError(
                f"{NAME}: the change of {other.issued} comes after that of {one.issued}.",
                "Correct the date and make it again.",
            )
    return rotations


def announced_changes(release: Release, guard: RollbackGuard) -> tuple[KeyChange, ...]:
    """Return the changes of keys in ``release``, which has signed its ``keys.txt``.

    Raises ``CccrError`` if they and those that ``guard`` has recorded give a key two
    successors, or lead back.
    """
    before, file = guard.key_changes(), release.files.get(NAME)
    rotations = read_rotations(file.body, verify=False) if file else ()
    after = tuple((each.current, each.next) for each in rotations)
    successors: dict[bytes, PublicKey] = {}
    for current, following in (*before, *after):
        _add(successors, current, following)
    return after


def _add(successors: dict[bytes, PublicKey], current: PublicKey, following: PublicKey) -> None:
    known = successors.setdefault(current.raw, following)
    if known != following:
        raise CccrError(
            f"{NAME}: the key {current.fingerprint} hands over to two keys, "
            f"{known.fingerprint} and {following.fingerprint}.",
            "Keep the first change: a key has one successor.",
        )
    last: PublicKey | None = following
    while last is not None and last.raw != current.raw:
        last = successors.get(last.raw)
    if last is not None:
        raise CccrError(
            f"{NAME}: the changes lead back to the key {following.fingerprint}.",
            "Make a new key with: cccr-web key new",
        )


def read_keys_file(file: Path) -> bytes:
    """Return the bytes of a copy of ``keys.txt``. Raises ``CccrError``."""
    try:
        with file.open("rb") as source:
            return source.read(MAX_BYTES)
    except OSError as error:
        raise CccrError(f"{file} cannot be read: {error.strerror}.", "Pass keys.txt.") from error


def read_key_rotation(whole: bytes, trusted: PublicKey) -> KeyRotation:
    """Return the last change, if ``trusted`` or keys that it leads to have signed it.

    Raises ``CccrError`` for another text or a date in the future, ``SignatureError`` for a
    wrong signature.
    """
    rotations = read_rotations(whole)
    last = rotations[-1]
    if all(rotation.current != trusted for rotation in rotations):
        check_key(NAME, last.current, trusted)
    if fault := Notice(last.issued).fault(datetime.now(UTC)):
        raise CccrError(f"{NAME}: {fault}", "Get the newest one from another address.")
    return last
