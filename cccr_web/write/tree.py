"""HTML as a tree of what people can see; what they should not have seen is left out and named."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.write.dropped import DETAIL, STAYS, Dropped

_VOID: Final = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"),
    "wbr",
}
# What a start tag ends, if it was not closed.
_ENDS: Final = {
    "li": {"li"},
    "td": {"td", "th"},
    "th": {"td", "th"},
    "tr": {"tr", "td", "th"},
    "dt": {"dt", "dd"},
    "dd": {"dt", "dd"},
}
HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
BLOCKS: Final = {
    *("address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li"),
    *("main", "nav", "ol", "p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead"),
    *("tr", "ul", *HEADINGS),
}
# What has no place in a text → what a person calls it, or nothing if no reader saw it.
_DROPPED: Final = {
    **dict.fromkeys(("audio", "embed", "iframe", "object", "video"), "embedded object"),
    **dict.fromkeys(("button", "input", "select", "textarea"), "form field"),
    **dict.fromkeys(("img", "picture", "svg"), "picture"),
    **dict.fromkeys(("script", "noscript", "template"), "script"),
    **dict.fromkeys(("base", "head", "link", "meta", "style", "title"), ""),
    "del": "tracked deletion",
}
_HIDDEN: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all"
    r"|(?:font-size|opacity)\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)
_COMMENT: Final = re.compile(
    r"mso-element\s*:\s*comment|mso-special-character\s*:\s*comment", re.IGNORECASE
)
_IGNORE: Final = re.compile(r"mso-list\s*:\s*ignore", re.IGNORECASE)
# Word and Google write who wrote a page into these.
_PERSONAL: Final = re.compile(
    r"author|changed|created|creator|company|manager|operator|modified", re.IGNORECASE
)
# Word's conditional comments are a part of its format.
_CONDITIONAL: Final = re.compile(r"\s*\[(if|endif)|^\[|StartFragment|EndFragment", re.IGNORECASE)
_DEEPEST: Final = 150
_WHITE: Final = re.compile(r"(?<![\w-])color\s*:\s*(?:white\b|#fff(?:fff)?\b)", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class HtmlElement:
    """An element; its children are elements and texts."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[HtmlElement | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in the element."""
        texts = (one if isinstance(one, str) else one.text for one in self.children)
        return "".join(texts)

    @property
    def elements(self) -> list[HtmlElement]:
        """The elements right below this one."""
        return [one for one in self.children if isinstance(one, HtmlElement)]

    @property
    def is_block(self) -> bool:
        """Whether it is a block, or has one in it."""
        return self.tag in BLOCKS or any(one.is_block for one in self.elements)


def read_tree(html: str, dropped: Dropped) -> HtmlElement:
    """Return a document without what is dropped. Raises ``CccrError``."""
    parser = _TreeParser(dropped)
    parser.feed(html)
    parser.close()
    _prune(parser.root, dropped)
    return parser.root


class _TreeParser(HTMLParser):
    """Builds a tree; elements that were not closed end where browsers end them."""

    def __init__(self, dropped: Dropped) -> None:
        super().__init__(convert_charrefs=True)
        self.root = HtmlElement("root")
        self.open = [self.root]
        self._dropped = dropped

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in BLOCKS and any(node.tag == "p" for node in self.open) and self._inner() == "p":
            self.handle_endtag("p")
        ends = _ENDS.get(tag, set())
        while self._inner() in ends:
            self.handle_endtag(self._inner())
        if len(self.open) > _DEEPEST:
            raise CccrError("The document is nested too deeply.", "Copy its text by hand.")
        node = HtmlElement(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def parse_marked_section(self, i: int, report: int = True) -> int:
        """Read ``<![…>`` as browsers do: as a comment. Some versions of Python raise."""
        return self.parse_bogus_comment(i, bool(report))

    def _inner(self) -> str:
        """Return the innermost open element that is not inline."""
        blocks = (node.tag for node in reversed(self.open) if node.tag in BLOCKS)
        return next(blocks, "")

    def handle_endtag(self, tag: str) -> None:
        if any(node.tag == tag for node in self.open[1:]):
            while self.open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        if _CONDITIONAL.search(data) is None:
            self._dropped.add("comment", data)


def _prune(node: HtmlElement, dropped: Dropped) -> None:
    """Remove the elements that are dropped, and name what a person should know of the others."""
    for child in node.elements:
        kind = _kind(child)
        if kind is None:
            _prune(child, dropped)
            continue
        node.children.remove(child)
        if kind:
            dropped.add(kind, child.attrs.get("alt", "") or child.text)
        for meta in child.elements if child.tag == "head" else [child]:
            if meta.tag == "meta" and _PERSONAL.search(meta.attrs.get("name", "")):
                dropped.add(DETAIL, meta.attrs["name"])
    css = f"{node.attrs.get('style', '')};color:{node.attrs.get('color', '')}"
    if node.tag in {"s", "strike"}:
        dropped.add(f"struck-through passage {STAYS}", node.text)
    if node.tag == "ins":
        dropped.add(f"tracked insertion {STAYS}")
    if _WHITE.search(css) and node.text.strip():
        dropped.add(f"white passage {STAYS}", node.text)


def _kind(node: HtmlElement) -> str | None:
    """Return what a person calls a dropped element, or nothing if no reader saw it.

    ``None`` is for an element that is not dropped.
    """
    style = node.attrs.get("style", "")
    if _COMMENT.search(style) or node.attrs.get("class", "").lower().startswith("msocom"):
        return "comment"
    if _HIDDEN.search(style) or "hidden" in node.attrs:
        return "hidden passage" if node.text.strip() else ""
    if node.tag == "div" and node.attrs.get("title") in {"header", "footer"}:
        return "header or footer line"  # as LibreOffice writes it
    # Word's own list marks, and the arrow from a footnote back to its text.
    if _IGNORE.search(style) or (node.tag == "a" and node.text == "↑"):
        return ""
    return _DROPPED.get(node.tag)
