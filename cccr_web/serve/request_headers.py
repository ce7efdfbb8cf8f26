"""What the headers of a request ask for: a coding, a language, a condition or a range.

Sources: RFC 9110, sections 12 to 14.
"""

from __future__ import annotations

import enum
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


_TAG = re.compile(r'(W/)?("[!#-~\x80-\xff]*")')
_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)

# A file that fits into a connection's first ten packets (RFC 6928) needs no ranges.
_SMALL = 14_600


class Precondition(enum.Enum):
    """The result of a request's preconditions."""

    PASSED = enum.auto()
    NOT_MODIFIED = enum.auto()
    FAILED = enum.auto()


def etag(sha256: str, coding: str) -> str:
    """Return the strong entity tag of a file in one content coding (RFC 9110, 8.8.3.3)."""
    return f'"{sha256}"' if coding == IDENTITY else f'"{sha256}-{coding}"'


def evaluate(if_match: str | None, if_none_match: str | None, tag: str) -> Precondition:
    """Evaluate the preconditions of a GET or HEAD in the order of RFC 9110, section 13.2.2.

    Files have no modification date, so conditions on dates are ignored (sections 13.1.3
    and 13.1.4).
    """
    # If-Match compares strongly, If-None-Match weakly (section 8.8.3.2).
    if if_match is not None and if_match.strip() != "*" and ("", tag) not in _tags(if_match):
        return Precondition.FAILED
    if if_none_match is not None and (
        if_none_match.strip() == "*" or any(tag == other for _, other in _tags(if_none_match))
    ):
        return Precondition.NOT_MODIFIED
    return Precondition.PASSED


def _tags(header: str) -> list[tuple[str, str]]:
    return _TAG.findall(header)


def accepts_ranges(length: int) -> bool:
    """Whether range requests are supported for a file of ``length`` bytes."""
    return length > _SMALL


def read_range(header: str | None, if_range: str | None, tag: str, length: int) -> range | None:
    """Return the bytes that a GET requests: ``None`` is the whole file, an empty range is 416.

    Only a single byte range is supported. Several ranges, other units and malformed headers
    get the whole file (section 14.2), and so does an ``If-Range`` with another tag or a date
    (section 13.1.5).
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None or (if_range is not None and if_range.strip() != tag):
        return None
    first, last = match[1], match[2]
    if not first:
        # A suffix range (section 14.1.2).
        return range(max(length - int(last), 0), length) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, length) if last else length)


def content_range(part: range, length: int) -> str:
    """Return the ``Content-Range`` of a 206 response, or of a 416 if ``part`` is empty."""
    return f"bytes {part[0]}-{part[-1]}/{length}" if part else f"bytes */{length}"
