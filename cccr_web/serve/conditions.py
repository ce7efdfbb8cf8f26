"""Entity tags and the conditions that requests put on them."""

from __future__ import annotations

import enum
import re

from cccr_web.serve.encoding import IDENTITY

_TAG = re.compile(r'(W/)?("[!#-~\x80-\xff]*")')


class Outcome(enum.Enum):
    """What the conditions of a request make of it."""

    GO_ON = enum.auto()
    NOT_MODIFIED = enum.auto()
    FAILED = enum.auto()


def etag(sha256: str, coding: str) -> str:
    """Return the strong tag of a file in a coding: other bytes, another tag (RFC 9110, 8.8.3.3)."""
    return f'"{sha256}"' if coding == IDENTITY else f'"{sha256}-{coding}"'


def evaluate(if_match: str | None, if_none_match: str | None, tag: str) -> Outcome:
    """Evaluate the conditions of a GET or HEAD in their order (RFC 9110, section 13.2.2).

    Nothing here has a date, so those on dates are ignored (sections 13.1.3 and 13.1.4).
    """
    # If-Match compares strongly, If-None-Match weakly (section 8.8.3.2).
    if if_match is not None and if_match.strip() != "*" and ("", tag) not in _tags(if_match):
        return Outcome.FAILED
    if if_none_match is not None and (
        if_none_match.strip() == "*" or any(tag == other for _, other in _tags(if_none_match))
    ):
        return Outcome.NOT_MODIFIED
    return Outcome.GO_ON


def _tags(header: str) -> list[tuple[str, str]]:
    return _TAG.findall(header)
