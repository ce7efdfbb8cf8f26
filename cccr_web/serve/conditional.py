"""Conditional requests and range requests (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import enum
import re

from cccr_web.serve.encoding import IDENTITY

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
