"""The media types of the files of a release."""

from __future__ import annotations

from posixpath import basename, splitext
from typing import Final

_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"

# By file name extension. A release holds no other kinds of file.
_MEDIA_TYPES: Final = {
    "": _TEXT,
    ".": _TEXT,
    ".asc": _TEXT,
    ".atom": "application/atom+xml",
    ".epub": "application/epub+zip",
    ".html": _HTML,
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".minisig": _TEXT,
    ".png": "image/png",
    ".pub": _TEXT,
    ".py": _TEXT,
    ".sshsig": _TEXT,
    ".txt": _TEXT,
    ".xml": "application/xml",
    ".zip": "application/zip",
}

# By file name, where the extension is ambiguous.
_NAMED_TYPES: Final = {"feed.xml": "application/atom+xml"}


def media_type(path: str) -> str | None:
    """Return the Content-Type of a file of a release, or ``None`` if its type is unknown."""
    return _NAMED_TYPES.get(basename(path)) or _MEDIA_TYPES.get(splitext(path)[1].lower())


def is_html(path: str) -> bool:
    """Whether the file at ``path`` is an HTML page."""
    return media_type(path) == _HTML
