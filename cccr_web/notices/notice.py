"""What all notices have in common: small texts for readers and programs, signed inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.signed_text import split_text, verify_text
from cccr_web.release import PublicKey, strip_clear_signature

MAX_BYTES: Final = 64 * 1024

ORGANISATION: Final = "the Chinese Coalition for Citizens Rights (公民自由联盟)"


@dataclass(frozen=True, slots=True)
class Notice:
    """What of a notice counts for a release: the day it was said, and until when it is good."""

    said: date | None = None
    until: datetime | None = None


def end_of(day: date) -> datetime:
    """Return the moment at which ``day`` is over, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def refuse_foreign_lines(name: str, lines: tuple[str, ...]) -> None:
    """Raise ``CccrError`` for a line that could be taken for another part of the notice."""
    for line in lines:
        if not line.strip() or line != line.strip() or not line.isprintable() or len(line) > 1000:
            raise CccrError(
                f"{name}: {line[:60]!a} is no line of text.",
                "Give one line of at most 1,000 characters, without space around it.",
            )
        if "-----BEGIN" in line:
            raise CccrError(f"{name}: “{line[:60]}” looks like a signature.", "Write it in words.")


def signed_words(whole: bytes, name: str) -> str:
    """Return the text of a notice, its signature not checked yet. Raises ``ReleaseError``."""
    text, _ = split_text(strip_clear_signature(whole, name=name), name=name)
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise CccrError(f"{name} is not UTF-8.", "Make it anew.") from error


def verify_words(whole: bytes, key: PublicKey, *, name: str) -> None:
    """Raise ``SignatureError`` unless ``key`` has signed the notice, alone."""
    verify_text(strip_clear_signature(whole, name=name), (key,), name=name)


def day_of(name: str, pattern: re.Pattern[str], words: str) -> date:
    """Return the day that ``pattern`` finds in ``words``. Raises ``CccrError``."""
    match = pattern.search(words)
    try:
        return date.fromisoformat(match[1] if match else "")
    except ValueError as error:
        raise CccrError(f"{name} does not bear its days.", "Make it anew.") from error
