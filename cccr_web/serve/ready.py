"""An answer that was made before anybody asked, and its head as it goes over the wire."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A response: its headers in Flask's order, and the lines of its head in waitress's.

    ``lines`` are sorted by name; ``Connection`` and ``Date`` go in before the lines of the
    numbers ``connection`` and ``date``. ``body`` is shared with the release.
    """

    status: str
    headers: tuple[Header, ...]
    body: bytes | memoryview
    lines: tuple[bytes, ...]
    connection: int
    date: int

    def head(self, date: bytes, *, close: bool) -> bytes:
        """Return the status line and headers of an HTTP/1.1 response (RFC 9112, section 2.1)."""
        lines = self.lines
        return b"".join(
            (
                *lines[: self.connection],
                b"Connection: close\r\n" if close else b"",
                *lines[self.connection : self.date],
                b"Date: ",
                date,
                b"\r\n",
                *lines[self.date :],
                b"\r\n",
            )
        )

    def changed(self, changes: dict[str, str], body: bytes | memoryview) -> Ready:
        """Return this response with another body and other values of some of its headers."""
        headers = tuple((name, changes.get(name, value)) for name, value in self.headers)
        return replace(Press().make(self.status, headers), body=body)


class Press:
    """Makes answers that share what they have in common: most headers are of all files."""

    def __init__(self) -> None:
        self._headers: dict[Header, Header] = {}
        self._lines: dict[bytes, bytes] = {}

    def make(self, status: str, headers: Iterable[Header], body: bytes | memoryview = b"") -> Ready:
        """Return the answer. The head is as waitress itself would write it."""
        own = tuple(self._headers.setdefault(header, header) for header in headers)
        capital = (("-".join(map(str.capitalize, name.split("-"))), value) for name, value in own)
        written = sorted(capital, key=lambda header: header[0])
        names = [name for name, _ in written]
        lines = [f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in written)]
        packed = tuple(self._share(line.encode("latin-1")) for line in lines)
        return Ready(
            status,
            own,
            body,
            packed,
            connection=1 + sum(name < "Connection" for name in names),
            date=1 + sum(name < "Date" for name in names),
        )

    def _share(self, line: bytes) -> bytes:
        return self._lines.setdefault(line, line)


class Front(Protocol):
    """A WSGI app that can also say at once which answer is ready for a request."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer (PEP 3333)."""

    def ready(self, environ: WSGIEnvironment) -> Ready | None:
        """Return the answer, if it was prepared."""
