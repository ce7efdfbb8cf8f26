"""Resolve the links in texts."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

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


# markdown-it leaves ASCII names alone. A host with “%2E” would hide the destination.
_HOST = re.compile(r"[a-z0-9.-]+")

Destination = External | ToText | ToFile


class DeadLinkError(ValueError):
    """The link has no destination, or one that readers must not be sent to."""


def resolve(target: str, source: Text, by_file: Mapping[Path, Text]) -> Destination:
    """Return the destination of ``target``, a link in ``source``.

    A link between texts is the path from file to file (``verify.md``,
    ``../statements/2013-05-07-tiananmen-rally.md#demands``), so that it works in any
    Markdown viewer. A link that starts with ``/`` is to a file of the release. Raises
    ``DeadLinkError``.
    """
    try:
        parts = urlsplit(target)
    except ValueError as error:
        raise DeadLinkError(f"“{target}” is not a valid URL: {error}.") from error
    if parts.scheme == "https" and parts.hostname:
        if _HOST.fullmatch(parts.hostname) is None:
            raise DeadLinkError(
                f"“{target}” is not a valid URL: “{parts.hostname}” is not a host name."
            )
        return External(target)
    if parts.scheme or parts.netloc:
        raise DeadLinkError(f"“{target}” must use https, like every link to another site.")
    if target.startswith("/"):
        return ToFile(target.removeprefix("/"))
    if not parts.path:
        return ToText(source, parts.fragment)
    file = Path(posixpath.normpath(posixpath.join(source.file.parent.as_posix(), parts.path)))
    text = by_file.get(file)
    if text is None:
        raise DeadLinkError(f"“{target}” is a dead link: there is no {file}.")
    return ToText(text, parts.fragment)
