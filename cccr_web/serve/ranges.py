"""Parts of a file, so that a download that broke off can go on (RFC 9110, section 14)."""

from __future__ import annotations

import re

# What fits into a connection's first ten packets needs no second try (RFC 6928).
_LARGE = 14_600

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def takes_ranges(length: int) -> bool:
    """Whether parts of a file of so many bytes are given: of the copies to take away."""
    return length > _LARGE


def read_range(header: str | None, if_range: str | None, tag: str, length: int) -> range | None:
    """Return which bytes a GET asks for; ``None``: the whole; an empty range: none there are.

    One range is answered. Several in one request, other units and what cannot be read
    get the whole (section 14.2), as does who has other bytes: ``If-Range`` compares
    strongly, and with a date it never fits (section 13.1.5).
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None or (if_range is not None and if_range.strip() != tag):
        return None
    first, last = match[1], match[2]
    if not first:
        # The last so many bytes (section 14.1.2).
        return range(max(length - int(last), 0), length) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, length) if last else length)


def content_range(part: range, length: int) -> str:
    """Return the ``Content-Range`` of a part, or of a request for none (section 14.4)."""
    return f"bytes {part[0]}-{part[-1]}/{length}" if part else f"bytes */{length}"
