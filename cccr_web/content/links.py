"""The links in texts: where each leads, and whether readers may be sent there.

``urls`` judges the URL of another site, and ``markup_lint`` finds links that Markdown does not see.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cccr_web.content.body import Heading, MarkdownLink
from cccr_web.content.markup_lint import LineProblem
from cccr_web.content.model import Text
from cccr_web.content.urls import faults, is_at, normalize
from cccr_web.languages import WRITTEN


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


class DeadLinkError(ValueError):
    """The link has no destination, or one that readers must not be sent to.

    ``file`` is the text that is missing, if that is why.
    """

    def __init__(self, message: str, file: Path | None = None) -> None:
        self.file = file
        super().__init__(message)


def resolve(target: str, source: Text, by_file: Mapping[Path, Text]) -> External | ToText | ToFile:
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
    if parts.scheme == "https":
        raise DeadLinkError(f"“{target}” is not a valid URL: write the host after https://.")
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


def links_lead_somewhere(
    text: Text, by_file: Mapping[Path, Text], known_files: Collection[str], former_host: str
) -> Iterator[LineProblem]:
    """Every link leads to a page, a file of the release, or a safe public address."""
    for item in text.body.items:
        if isinstance(item, MarkdownLink):
            for message in _faults(item, text, by_file, known_files, former_host):
                yield item.line, message


def _faults(
    link: MarkdownLink,
    source: Text,
    by_file: Mapping[Path, Text],
    known_files: Collection[str],
    former_host: str,
) -> Iterator[str]:
    try:
        destination = resolve(link.target, source, by_file)
    except DeadLinkError as error:
        # A missing translation is reported once, not by every link to it.
        if error.file is None or not any(file in by_file for file in _twins(error.file)):
            yield str(error)
        return
    if link.alt is not None and not isinstance(destination, ToFile):
        # Pages load nothing from other sites.
        yield f"The image “{link.target}” must be a file of this site."
        return
    match destination:
        case External(url) if is_at(url, former_host):
            yield "Links to the former site are not allowed."
        case External():
            yield from faults(link.target)
        case ToFile(path) if path not in known_files:
            yield f"“{link.target}” is a dead link: the release has no such file."
        case ToText(text, fragment) if fragment:
            twins = [by_file[file] for file in _twins(text.file) if file in by_file]
            # So is a heading that is missing in one language.
            if not any(fragment in _ids(one) for one in (text, *twins)):
                yield f"“{link.target}” is a dead link: {text.file} has no heading {{#{fragment}}}."


def _ids(text: Text) -> set[str | None]:
    return {item.id for item in text.body.items if isinstance(item, Heading)}


def _twins(file: Path) -> Iterator[Path]:
    """Yield the files of the same text in the other languages."""
    if len(file.parts) > 2:
        tree, locale, *rest = file.parts
        yield from (
            Path(tree, language.locale, *rest) for language in WRITTEN if language.locale != locale
        )
