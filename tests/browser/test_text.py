"""The pages in three text browsers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from support.browser.browsing import listed, need, without_spaces
from support.browser.outlines import Outline, OutlineElement, outline, page_paths
from support.pages import SHARED

if TYPE_CHECKING:
    from pathlib import Path

    from cccr_web.release import Release

# The parts of a page, in reading order.
PARTS = {
    "languages": {"tag": "nav", "class": "languages"},
    "menu": {"tag": "nav", "class": "menu"},
    "name": {"tag": "p", "class": "wordmark"},
    "warning": {"tag": "p", "class": "warning"},
    "heading": {"tag": "h1"},
    "text": {"tag": "main"},
    "footer": {"tag": "footer"},
}


# How each prints a page that is in UTF-8.
BROWSERS = {
    "links2": "-dump -width 72 -codepage utf-8 -html-assume-codepage utf-8",
    "lynx": "-dump -nolist -force_html -width=72 -assume_charset=utf-8 -display_charset=utf-8",
    "w3m": "-dump -T text/html -I UTF-8 -O UTF-8 -cols 72",
}


def dump(browser: str, file: Path) -> str:
    """Return what a browser shows for a page."""
    command = [need(browser), *BROWSERS[browser].split(), str(file)]
    shown = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    return shown.decode("utf-8")


def part_of(element: OutlineElement) -> str | None:
    """Return the innermost part of the page that contains an element."""
    found = [name for name, what in PARTS.items() if element.within(**what)]
    return "heading" if "heading" in found else found[0] if found else None


def missing(page: Outline, shown: str) -> list[str]:
    """Return the texts that are not shown, or not after the ones before them."""
    at = 0
    gone = []
    for _, text in page.texts:
        wanted = without_spaces(text)
        found = shown.find(wanted, at)
        if found < 0:
            gone.append(text)
        else:
            at = found + len(wanted)
    return gone


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_text_browser_shows_every_word_in_order(
    release: Release, release_folder: Path, browser: str
) -> None:
    """A text browser shows every word of a page, in the order of the page."""
    wrong = {}
    for path in page_paths(release):
        shown = without_spaces(dump(browser, release_folder / path))
        gone = missing(outline(release.files[path].body), shown)
        if gone:
            wrong[path] = gone
    assert wrong == {}, listed(wrong)


@pytest.mark.parametrize("browser", BROWSERS)
@pytest.mark.parametrize("path", sorted(SHARED))
def test_a_text_browser_shows_each_name_on_its_own_line(
    release_folder: Path, browser: str, path: str
) -> None:
    """On a page in three languages the organisation's names do not run into each other."""
    lines = {line.strip() for line in dump(browser, release_folder / path).splitlines()}
    assert lines >= {"公民自由联盟", "公民自由聯盟", "Chinese Coalition for Citizens Rights"}


def test_parts_of_a_page_are_in_order(release: Release) -> None:
    """Languages, menu, name, warning, heading, text and footer come in this order.

    On the home pages the name is the heading.
    """
    for path in page_paths(release):
        page = outline(release.files[path].body)
        if not page.find("nav", **{"class": "languages"}):
            continue  # a copy, which has one language and its own table of contents
        if path in SHARED:
            continue  # a section for each language
        # A statement's date is above its heading.
        dated = {"tag": "p", "class": "when"}
        texts = [element for element, _ in page.texts if not element.within(**dated)]
        parts = [part for element in texts if (part := part_of(element))]
        order = list(dict.fromkeys(parts))
        homes = {f"{slug}/index.html" for slug in release.metadata.languages}
        if path in homes:
            # The warning follows the newest statement.
            parts = ["text" if part == "warning" else part for part in parts]
            order = list(dict.fromkeys(parts))
        wanted = [part for part in PARTS if path not in homes or part not in {"name", "warning"}]
        assert order == wanted, path
        assert parts == sorted(parts, key=list(PARTS).index), path
