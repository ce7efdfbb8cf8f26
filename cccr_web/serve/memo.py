"""A memo from request heads to responses, so that a repeated request is not parsed again.

nginx and browsers send the same few heads for each page. The response to a head depends on
nothing but its bytes and the release, so the memo lives with the release. It holds only a
keyed hash of each head (RFC 7693): nothing that a reader has sent stays in memory.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Final

# About a kilobyte each. A client that sends many heads only makes the memo start again.
_MAX_ENTRIES: Final = 2048


@dataclass(frozen=True, slots=True)
class ReadyResponse:
    """A response but for its date: the head before and after it, and the body, if it is sent."""

    before: bytes
    after: bytes
    body: bytes | memoryview
    close: bool

    def pieces(self, date: bytes) -> tuple[bytes | memoryview, ...]:
        """Return what to send."""
        return self.before, date, self.after, self.body


class HeadMemo:
    """The responses to at most ``limit`` request heads."""

    def __init__(self, limit: int = _MAX_ENTRIES) -> None:
        self._limit = limit
        self._key = os.urandom(32)
        self._responses: dict[bytes, ReadyResponse] = {}

    def __len__(self) -> int:
        return len(self._responses)

    def get(self, head: bytes) -> ReadyResponse | None:
        """Return the response to exactly these bytes, if it is known."""
        return self._responses.get(self._hash(head))

    def add(self, head: bytes, response: ReadyResponse) -> None:
        """Remember the response to ``head``; a full memo is emptied first."""
        if len(self._responses) >= self._limit:
            self._responses.clear()
        self._responses[self._hash(head)] = response

    def _hash(self, head: bytes) -> bytes:
        return hashlib.blake2b(head, digest_size=16, key=self._key).digest()
