"""Where a link in a text leads."""

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
    """A link to another site, by https."""

    url: str


@dataclass(frozen=True, slots=True)
class ToText:
    """A link to a text in the same language, perhaps to one of its headings."""

    text: Text
    fragment: str


@dataclass(frozen=True, slots=True)
class ToFile:
    """A link to another file of the release, such as ``SHA256SUMS``."""

    path: str


# An ASCII name, as markdown-it leaves it: a host with “%2E” would hide where it leads.
_HOST = re.compile(r"[a-z0-9.-]+")

Destination = External | ToText | ToFile


class DeadLinkError(ValueError):
    """A link that leads nowhere or where no reader should be sent; says which and why."""


def resolve(target: str, source: Text, by_file: Mapping[Path, Text]) -> Destination:
    """Say where ``target``, written in ``source``, leads.

    Between texts a link is the path from file to file (``verify.md``,
    ``../statements/2013-05-07-tiananmen-rally.md#demands``), so that it works in
    any Markdown viewer. A link that begins with ``/`` is to a file of the
    release. Raises ``DeadLinkError``.
    """
    try:
        parts = urlsplit(target)
    except ValueError as error:
        raise DeadLinkError(f"“{target}” is no address: {error}.") from error
    if parts.scheme == "https" and parts.hostname:
        if _HOST.fullmatch(parts.hostname) is None:
            raise DeadLinkError(f"“{target}” is no address: “{parts.hostname}” is no host.")
        return External(target)
    if parts.scheme or parts.netloc:
        raise DeadLinkError(f"“{target}” is not https: links to other sites must be.")
    if target.startswith("/"):
        return ToFile(target.removeprefix("/"))
    if not parts.path:
        return ToText(source, parts.fragment)
    file = Path(posixpath.normpath(posixpath.join(source.file.parent.as_posix(), parts.path)))
    text = by_file.get(file)
    if text is None:
        raise DeadLinkError(f"“{target}” leads nowhere: there is no {file}.")
    return ToText(text, parts.fragment)
