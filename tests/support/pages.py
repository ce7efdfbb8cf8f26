"""A page of a release, parsed strictly with the standard library.

``conftest.py`` loads this module as a plugin.
"""

from __future__ import annotations

import html.parser
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from cccr_web.languages import LANGUAGES
from cccr_web.release import ERROR_PAGES
from cccr_web.render.copies import single_url
from cccr_web.render.shared_pages import ZIP_INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cccr_web.release import Release

# Run a test once for each language.
every_language = pytest.mark.parametrize("language", LANGUAGES, ids=lambda one: one.slug)

# The pages that all languages share.
SHARED = {ZIP_INDEX, *ERROR_PAGES.values()}
VOID = {"meta", "link", "br", "hr", "img"}


@dataclass
class Element:
    """An element: its name, its attributes, its children."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        """Yield this element and all below it, in the order of the page."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def all(self, tag: str, /, **attributes: str) -> list[Element]:
        """Return every element with this name and these attributes, itself included."""
        wanted = {key.replace("_", "-").rstrip("-"): value for key, value in attributes.items()}
        return [
            element
            for element in self.walk()
            if element.name == tag and wanted.items() <= element.attributes.items()
        ]

    def one(self, tag: str, /, **attributes: str) -> Element:
        """Return the only element with this name and these attributes."""
        found = self.all(tag, **attributes)
        assert len(found) == 1, f"{len(found)} of {tag} {attributes}"
        return found[0]

    @property
    def text(self) -> str:
        """Its text, with white space as a reader sees it."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join("".join(parts).split())


class _StrictParser(html.parser.HTMLParser):
    """Rejects unclosed or badly nested elements, comments and unknown declarations."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self._open = [self.root]
        self.doctypes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(f"<{tag}/> {attrs} is XML, not HTML")

    def handle_endtag(self, tag: str) -> None:
        assert len(self._open) > 1, f"</{tag}> closes nothing"
        assert self._open.pop().name == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

    def handle_decl(self, decl: str) -> None:
        self.doctypes.append(decl)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment is published: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    def close(self) -> None:
        super().close()
        assert self._open == [self.root], f"<{self._open[-1].name}> is never closed"


def parse(source: bytes) -> Element:
    """Parse a page. Raises ``AssertionError`` if it is not well formed."""
    parser = _StrictParser()
    parser.feed(source.decode("utf-8"))
    parser.close()
    assert parser.doctypes == ["doctype html"]
    return parser.root


def pages(release: Release) -> dict[str, Element]:
    """Return every page of a release."""
    files = release.files.items()
    return {path: parse(file.body) for path, file in files if path.endswith(".html")}


@pytest.fixture(scope="session")
def every_page(release: Release) -> dict[str, Element]:
    """Every page of the real site, copies included."""
    return pages(release)


@pytest.fixture(scope="session")
def single_pages(every_page: dict[str, Element]) -> dict[str, Element]:
    """Every page of the real site in one language, except the copies of the whole."""
    others = {*SHARED, *(single_url(language) for language in LANGUAGES)}
    return {path: page for path, page in every_page.items() if path not in others}
