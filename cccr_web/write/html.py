"""HTML of any origin → the Markdown that texts of the site may use.

What Markdown cannot say is dropped. Whatever a reader of the document would miss, or should
never have seen, is named.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Final

from cccr_web.content.characters import HAN
from cccr_web.content.urls import without_tracking
from cccr_web.errors import CccrError
from cccr_web.write.dropped import DETAIL, Dropped

_VOID: Final = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
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
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final = {
    *("address", "article", "aside", "blockquote", "body", "center", "dd", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "li", "main"),
    *(
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "ul",
    ),
    *_HEADINGS,
}
# What has no place in a text → what a person calls it, or nothing if no reader saw it.
_DROPPED: Final = {
    **dict.fromkeys(("audio", "embed", "iframe", "object", "video"), "embedded object"),
    **dict.fromkeys(("button", "input", "select", "textarea"), "form field"),
    **dict.fromkeys(("img", "picture", "svg"), "picture"),
    **dict.fromkeys(("script", "noscript", "template"), "script"),
    **dict.fromkeys(("base", "link", "style", "title"), ""),
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
_WEIGHT: Final = re.compile(r"font-weight\s*:\s*(\w+)", re.IGNORECASE)
_SLANT: Final = re.compile(r"font-style\s*:\s*(\w+)", re.IGNORECASE)
# Word and Google write who wrote a page into these.
_PERSONAL: Final = re.compile(
    r"author|changed|created|creator|company|manager|operator|modified", re.IGNORECASE
)
# Word's conditional comments are a part of its format.
_CONDITIONAL: Final = re.compile(r"\s*\[(if|endif)|^\[|StartFragment|EndFragment", re.IGNORECASE)
_DEEPEST: Final = 150

# A line break in the source between two of these is not a space.
_WIDE: Final = rf"[{HAN}\u3000-\u303f\uff00-\uffef]"
_BREAK: Final = re.compile(rf"(?<={_WIDE})[ \t]*[\r\n]\s*(?={_WIDE})")
_ESCAPED: Final = re.compile(r"[\\`*\[\]<]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_AT_START: Final = re.compile(
    r"^(?:(#{1,6}|[-+>])(?=\s|$)|(\d{1,9})([.)])(?=\s|$)|(>|[-=]{2,}$|~~~))"
)
_URL_MARKS: Final = re.compile("[()<> ]")
_EDGES: Final = re.compile(r"(\W*)(.*?)(\W*)", re.DOTALL)


_BULLET: Final = re.compile(r"^[-*] ", re.MULTILINE)
_NUMBER: Final = re.compile(r"^(\d+)\. ", re.MULTILINE)
_WHITE: Final = re.compile(r"(?<![\w-])color\s*:\s*(?:white\b|#fff(?:fff)?\b)", re.IGNORECASE)
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


@dataclass(slots=True)
class _Node:
    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[_Node | str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Span:
    """Words with the same emphasis and link; ``text`` is not escaped, and may have line breaks."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    href: str = ""


class _TreeParser(HTMLParser):
    """Builds a tree; elements that were not closed end where browsers end them."""

    def __init__(self, dropped: Dropped) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Node("root")
        self.open = [self.root]
        self._dropped = dropped

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS and any(node.tag == "p" for node in self.open) and self._inner() == "p":
            self.handle_endtag("p")
        ends = _ENDS.get(tag, set())
        while self._inner() in ends:
            self.handle_endtag(self._inner())
        if len(self.open) > _DEEPEST:
            raise CccrError("The document is nested too deeply.", "Copy its text by hand.")
        node = _Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def _inner(self) -> str:
        """Return the innermost open element that is not inline."""
        blocks = (node.tag for node in reversed(self.open) if node.tag in _BLOCKS)
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


