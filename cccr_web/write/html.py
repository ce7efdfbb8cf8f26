"""HTML of any origin → the Markdown that texts of the site may use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from cccr_web.content.characters import HAN
from cccr_web.content.urls import without_tracking
from cccr_web.write.dropped import STAYS, Dropped
from cccr_web.write.spans import Span, line, paragraphs
from cccr_web.write.tree import BLOCKS, HEADINGS, HtmlElement, read_tree

_WEIGHT: Final = re.compile(r"font-weight\s*:\s*(\w+)", re.IGNORECASE)
_SLANT: Final = re.compile(r"font-style\s*:\s*(\w+)", re.IGNORECASE)
# A line break in the source between two of these is not a space.
_WIDE: Final = rf"[{HAN}\u3000-\u303f\uff00-\uffef]"
_BREAK: Final = re.compile(rf"(?<={_WIDE})[ \t]*[\r\n]\s*(?={_WIDE})")
_BULLET: Final = re.compile(r"^[-*] ", re.MULTILINE)
_NUMBER: Final = re.compile(r"^(\d+)\. ", re.MULTILINE)
_ANCHOR: Final = re.compile(r"\\l\s+\"([^\"]+)")
# The number of a footnote, where it stands and where the note is.
_FOOTNOTE: Final = re.compile(r"\[?(\d+|[ivx]+)\]?")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of Markdown; ``level`` is that of a heading in the source, 1 to 6, or 0.

    An ``item`` is one of a list that the source has as paragraphs.
    """

    text: str
    level: int = 0
    item: bool = False


def to_markdown(html: str, dropped: Dropped) -> list[Block]:
    """Return a document as blocks of Markdown, and name in ``dropped`` what is left out.

    Raises ``CccrError``.
    """
    blocks: list[Block] = []
    for block in _MarkdownWriter(dropped).blocks(read_tree(html, dropped)):
        last = blocks[-1] if blocks else Block("")
        if block.item and last.item:
            blocks[-1] = replace(last, text=f"{last.text}\n{block.text}")
        else:
            blocks.append(_separate(block, last))
    return blocks


def _separate(block: Block, last: Block) -> Block:
    """Return a list with other marks than a list above it, which it would be joined to."""
    text = block.text
    if _BULLET.match(text) and last.text.startswith(text[:2]):
        other = "*" if text[0] == "-" else "-"
        text = _BULLET.sub(f"{other} ", text)
    elif _NUMBER.match(text) and re.match(r"\d+\. ", last.text):
        text = _NUMBER.sub(r"\1) ", text)
    return replace(block, text=text)


