"""``keys.txt``: the signed hand-over from the organisation's current key to the next.

Both keys sign it inside (see ``signed_text``): the current one says whom to trust
next, the next one that it is really held. Whoever trusts the current key checks
both signatures from this file alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.signed_text import sign_text, split_text, verify_text
from cccr_web.release import PublicKey, SigningKey

_FORM: Final = """\
Keys of the Chinese Coalition for Citizens Rights

Date: {date}
Current key: {current}
Current fingerprint: {current.fingerprint}
Next key: {next}
Next fingerprint: {next.fingerprint}

The current key makes the first signature below, the next key the second.
To check one: save all lines above its first BEGIN line as keys-text, the four
lines of a signature as keys-text.minisig, and run
minisign -Vm keys-text -P KEY

"""
_MAX_BYTES: Final = 64 * 1024
_DATE = re.compile(r"^Date: ([0-9]{4}-[0-9]{2}-[0-9]{2})$", re.MULTILINE)
_KEY = re.compile(r"^(?:Current|Next) key: (RW[A-Za-z0-9+/]{54})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Handover:
    """Which key signs now, which one will, and the day on which that was said."""

    date: date
    current: PublicKey
    next: PublicKey

    def text(self) -> bytes:
        """Return the clear text, in its one form."""
        return _FORM.format(date=self.date, current=self.current, next=self.next).encode()


def hand_over(current: SigningKey, following: SigningKey, day: date) -> bytes:
    """Return the whole of ``keys.txt``. Raises ``CccrError`` if the keys are one."""
    if current.public.raw == following.public.raw:
        raise CccrError("The old and the new key are the same.", "Make one: cccr-web key new")
    text = Handover(day, current.public, following.public).text()
    return sign_text(text, (current, following), f"keys {day}")


def check_handover(file: Path, trusted: PublicKey) -> Handover:
    """Read ``file`` and return what it says, as ``read_handover`` does."""
    try:
        with file.open("rb") as source:
            whole = source.read(_MAX_BYTES)
    except OSError as error:
        raise CccrError(f"{file} cannot be read: {error.strerror}.", "Give keys.txt.") from error
    return read_handover(whole, trusted)


def read_handover(whole: bytes, trusted: PublicKey) -> Handover:
    """Return what ``keys.txt`` says if ``trusted`` is its current key and both have signed.

    Raises ``CccrError`` for another text, ``SignatureError`` for a wrong signature.
    """
    said = open_handover(whole)
    if said.current != trusted:
        raise CccrError(
            f"keys.txt hands over from {said.current.fingerprint}, not from the key you trust.",
            f"Yours is {trusted.fingerprint}.",
        )
    return said


def open_handover(whole: bytes) -> Handover:
    """Return what ``keys.txt`` says if both keys have signed it, whichever they are."""
    text, _ = split_text(whole, name="keys.txt")
    words = text.decode("utf-8", errors="replace")
    day, keys = _DATE.search(words), _KEY.findall(words)
    try:
        said = Handover(date.fromisoformat(day[1] if day else ""), *map(PublicKey.parse, keys))
    except (ValueError, TypeError) as error:
        raise CccrError("keys.txt is no hand-over of keys.", "Fetch it again.") from error
    if said.text() != text:
        raise CccrError("keys.txt says more than a hand-over does.", "Fetch it again.")
    verify_text(whole, (said.current, said.next), name="keys.txt")
    return said
