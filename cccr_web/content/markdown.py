"""Markdown as the writers may use it: CommonMark and tables, without raw HTML.

Four things are added, all of which read well in any other viewer:

- an **editor's note**, a block quotation that begins with its date::

      > [!NOTE 2026-11-22]
      > Liu Xiaobo died on 13 July 2017.

- a **name card**, a block quotation whose first paragraph is a person's name::

      > [!PERSON]
      > 刘晓波
      >
      > Liu Xiaobo, Nobel Peace Prize 2010

- a **photo** of ``photos.toml``, in a paragraph of its own and without words, which its
  record holds::

      ![](/photos/name.jpg)

- a **heading's name** for links, the same in every language::

      ## 刘晓波 {#liu-xiaobo}
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from markdown_it import MarkdownIt
from markdown_it.token import Token

_NOTE = re.compile(r"\[!NOTE ([^\]]*)\]$")
_CARD = "[!PERSON]"
# How the address of a photo begins.
PHOTOS = "/photos/"
_STRAY = re.compile(r"\*\*|`")
_HEADING_ID = re.compile(r"\s*\{#([a-z0-9-]+)\}$")


class _Parser(MarkdownIt):
    """It sees what is to be refused, where markdown-it would show it as text."""

    def validateLink(self, _url: str) -> bool:  # noqa: N802  # markdown-it's name
        """Take even ``javascript:`` for a link, so that ``check`` can find it."""
        return True


# Raw HTML is parsed for the same reason.
_PARSER = _Parser("commonmark", {"html": True}).enable("table")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the body: ``level`` 2 to 6; ``id`` is ``None`` where it has no name."""

    level: int
    id: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Note:
    """An editor's note; ``date`` is ``None`` where the text in its place is no date."""

    date: date | None
    line: int


@dataclass(frozen=True, slots=True)
class MarkdownLink:
    """A link or, with ``alt`` set, an image. ``target`` is as it was written."""

    target: str
    line: int
    alt: str | None = None


@dataclass(frozen=True, slots=True)
class RawHtml:
    """A piece of HTML, which the writers may not use."""

    line: int


@dataclass(frozen=True, slots=True)
class StrayMark:
    """A mark that was meant to set words apart and stands in the text as it is."""

    mark: str
    line: int


@dataclass(frozen=True, slots=True)
class PhotoReference:
    """A photo of ``photos.toml`` by its ``name``; ``alone`` in a paragraph, or among others.

    ``words`` are those that were written for it in the text, where there should be none.
    """

    name: str
    alone: bool
    words: str
    line: int


Item = Heading | Note | MarkdownLink | PhotoReference | RawHtml | StrayMark


@dataclass(frozen=True, slots=True)
class Body:
    """A parsed text: its tokens for the renderer, and what there is to check, in order.

    In ``tokens`` an editor's note is a pair ``note_open`` (its date in
    ``meta["date"]``) and ``note_close``, a name card one of ``card_open`` and
    ``card_close``; a named heading has its ``id`` among
    its attributes. Lines count from 1 in the file that holds the text.
    """

    tokens: tuple[Token, ...]
    items: tuple[Item, ...]


def parse(text: str, *, lines_before: int = 0) -> Body:
    """Parse a text that begins after ``lines_before`` lines of its file."""
    tokens = _PARSER.parse(text)
    items: list[Item] = []
    for index, token in enumerate(tokens):
        line = lines_before + 1 + (token.map[0] if token.map else 0)
        if token.type == "html_block":
            items.append(RawHtml(line))
        elif token.type == "heading_open":
            items.append(Heading(int(token.tag[1]), _take_heading_id(tokens, index), line))
        elif token.type == "blockquote_open" and _is_note(tokens, index):
            items.append(Note(_take_note(tokens, index), line))
        elif token.type == "blockquote_open" and _is_card(tokens, index):
            _take_quotation(tokens, index, "card")
        elif token.type == "inline":
            alone = _take_photo(tokens, index)
            items.extend(_inline_items(token, line, alone=alone))
    return Body(tuple(tokens), tuple(items))


def _take_heading_id(tokens: list[Token], index: int) -> str | None:
    """Move a trailing ``{#name}`` from the heading's text to its attributes."""
    children = tokens[index + 1].children or []
    if not children or children[-1].type != "text":
        return None
    match = _HEADING_ID.search(children[-1].content)
    if match is None:
        return None
    children[-1].content = children[-1].content[: match.start()]
    tokens[index].attrSet("id", match[1])
    return match[1]


def _first_line(tokens: list[Token], index: int) -> Token | None:
    """Return the first text of the block quotation that opens at ``index``."""
    if index + 2 >= len(tokens) or tokens[index + 2].type != "inline":
        return None
    children = tokens[index + 2].children
    return children[0] if children and children[0].type == "text" else None


def _is_note(tokens: list[Token], index: int) -> bool:
    first = _first_line(tokens, index)
    return first is not None and _NOTE.match(first.content) is not None


def _is_card(tokens: list[Token], index: int) -> bool:
    first = _first_line(tokens, index)
    return first is not None and first.content == _CARD


def _take_note(tokens: list[Token], index: int) -> date | None:
    """Make a note of the block quotation at ``index``; return its date, if it is one."""
    first = _first_line(tokens, index)
    match = _NOTE.match(first.content) if first else None
    try:
        day = date.fromisoformat(match[1]) if match else None
    except ValueError:
        day = None
    _take_quotation(tokens, index, "note")
    tokens[index].meta["date"] = day
    return day


def _take_quotation(tokens: list[Token], index: int, kind: str) -> None:
    """Turn the block quotation at ``index`` into another kind of block, less its first line."""
    opening = tokens[index]
    closing = next(
        token
        for token in tokens[index:]
        if token.type == "blockquote_close" and token.level == opening.level
    )
    opening.type, closing.type = f"{kind}_open", f"{kind}_close"
    paragraph = tokens[index + 2]
    # What follows the marker is a line break and the block's own words, or nothing.
    paragraph.children = (paragraph.children or [])[2:]
    if not paragraph.children:
        for token in tokens[index + 1 : index + 4]:
            token.hidden = True


def _take_photo(tokens: list[Token], index: int) -> bool:
    """If there is nothing but a photo in a paragraph, hide the paragraph around it."""
    children = tokens[index].children or []
    alone = (
        len(children) == 1
        and children[0].type == "image"
        and str(children[0].attrGet("src")).startswith(PHOTOS)
        and tokens[index - 1].type == "paragraph_open"
    )
    if alone:
        tokens[index - 1].hidden = tokens[index + 1].hidden = True
    return alone


def _inline_items(block: Token, line: int, *, alone: bool) -> Iterator[Item]:
    for token in block.children or []:
        if token.type in {"softbreak", "hardbreak"}:
            line += 1
        elif token.type == "html_inline":
            yield RawHtml(line)
        elif token.type == "text" and (stray := _STRAY.search(token.content)):
            yield StrayMark(stray[0], line)
        elif token.type == "link_open":
            yield MarkdownLink(str(token.attrGet("href")), line)
        elif token.type == "image" and str(token.attrGet("src")).startswith(PHOTOS):
            name = str(token.attrGet("src")).removeprefix(PHOTOS)
            yield PhotoReference(name, alone, token.content.strip(), line)
        elif token.type == "image":
            yield MarkdownLink(str(token.attrGet("src")), line, alt=token.content.strip())
