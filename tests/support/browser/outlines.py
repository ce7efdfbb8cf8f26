"""The pages of a release without a style sheet: texts, links, translations."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from cccr_web.release import is_html
from cccr_web.render.copies import COPIES

if TYPE_CHECKING:
    from cccr_web.release import Release

_VOID = {"br", "hr", "img", "link", "meta", "wbr"}
_UNSEEN = {"style", "script", "title", "head"}


@dataclass(frozen=True, slots=True)
class OutlineElement:
    """An element: its name, its attributes, and its ancestors from the outermost."""

    tag: str
    attributes: dict[str, str]
    around: tuple[OutlineElement, ...]

    def within(self, tag: str, **attributes: str) -> bool:
        """Return whether it or an ancestor is such an element."""
        return any(
            one.tag == tag and attributes.items() <= one.attributes.items()
            for one in (*self.around, self)
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """Elements and texts in source order; each text with its element."""

    elements: list[OutlineElement] = field(default_factory=list)
    texts: list[tuple[OutlineElement, str]] = field(default_factory=list)

    def find(self, tag: str, **attributes: str) -> list[OutlineElement]:
        """Return the elements with this name and these attributes."""
        return [
            one
            for one in self.elements
            if one.tag == tag and attributes.items() <= one.attributes.items()
        ]

    def links(self) -> list[str]:
        """Return the targets of its links, as written."""
        return [one.attributes["href"] for one in self.find("a") if "href" in one.attributes]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.outline = Outline()
        self._open: list[OutlineElement] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = OutlineElement(tag, {k: v or "" for k, v in attrs}, tuple(self._open))
        self.outline.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        # Our pages close every element; the Nu checker tests it.
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(one.tag in _UNSEEN for one in self._open):
            self.outline.texts.append((self._open[-1], data))


def outline(html: bytes) -> Outline:
    """Read one page."""
    reader = _Reader()
    reader.feed(html.decode("utf-8"))
    reader.close()
    return reader.outline


def page_paths(release: Release) -> list[str]:
    """Return the path of every HTML file of a release, copies and error pages included."""
    return sorted(path for path in release.files if is_html(path))


def is_copy(path: str) -> bool:
    """Return whether it is an offline copy: the whole site in one file."""
    return path in COPIES


def resolve(path: str, href: str) -> str | None:
    """Return the path in the release that a link on the page ``path`` leads to.

    ``None`` means that the link leaves the site.
    """
    target = href.partition("#")[0]
    if ":" in target.partition("/")[0]:
        return None
    if not target:
        return path
    found = posixpath.normpath(posixpath.join(posixpath.dirname(f"/{path}"), target)).lstrip("/")
    return posixpath.join(found, "index.html") if target.endswith("/") else found
