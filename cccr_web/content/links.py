"""Resolve the links in texts."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cccr_web.content.markdown import normalize
from cccr_web.content.model import Text


@dataclass(frozen=True, slots=True)
class External:
    """An https link to another site."""

    url: str


@dataclass(frozen=True, slots=True)
class ToText:
    """A link to a text in the same language, or to one of its headings."""

    text: Text
    fragment: str


@dataclass(frozen=True, slots=True)
class ToFile:
    """A link to another file of the release, such as ``SHA256SUMS``."""

    path: str


Destination = External | ToText | ToFile


class DeadLinkError(ValueError):
    """The link has no destination, or one that readers must not be sent to.

    ``file`` is the text that is missing, if that is why.
    """

    def __init__(self, message: str, file: Path | None = None) -> None:
        self.file = file
        super().__init__(message)


def resolve(target: str, source: Text, by_file: Mapping[Path, Text]) -> Destination:
    """Return the destination of ``target``, a link in ``source``.

    A link between texts is the path from file to file (``verify.md``,
    ``../statements/2013-05-07-tiananmen-rally.md#demands``), so that it works in any
    Markdown viewer. A link that starts with ``/`` is to a file of the release. Raises
    ``DeadLinkError``.
    """
    try:
        # Before it is escaped, because an escape can hide what is wrong.
        urlsplit(target)
        normal = normalize(target)
        parts = urlsplit(normal)
    except ValueError as error:
        raise DeadLinkError(f"“{target}” is not a valid URL: {error}.") from error
    if parts.scheme == "https" and parts.hostname:
        return External(normal)
    if parts.scheme or parts.netloc:
        raise DeadLinkError(f"“{target}” must use https, like every link to another site.")
    if target.startswith("/"):
        return ToFile(target.removeprefix("/"))
    if not parts.path:
        return ToText(source, parts.fragment)
    file = Path(posixpath.normpath(posixpath.join(source.file.parent.as_posix(), parts.path)))
    text = by_file.get(file)
    if text is None:
        raise DeadLinkError(f"“{target}” is a dead link: there is no {file}.", file)
    return ToText(text, parts.fragment)
