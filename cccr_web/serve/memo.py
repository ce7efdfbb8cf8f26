"""A memo from request heads to responses, so that a repeated request is not parsed again.

Browsers send the same few heads for each page. The response to a head depends on
nothing but its bytes and the release, so the memo lives with the release. It holds only a
keyed hash of each head (RFC 7693): nothing that a reader has sent stays in memory.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final, Generic, TypeVar

_Answer = TypeVar("_Answer")

# About 1 KB each, and the body. A client that sends many heads only makes the memo start again.
_MAX_ENTRIES: Final = 16_384


class HeadMemo(Generic[_Answer]):
    """The answers to at most ``limit`` request heads."""

    def __init__(self, limit: int = _MAX_ENTRIES) -> None:
        self._limit = limit
        self._key = os.urandom(32)
        self._answers: dict[bytes, _Answer] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, head: bytes) -> _Answer | None:
        """Return the answer to exactly these bytes, if it is known."""
        return self._answers.get(self._hash(head))

    def add(self, head: bytes, answer: _Answer) -> None:
        """Remember the answer to ``head``; a full memo is emptied first."""
        if len(self._answers) >= self._limit:
            self.clear()
        self._answers[self._hash(head)] = answer

    def clear(self) -> None:
        """Forget every answer."""
        self._answers.clear()

    def _hash(self, head: bytes) -> bytes:
        return hashlib.blake2b(head, digest_size=16, key=self._key).digest()
