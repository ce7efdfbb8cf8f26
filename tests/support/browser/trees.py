"""The accessibility tree of a page as text: what a screen reader announces, in order.

It has landmarks, headings, links, lists, notes and pictures with their names, and no running
text, so an edited sentence does not change it.
"""

from __future__ import annotations

import itertools
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from cccr_web.languages import EN
from cccr_web.release import ERROR_PAGES, INDEX
from cccr_web.render.copies import epub_url, single_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.browser.devtools import Tab

FOLDER = Path(__file__).resolve().parents[2] / "browser" / "trees"

# A page of each kind. The Chinese home page represents pages with words in another script.
KINDS = {
    "home": "en/index.html",
    "home in Chinese": "zh-hans/index.html",
    "statement": "en/statements/2011-liu-xiaobo-and-chen-guangcheng.html",
    "statements": "en/statements/index.html",
    "page": "en/who-we-are.html",
    "addresses": "en/addresses.html",
    "copies": "en/copies.html",
    "verify": "en/verify.html",
    "error": ERROR_PAGES[404],
    "first page of a copy": INDEX,
    "site on one page": single_url(EN),
    "EPUB": epub_url(EN),
}

# Text, and elements that screen readers do not announce.
_UNSAID = frozenset(
    {
        *("StaticText", "InlineTextBox", "LineBreak", "ListMarker", "generic", "none"),
        *("paragraph", "strong", "emphasis", "code", "time", "DescriptionListDetail"),
        *("DescriptionListTerm", "term", "definition", "LayoutTable", "LabelText"),
    }
)
_LANDMARKS = frozenset(
    {"banner", "complementary", "contentinfo", "form", "main", "navigation", "region", "search"}
)
# There is one of each on a page, so they need no name.
_SINGLE = frozenset({"banner", "contentinfo", "main"})
_NAMED = _LANDMARKS - _SINGLE | {"note", "group", "image"}


@dataclass(frozen=True, slots=True)
class Node:
    """One node: how deep it is, its role, its name, and its level if it is a heading."""

    depth: int
    role: str
    name: str
    level: int | None

    def __str__(self) -> str:
        level = "" if self.level is None else f" {self.level}"
        name = f" “{self.name}”" if self.name else ""
        return f"{'  ' * self.depth}{self.role}{level}{name}"


def read_text(tab: Tab, file: Path) -> str:
    """Return the tree of a page as it is stored; of an EPUB, those of its documents in order."""
    if file.suffix != ".epub":
        tab.visit(file.as_uri())
        return text_of(read_tree(tab))
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(file) as book:
            book.extractall(folder)
        package = Path(folder, "EPUB", "package.opf")
        root = ET.parse(package).getroot()  # noqa: S314  # we wrote it
        hrefs = {one.get("id"): one.get("href", "") for one in root.iterfind(".//{*}item")}
        spine = [hrefs[one.get("idref")] for one in root.iterfind(".//{*}itemref")]
        return "".join(read_text(tab, package.parent / href) for href in spine)


def read_tree(tab: Tab) -> list[Node]:
    """Return the tree of the page that a tab shows, in reading order."""
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}
    return [*_walk(nodes[0], by_id, 0)]


def _walk(node: dict[str, Any], by_id: dict[str, dict[str, Any]], depth: int) -> Iterator[Node]:
    role = node["role"]["value"]
    is_said = not node["ignored"] and role not in _UNSAID
    if is_said:
        level = next(
            (one["value"]["value"] for one in node["properties"] if one["name"] == "level"), None
        )
        name = " ".join(node.get("name", {}).get("value", "").split())
        yield Node(depth, role, name, level if role == "heading" else None)
    for child in node["childIds"]:
        if child in by_id:
            yield from _walk(by_id[child], by_id, depth + is_said)


def faults(tree: list[Node]) -> list[str]:
    """Return what a listener would miss or hear twice."""
    found = [f"{node} has no name" for node in tree if not node.name and node.role in _NAMED]
    landmarks = [(node.role, node.name) for node in tree if node.role in _LANDMARKS]
    found += [f"two landmarks are {one}" for one in {*landmarks} if landmarks.count(one) > 1]
    for before, node in itertools.pairwise(tree):
        # A link in a heading is one announcement; neighbours are two.
        if node.name and node.name == before.name and node.depth <= before.depth:
            found.append(f"{node} is announced twice")
    return found


def text_of(tree: list[Node]) -> str:
    """Return a tree as it is stored."""
    return "".join(f"{node}\n" for node in tree)