def to_markdown(html: str, dropped: Dropped) -> list[Block]:
    """Return a document as blocks of Markdown, and name in ``dropped`` what is left out.

    Raises ``CccrError``.
    """
    parser = _TreeParser(dropped)
    parser.feed(html)
    parser.close()
    blocks: list[Block] = []
    for block in _MarkdownWriter(dropped).blocks(parser.root):
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

    def _is_dropped(self, node: _Node) -> bool:
        """Whether to leave an element out; counts it if a person should know."""
        style = node.attrs.get("style", "")
        if node.tag == "meta":
            if _PERSONAL.search(node.attrs.get("name", "")):
                self._dropped.add(DETAIL, node.attrs["name"])
            return True
        if node.tag == "head":
            for child in node.children:
                if isinstance(child, _Node):
                    self._is_dropped(child)
            return True
        if _COMMENT.search(style) or node.attrs.get("class", "").lower().startswith("msocom"):
            kind = "comment"
        elif _HIDDEN.search(style) or "hidden" in node.attrs:
            kind = "hidden passage" if _text(node).strip() else ""
        elif node.tag == "div" and node.attrs.get("title") in {"header", "footer"}:
            kind = "header or footer line"  # as LibreOffice writes it
        elif node.tag in _DROPPED:
            kind = _DROPPED[node.tag]
        else:
            # Word's own list marks, and the arrow from a footnote back to its text.
            return bool(_IGNORE.search(style)) or (node.tag == "a" and _text(node) == "↑")
        if kind:
            self._dropped.add(kind, node.attrs.get("alt", "") or _text(node))
        return True

    def blocks(self, node: _Node) -> Iterator[Block]:
        """Yield the blocks in an element."""
        spans: list[_Span] = []
        for child in node.children:
            if isinstance(child, _Node) and self._is_dropped(child):
                continue
            if isinstance(child, _Node) and _has_block(child):
                yield from _paragraphs(spans)
                spans = []
                yield from self._block(child)
            else:
                spans += self._spans(child, _Span(""))
        yield from _paragraphs(spans)

    def _block(self, node: _Node) -> Iterator[Block]:
        if node.tag in _HEADINGS:
            plain = [replace(span, bold=False, italic=False) for span in self._inline(node)]
            text = _line(plain)
            if text:
                yield Block(text, _HEADINGS[node.tag])
        elif node.tag in {"ul", "ol"}:
            yield from self._list(node)
        elif node.tag == "blockquote":
            inner = "\n\n".join(block.text for block in self.blocks(node))
            if inner:
                yield Block(re.sub("(?m)^(?=.)", "> ", inner).replace("\n\n", "\n>\n"))
        elif node.tag == "pre":
            code = _text(node).strip("\n")
            fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", code)), 3)
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

    def _list(self, node: _Node) -> Iterator[Block]:
        items: list[str] = []
        for child in node.children:
            if not isinstance(child, _Node) or self._is_dropped(child):
                continue
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

    def _table(self, node: _Node) -> Iterator[Block]:
        rows = [[*self._cells(row)] for row in _below(node, "tr")]
        rows = [row for row in rows if any(row)]
        width = max(map(len, rows), default=0)
        if width < 2 or len(rows) < 2:
            # It only arranges a page.
            yield from (Block(cell) for row in rows for cell in row if cell)
            return
        lines = [" | ".join([*row, *[""] * (width - len(row))]) for row in rows]
        lines.insert(1, "|".join(["---"] * width))
        yield Block(
            "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)
        )

    def _cells(self, row: _Node) -> Iterator[str]:
        for child in row.children:
            if (
                isinstance(child, _Node)
                and child.tag in {"td", "th"}
                and not self._is_dropped(child)
            ):
                yield _line(self._inline(child)).replace("|", "\\|")

    def _inline(self, node: _Node) -> list[_Span]:
        return [span for child in node.children for span in self._spans(child, _Span(""))]

    def _spans(self, node: _Node | str, style: _Span) -> Iterator[_Span]:
        if isinstance(node, str):
            text = re.sub(r"[ \t\r\n\f]+", " ", _BREAK.sub("", node))
            yield replace(style, text=self._untracked(text))
            return
        if self._is_dropped(node):
            return
        if node.tag == "br":
            yield replace(style, text="\n")
            return
        number = _FOOTNOTE.fullmatch(_text(node).strip())
        if node.tag == "a" and node.attrs.get("href", "").startswith("#") and number:
            is_note = re.search("anc$|ref", node.attrs["href"])
            yield replace(style, text=f"[{number[1]}] " if is_note else f"[{number[1]}]")
            return
        style = self._styled(node, style)
        around = [replace(style, text=" ")] if node.tag in _BLOCKS else []
        yield from around
        for child in node.children:
            yield from self._spans(child, style)
        yield from around

    def _styled(self, node: _Node, style: _Span) -> _Span:
        css = node.attrs.get("style", "")
        weight, slant = _WEIGHT.search(css), _SLANT.search(css)
        if node.tag in {"b", "strong", "th"}:
            style = replace(style, bold=node.tag != "th")
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
        if _WHITE.search(css) or _WHITE.match(f"color:{node.attrs.get('color', '')}"):
            self._dropped.add("white passage (its words stay)", _text(node))
        if node.tag in {"s", "strike"}:
            self._dropped.add("struck-through passage (its words stay)", _text(node))
        if node.tag == "ins":
            self._dropped.add("tracked insertion (its words stay)")
        if node.tag == "a" and node.attrs.get("href"):
            style = replace(style, href=self._href(node.attrs["href"].strip()))
        return style

    def _href(self, target: str) -> str:
        """Return where a link leads, or nothing if it leads nowhere in a text."""
        # mammoth leaves the switches of a field in it (ECMA-376, part 1, 17.16.5.25).
        target, _, switches = target.partition('"')
        anchor = _ANCHOR.search(switches)
        target += f"#{anchor[1]}" if anchor else ""
        if re.match("https?://", target, re.IGNORECASE):
            return self._untracked(target)
        if not target.startswith("#"):
            # A path on the writer's machine often has the writer's name.
            self._dropped.add("link that is not to a site (its words stay)", target)
        return ""

    def _untracked(self, text: str) -> str:
        clean, names = without_tracking(text)
        for name in names:
            self._dropped.add("tracking parameter", name)
        return clean


