"""A response made ahead of its request, and the bytes of its head as waitress writes them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

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
        ordered = sorted(own, key=lambda header: _name(header[0]))
        names = [_name(name) for name, _ in ordered]
        return cls(
            status,
            own,
            body,
            (f"HTTP/1.1 {status}\r\n".encode("latin-1"), *(_line(*header) for header in ordered)),
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
                lines[lines.index(_line(name, value))] = _line(name, changes[name])
        return PreparedResponse(
            self.status, tuple(headers), body, tuple(lines), self.connection, self.date, for_one
        )


@functools.cache  # the app sends few
def _name(name: str) -> str:
    """Return the name of a header as waitress writes it."""
    return "-".join(map(str.capitalize, name.split("-")))


def _line(name: str, value: str) -> bytes:
    return f"{_name(name)}: {value}\r\n".encode("latin-1")


class Answer(NamedTuple):
    """What one request head gets: a response, without its body for HEAD, and the connection."""

    response: PreparedResponse
    head_only: bool
    close: bool

    def pieces(self, date: bytes) -> tuple[bytes, bytes | memoryview]:
        """Return the head and the body to send (RFC 9112, section 2.1)."""
        response = self.response
        lines = response.lines
        head = b"".join(
            (
                *lines[: response.connection],
                b"Connection: close\r\n" if self.close else b"",
                *lines[response.connection : response.date],
                b"Date: ",
                date,
                b"\r\n",
                *lines[response.date :],
                b"\r\n",
            )
        )
        return head, b"" if self.head_only else response.body
