"""Responses made ahead of their requests, each with its head as waitress writes it."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PreparedResponse:
    """A response: its headers in Flask's order, and the lines of its head in waitress's.

    ``lines`` are sorted by name; ``connection`` and ``date`` are the indexes at which the
    ``Connection`` and ``Date`` lines are inserted. ``body`` is shared with the release.
    A response ``for_one`` request repeats a part of it, such as its range.
    """

    status: str
    headers: tuple[_Header, ...]
    body: bytes | memoryview
    lines: tuple[bytes, ...]
    connection: int
    date: int
    for_one: bool = False

    @classmethod
    def of(
        cls, status: str, headers: Iterable[_Header], body: bytes | memoryview = b""
    ) -> PreparedResponse:
        """Return the response, with its head as waitress itself would write it."""
        own = tuple(headers)
        ordered = sorted(own, key=lambda header: _capitalised(header[0]))
        names = [_capitalised(name) for name, _ in ordered]
        return cls(
            status,
            own,
            body,
            (f"HTTP/1.1 {status}\r\n".encode("latin-1"), *(_line(*each) for each in ordered)),
            connection=1 + sum(name < "Connection" for name in names),
            date=1 + sum(name < "Date" for name in names),
        )

    def changed(
        self, changes: Mapping[str, str], body: bytes | memoryview, *, for_one: bool
    ) -> PreparedResponse:
        """Return this response with another body and other values of some of its headers."""
        headers, lines = list(self.headers), list(self.lines)
        for index, (name, value) in enumerate(self.headers):
            if name in changes:
                headers[index] = name, changes[name]
                # The names and their order stay.
                lines[lines.index(_line(name, value))] = _line(name, changes[name])
        return PreparedResponse(
            self.status, tuple(headers), body, tuple(lines), self.connection, self.date, for_one
        )


def _line(name: str, value: str) -> bytes:
    """Return the line of a header as waitress writes it."""
    return f"{_capitalised(name)}: {value}\r\n".encode("latin-1")


@functools.cache  # for the few names that our own app sends
def _capitalised(name: str) -> str:
    return "-".join(map(str.capitalize, name.split("-")))


class Answer:
    """What one request head gets: a response, without its body for HEAD, and the connection.

    Its head is joined once, because only its date changes (RFC 9112, section 2.1).
    """

    __slots__ = ("_after_date", "_before_date", "body", "close", "for_one")

    def __init__(self, response: PreparedResponse, *, head_only: bool, close: bool) -> None:
        lines = list(response.lines)
        lines.insert(response.date, b"Date: ")
        if close:
            lines.insert(response.connection, b"Connection: close\r\n")
        date = lines.index(b"Date: ") + 1
        self._before_date = b"".join(lines[:date])
        self._after_date = b"".join((b"\r\n", *lines[date:], b"\r\n"))
        self.body: bytes | memoryview = b"" if head_only else response.body
        self.close = close
        self.for_one = response.for_one

    def head(self, date: bytes) -> bytes:
        """Return the head to send."""
        return self._before_date + date + self._after_date


# About 1 KB each, and the body. A client that sends many heads only makes the memo start again.
_MAX_ENTRIES: Final = 16_384


class HeadMemo:
    """The answers to at most ``limit`` request heads, so that none is parsed again.

    Browsers send the same few heads for each page. The response to a head depends on
    nothing but its bytes and the release, so the memo lives with the release. It holds only a
    keyed hash of each head (RFC 7693): nothing that a reader has sent stays in memory.
    """

    def __init__(self, limit: int = _MAX_ENTRIES) -> None:
        self._limit = limit
        self._keyed = hashlib.blake2b(digest_size=16, key=os.urandom(32))
        self._answers: dict[bytes, Answer] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, head: bytes) -> Answer | None:
        """Return the answer to exactly these bytes, if it is known."""
        return self._answers.get(self._hash(head))

    def add(self, head: bytes, answer: Answer) -> None:
        """Remember the answer to ``head``; a full memo is emptied first."""
        if len(self._answers) >= self._limit:
            self.clear()
        self._answers[self._hash(head)] = answer

    def clear(self) -> None:
        """Forget every answer."""
        self._answers.clear()

    def _hash(self, head: bytes) -> bytes:
        hashed = self._keyed.copy()
        hashed.update(head)
        return hashed.digest()
