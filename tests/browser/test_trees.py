"""What a screen reader announces on a page of each kind, in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.browser.browsing import listed
from support.browser.outlines import is_copy
from support.browser.trees import FOLDER, KINDS, Node, faults, read_text, read_tree

if TYPE_CHECKING:
    from pathlib import Path

    from support.browser.browsing import BrowsedSite
    from support.browser.devtools import Chromium

UPDATE = "Run tests/shots.sh --store, and look at the difference."


@pytest.mark.parametrize("kind", KINDS)
def test_the_tree_is_the_stored_one(chromium: Chromium, published: Path, kind: str) -> None:
    """The landmarks, headings, links and notes of a page are those that were last reviewed."""
    with chromium.tab() as tab:
        tab.size(1280, 900)
        shown = read_text(tab, published / KINDS[kind])
    assert shown == (FOLDER / f"{kind}.txt").read_text(encoding="utf-8"), UPDATE


def test_everything_is_named_and_nothing_is_announced_twice(
    chromium: Chromium, site: BrowsedSite
) -> None:
    """Notes, cards, pictures and repeated landmarks have names, and no name follows itself."""
    wrong = {}
    with chromium.tab() as tab:
        for path in site.pages:
            if is_copy(path):
                continue  # one page's last link can name the next page
            tab.visit(site.url(path))
            if found := faults(read_tree(tab)):
                wrong[path] = found
    assert wrong == {}, listed(wrong)


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ([Node(0, "note", "", None)], "note has no name"),
        ([Node(0, "navigation", "", None)], "navigation has no name"),
        (
            [Node(0, "navigation", "Pages", None), Node(0, "navigation", "Pages", None)],
            "two landmarks are ('navigation', 'Pages')",
        ),
        (
            [Node(0, "link", "刘晓波", None), Node(0, "heading", "刘晓波", 2)],
            "heading 2 “刘晓波” is announced twice",
        ),
    ],
)
def test_a_fault_is_found(tree: list[Node], fault: str) -> None:
    """A tree with one fault is reported, so the test above can fail."""
    assert fault in faults(tree)


def test_a_link_in_a_heading_is_one_announcement() -> None:
    """A heading and the link in it have the same name, which is announced once."""
    assert faults([Node(0, "heading", "Home", 1), Node(1, "link", "Home", None)]) == []