def _has_block(node: _Node) -> bool:
    return node.tag in _BLOCKS or any(
        isinstance(child, _Node) and _has_block(child) for child in node.children
    )


def _below(node: _Node, tag: str) -> Iterator[_Node]:
    for child in node.children:
        if isinstance(child, _Node) and child.tag == tag:
            yield child
        elif isinstance(child, _Node) and child.tag != "table":
            yield from _below(child, tag)


def _text(node: _Node | str) -> str:
    return node if isinstance(node, str) else "".join(map(_text, node.children))


def _indented(blocks: Iterable[str], mark: str) -> Iterator[str]:
    indent = " " * len(mark.partition(" ")[0]) + " "
    yield from (re.sub("(?m)^(?=.)", indent, block) for block in blocks)


def _paragraphs(spans: Sequence[_Span]) -> Iterator[Block]:
    """Yield a paragraph, or several where two line breaks follow each other."""
    parts: list[list[_Span]] = [[]]
    breaks = 0
    for span in spans:
        breaks = breaks + 1 if span.text == "\n" else 0 if span.text.strip() else breaks
        if breaks > 1:
            parts.append([])
        else:
            parts[-1].append(span)
    for part in parts:
        text = "\\\n".join(filter(None, map(_line_of, _lines(part))))
        if text:
            yield Block(text)


def _lines(spans: Iterable[_Span]) -> list[list[_Span]]:
    lines: list[list[_Span]] = [[]]
    for span in spans:
        if span.text == "\n":
            lines.append([])
        else:
            lines[-1].append(span)
    return lines


def _line(spans: Sequence[_Span]) -> str:
    """Return a line for a heading or a cell, in which a line break is a space."""
    return _line_of([replace(span, text=" ") if span.text == "\n" else span for span in spans])


def _line_of(spans: Sequence[_Span]) -> str:
    """Return a line of Markdown."""
    merged: list[_Span] = []
    for span in spans:
        last = merged[-1] if merged else None
        if last is not None and replace(last, text="") == replace(span, text=""):
            merged[-1] = replace(last, text=last.text + span.text)
        elif last is not None and not span.text.strip():
            # A blank between words has no emphasis of its own.
            merged[-1] = replace(last, text=last.text + span.text)
        elif span.text:
            merged.append(span)
    line = ""
    for href, parts in itertools.groupby(merged, lambda span: span.href):
        words = "".join(map(_emphasised, parts))
        if href and words.strip():
            # A blank at the edge of a link belongs to the sentence.
            before, after = words[: len(words) - len(words.lstrip())], words[len(words.rstrip()) :]
            words = f"{before}[{words.strip()}]({_URL_MARKS.sub(_percent, href)}){after}"
        line += words
    line = re.sub(r"[ \u00a0]{2,}", " ", line).strip(" \t\u3000\u00a0")
    return _AT_START.sub(_escape_start, line)


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _emphasised(span: _Span) -> str:
    if span.code:
        return (
            f"`{span.text}`" if span.text.strip() and "`" not in span.text else _escape(span.text)
        )
    mark = "**" if span.bold else "*" if span.italic else ""
    parts = _EDGES.fullmatch(span.text)
    if not mark or parts is None or not parts[2]:
        return _escape(span.text)
    # Next to Chinese, marks with punctuation inside would not be seen (CommonMark 0.31, 6.2).
    before, words, after = map(_escape, parts.groups())
    return f"{before}{mark}{words}{mark}{after}"


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\{found[0]}", text)


def _escape_start(found: re.Match[str]) -> str:
    return f"{found[2]}\\{found[3]}" if found[2] else f"\\{found[0]}"
