"""Proactive negotiation: the coding and the language of a response (RFC 9110, section 12)."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final, TypeVar

from cccr_web.languages import Language, negotiate
from cccr_web.serve.encoding import IDENTITY

_Choice = TypeVar("_Choice")

_ELEMENT: Final = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)
# No browser sends more; a request head has room for thousands.
_MAX_ELEMENTS: Final = 64
# Browsers send short headers; long ones must not fill the caches.
_MAX_CACHED_LENGTH: Final = 128
_CACHED_CHOICES: Final = 128


def qualities(header: str) -> list[tuple[str, float]]:
    """Return each value of an ``Accept-…`` header, in lower case, with its quality.

    Malformed elements are left out (section 12.4.2).
    """
    elements = header.lower().split(",", _MAX_ELEMENTS)[:_MAX_ELEMENTS]
    matches = filter(None, map(_ELEMENT.fullmatch, elements))
    return [(match[1], float(match[2] or 1)) for match in matches]


def _cached(
    choose: Callable[[str, tuple[str, ...]], _Choice],
) -> Callable[[str | None, tuple[str, ...]], _Choice]:
    """Cache the choices for short headers. Without a header it is the choice for an empty one."""
    from_cache = functools.lru_cache(_CACHED_CHOICES)(choose)

    @functools.wraps(choose)
    def chosen(header: str | None, offered: tuple[str, ...]) -> _Choice:
        header = header or ""
        return (from_cache if len(header) < _MAX_CACHED_LENGTH else choose)(header, offered)

    return chosen


@_cached
def accepted_coding(header: str, offered: tuple[str, ...]) -> str:
    """Choose a coding for an ``Accept-Encoding`` header (section 12.5.3).

    At equal quality the first of ``offered`` wins, and all of them come before ``identity``.
    A client that accepts no coding at all gets ``identity`` (section 12.4.1). So does one
    that sends no header, because some programs of that kind cannot decompress.
    """
    if not offered:
        return IDENTITY
    found: dict[str, float] = {}
    for name, quality in qualities(header):
        found.setdefault(name.removeprefix("x-"), quality)
    others = found.get("*", 0.0)
    best = max(offered, key=lambda coding: found.get(coding, others))
    quality = found.get(best, others)
    return best if quality > 0 and quality >= found.get(IDENTITY, 0.0) else IDENTITY


@_cached
def accepted_language(header: str, offered: tuple[str, ...]) -> Language:
    """Choose a language, one of the slugs ``offered``, for an ``Accept-Language`` header."""
    return negotiate(qualities(header), offered)
