"""A page as the tests of the texts read it: text, headings, links, ids and language."""

from __future__ import annotations

import posixpath
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

_VOID = {"br", "hr", "img", "link", "meta"}
# A reader sees a gap between these.
_BLOCKS = {"dd", "dt", "li", "p", "td", "th"}


class Page(HTMLParser):
    """One HTML page, parsed."""

    def __init__(self, body: bytes | str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.metas: list[dict[str, str | None]] = []
        self.language: str | None = None
        self.elements: set[str] = set()
        self._open: list[str] = []
        self._text: list[str] = []
        self.feed(body if isinstance(body, str) else body.decode())
        self.close()
        assert not self._open, f"never closed: {self._open}"

    @property
    def text(self) -> str:
        """Its text, with white space as a reader sees it."""
        return " ".join("".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record a tag and its attributes."""
        values = dict(attrs)
        self.elements.add(tag)
        if tag not in _VOID:
            self._open.append(tag)
        if tag in _BLOCKS:
            self._text.append(" ")
        if tag == "html":
            self.language = values.get("lang")
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if values.get("href"):
            self.links.append(str(values["href"]))
        if tag == "meta":
            self.metas.append(values)
        if _is_heading(tag):
            self.headings.append((int(tag[1]), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element that XHTML closes in its start tag."""
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Record text."""
        if "style" in self._open:
            return
        self._text.append(data)
        if any(_is_heading(tag) for tag in self._open):
            level, words = self.headings[-1]
            self.headings[-1] = (level, words + data)


def _is_heading(tag: str) -> bool:
    return len(tag) == 2 and tag[0] == "h" and tag[1].isdecimal()


def dead_links(pages: dict[str, Page], files: set[str]) -> set[tuple[str, str]]:
    """Return (page, link) for each link within the site that is broken."""
    dead = set()
    for url, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(url), unquote(parts.path)))
            target = path if parts.path else url
            known = target in pages or target in files
            if not known or (parts.fragment and unquote(parts.fragment) not in pages[target].ids):
                dead.add((url, link))
    return dead
