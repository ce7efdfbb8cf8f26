"""What can be wrong at an address."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 100


class Kind(enum.StrEnum):
    """The kinds of difference; their words are part of the JSON form."""

    BAD_SIGNATURE = "bad signature"
    OLDER_RELEASE = "older release"
    NEWER_RELEASE = "newer release"
    CHANGED = "changed"
    MISSING = "missing"
    EXTRA_HEADER = "extra header"
    MISSING_HEADER = "missing header"
    CHANGED_HEADER = "changed header"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One difference: at which path (``/en/``; empty for the whole address), and what it is."""

    path: str
    kind: Kind
    detail: str


def shown(text: str | None) -> str:
    """Return what a stranger sent, fit for a terminal and not too long."""
    if text is None:
        return "nowhere"
    plain = text if text.isascii() and text.isprintable() else ascii(text)
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"