class _MarkdownWriter:
    """Turns a tree of elements into blocks."""

    def __init__(self, dropped: Dropped) -> None:
        self._dropped = dropped

    def blocks(self, node: HtmlElement) -> Iterator[Block]:
        """Yield the blocks in an element."""
        spans: list[Span] = []
        for child in node.children:
            if isinstance(child, HtmlElement) and child.is_block:
                yield from map(Block, paragraphs(spans))
                spans = []
                yield from self._block(child)
            else:
                spans += self._spans(child, Span(""))
        yield from map(Block, paragraphs(spans))

    def _block(self, node: HtmlElement) -> Iterator[Block]:
        if node.tag in HEADINGS:
            plain = [replace(span, bold=False, italic=False) for span in self._inline(node)]
            text = line(plain)
            if text:
                yield Block(text, HEADINGS[node.tag])
        elif node.tag in {"ul", "ol"}:
            yield from self._list(node)
        elif node.tag == "blockquote":
            inner = "\n\n".join(block.text for block in self.blocks(node))
            if inner:
                yield Block(re.sub("(?m)^(?=.)", "> ", inner).replace("\n\n", "\n>\n"))
        elif node.tag == "pre":
            code = node.text.strip("\n")
            fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", code))])
            yield Block(f"{fence}\n{code}\n{fence}")
        elif node.tag == "table":
            yield from self._table(node)
        elif node.tag == "hr":
            yield Block("---")
        elif "mso-list:" in node.attrs.get("style", "").replace(" ", ""):
            # Word's HTML has its lists as paragraphs.
            yield from (Block(f"- {block.text}", item=True) for block in self.blocks(node))
        else:
            yield from self.blocks(node)

    def _list(self, node: HtmlElement) -> Iterator[Block]:
        items: list[str] = []
        for child in node.elements:
            blocks = [
                block.text
                for block in (self.blocks(child) if child.tag == "li" else self._block(child))
            ]
            if not blocks:
                continue
            if child.tag in {"ul", "ol"} and items:
                # A list in a list, but not in its item, is of the item before it.
                items[-1] += "".join(f"\n{block}" for block in _indented(blocks, items[-1]))
                continue
            mark = f"{len(items) + 1}. " if node.tag == "ol" else "- "
            tight = "\n" if all(block.startswith(("- ", "1. ")) for block in blocks[1:]) else "\n\n"
            items.append(mark + tight.join([blocks[0], *_indented(blocks[1:], mark)]))
        if items:
            yield Block(("\n\n" if any("\n\n" in item for item in items) else "\n").join(items))

    def _table(self, node: HtmlElement) -> Iterator[Block]:
        rows = [[*self._cells(row)] for row in _below(node, "tr")]
        rows = [row for row in rows if any(row)]
        width = max(map(len, rows), default=0)
        if width < 2 or len(rows) < 2:
            # It only arranges a page.
            yield from (Block(cell) for row in rows for cell in row if cell)
            return
        whole = (" | ".join([*row, *[""] * (width - len(row))]) for row in rows)
        first, *others = (f"| {cells} |" for cells in whole)
        yield Block("\n".join([first, f"|{'---|' * width}", *others]))

    def _cells(self, row: HtmlElement) -> Iterator[str]:
        for child in row.elements:
            if child.tag in {"td", "th"}:
                yield line(self._inline(child)).replace("|", "\\|")

    def _inline(self, node: HtmlElement) -> list[Span]:
        return [span for child in node.children for span in self._spans(child, Span(""))]

    def _spans(self, node: HtmlElement | str, style: Span) -> Iterator[Span]:
        if isinstance(node, str):
            text = re.sub(r"[ \t\r\n\f]+", " ", _BREAK.sub("", node))
            yield replace(style, text=self._untracked(text))
            return
        if node.tag == "br":
            yield replace(style, text="\n")
            return
        number = _FOOTNOTE.fullmatch(node.text.strip())
        if node.tag == "a" and node.attrs.get("href", "").startswith("#") and number:
            is_note = re.search("anc$|ref", node.attrs["href"])
            yield replace(style, text=f"[{number[1]}] " if is_note else f"[{number[1]}]")
            return
        style = self._styled(node, style)
        around = [replace(style, text=" ")] if node.tag in BLOCKS else []
        yield from around
        for child in node.children:
            yield from self._spans(child, style)
        yield from around

    def _styled(self, node: HtmlElement, style: Span) -> Span:
        css = node.attrs.get("style", "")
        weight, slant = _WEIGHT.search(css), _SLANT.search(css)
        if node.tag in {"b", "strong"}:
            style = replace(style, bold=True)
        if weight:
            style = replace(
                style, bold=weight[1].lower() in {"bold", "bolder", "600", "700", "800", "900"}
            )
        if node.tag in {"em", "i"}:
            style = replace(style, italic=True)
        if slant:
            style = replace(style, italic=slant[1].lower() in {"italic", "oblique"})
        if node.tag in {"code", "kbd", "samp", "tt"}:
            style = replace(style, code=True)
        if node.tag == "a" and node.attrs.get("href"):
            style = replace(style, href=self._href(node.attrs["href"].strip()))
        return style

    def _href(self, target: str) -> str:
        """Return where a link leads, or nothing if it leads nowhere in a text."""
        # mammoth leaves the switches of a field in it (ECMA-376, part 1, 17.16.5.25).
        target, _, switches = target.partition('"')
        anchor = _ANCHOR.search(switches)
        target += f"#{anchor[1]}" if anchor else ""
        target = re.sub(r"[\t\r\n]", "", target)  # as browsers do (WHATWG, URL)
        if re.match("https?://", target, re.IGNORECASE):
            return self._untracked(target)
        if not target.startswith("#"):
            # A path on the writer's machine often has the writer's name.
            self._dropped.add(f"link that is not to a site {STAYS}", target)
        return ""

    def _untracked(self, text: str) -> str:
        clean, names = without_tracking(text)
        for name in names:
            self._dropped.add("tracking parameter", name)
        return clean


def _below(node: HtmlElement, tag: str) -> Iterator[HtmlElement]:
    for child in node.elements:
        if child.tag == tag:
            yield child
        elif child.tag != "table":
            yield from _below(child, tag)


def _indented(blocks: Iterable[str], mark: str) -> Iterator[str]:
    indent = " " * len(mark.partition(" ")[0]) + " "
    yield from (re.sub("(?m)^(?=.)", indent, block) for block in blocks)
