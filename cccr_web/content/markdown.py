"""The Markdown that writers may use: CommonMark and tables, without raw HTML.

Six extensions are added, all of which read well in any other viewer:

- an **editor's note**, a block quotation that starts with its date::

      > [!NOTE 2026-11-22]
      > Liu Xiaobo died on 13 July 2017.

- the **original wording**, a block quotation that starts with its language (BCP 47). It is
  published exactly as typed, also on pages in another script::

      > [!ORIGINAL en]
      > We call on the Chinese goverment to release them.

- a **name card**, a block quotation below the heading of a person. Its first paragraph is
  the person's name, its last one what has happened since, with the year::

      > [!PERSON]
      > 刘晓波
      >
      > Liu Xiaobo, 1955–2017
      >
      > Died on 13 July 2017 in a hospital, under guard.

- a **photo** with a record in ``photos.toml``, alone in its paragraph and without
  alternative text, which the record contains::

      ![](/photos/name.jpg)

- **words in a language** that their script does not show, such as Japanese::

      [東京]{lang=ja}

- a **heading's name** for links, the same in every language::

      ## 刘晓波 {#liu-xiaobo}
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date

from markdown_it import MarkdownIt
from markdown_it.token import Token

from cccr_web.content.body import (
    Body,
    Heading,
    Item,
    MarkdownLink,
    NameCard,
    Note,
    Original,
    Parsed,
    Passage,
    PhotoReference,
    RawHtml,
    StrayMark,
    has_own_words,
)
from cccr_web.content.characters import explain
from cccr_web.content.markup_lint import find_markup_problems, shown_lines
from cccr_web.content.urls import faults_of_shown

_NOTE = re.compile(r"\[!NOTE ([^\]]*)\]$")
_ORIGINAL = re.compile(r"\[!ORIGINAL ?([^\]]*)\]$")
_CARD = "[!PERSON]"
# The start of a photo's URL.
PHOTOS = "/photos/"
# A single * is a mark only next to Chinese punctuation, where CommonMark does not see it.
_STRAY = re.compile(r"\*\*|`|\*(?=[“‘「『《（〈【])|(?<=[”’」』》）〉】。，！？；：…])\*")
# The scripts that are written from right to left.
_RIGHT_TO_LEFT = re.compile(
    r"[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# A language (BCP 47), and words that are marked with theirs.
_TAG = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*"
_MARKED = re.compile(rf"\[([^\[\]]+)\]\{{lang=({_TAG})\}}")
_HEADING_ID = re.compile(r"\s*\{#([a-z0-9-]+)\}$")


class _Parser(MarkdownIt):
    """A parser that leaves links as typed, also forbidden ones, so that ``check`` can judge them.

    markdown-it would turn a forbidden link into text, and escape the rest.
    """

    def validateLink(self, _url: str) -> bool:  # noqa: N802  # markdown-it's name
        """Accept every link, even ``javascript:``."""
        return True

    def normalizeLink(self, url: str) -> str:  # noqa: N802  # markdown-it's name
        """Leave the URL as it was typed: ``resolve`` escapes it."""
        return url


# Raw HTML is parsed for the same reason.
_PARSER = _Parser("commonmark", {"html": True}).enable("table")


def parse(text: str, *, lines_before: int = 0, digest: str = "") -> Body:
    """Parse a text that starts after ``lines_before`` lines of the file with this ``digest``."""
    tokens = _PARSER.parse(text)
    items: list[Item] = []
    for token in tokens:
        token.children = [*_with_languages(token.children)] if token.children else token.children
    for index, token in enumerate(tokens):
        line = lines_before + 1 + (token.map[0] if token.map else 0)
        if token.type == "html_block":
            items.append(RawHtml(line))
        elif token.type == "heading_open":
            items.append(Heading(int(token.tag[1]), _take_heading_id(tokens, index), line))
        elif token.type == "blockquote_open" and _marker(_NOTE, tokens, index):
            items.append(Note(_take_note(tokens, index), line))
        elif token.type == "blockquote_open" and _marker(_ORIGINAL, tokens, index):
            items.append(Original(_take_original(tokens, index), line))
        elif token.type == "blockquote_open" and _is_card(tokens, index):
            _take_quotation(tokens, index, "card")
            above = next((item for item in reversed(items) if isinstance(item, Heading)), None)
            items.append(_name_card(tokens, index, lines_before, above.id if above else None))
        elif token.type == "inline":
            alone = _take_photo(tokens, index)
            items.extend(_inline_items(token, line, alone=alone))
    slips = ((line + lines_before, message) for line, message in _slips(tokens, text))
    parsed = Parsed(tuple(tokens), tuple(_passages(tokens, lines_before)))
    return Body(digest, lambda: parsed, tuple(items), tuple(slips), has_own_words(tokens))


def _name_card(tokens: list[Token], index: int, lines_before: int, heading: str | None) -> NameCard:
    line = lines_before + 1 + (tokens[index].map or [0])[0]
    paragraphs = []
    for token in tokens[index:]:
        if token.type == "card_close":
            break
        if token.type == "inline" and token.children and token.map:
            paragraphs.append(("".join(shown_lines(token)), lines_before + 1 + token.map[0]))
    name, line = paragraphs[0] if paragraphs else ("", line)
    since, since_line = paragraphs[-1] if len(paragraphs) > 1 else ("", line)
    return NameCard(name, line, heading, since, since_line)


def _passages(tokens: list[Token], lines_before: int) -> Iterator[Passage]:
    quoted = 0
    for index, token in enumerate(tokens):
        if token.type in {"blockquote_open", "card_open", "original_open"}:
            quoted += 1
        elif token.type in {"blockquote_close", "card_close", "original_close"}:
            quoted -= 1
        elif token.type == "inline" and token.map and token.children:
            words = "\n".join(shown_lines(token))
            item = tokens[index - 2].type == "list_item_open"
            yield Passage(words, lines_before + 1 + token.map[0], quoted > 0, item)


def _slips(tokens: list[Token], text: str) -> Iterator[tuple[int, str]]:
    yield from find_markup_problems(tokens, text)
    for token in tokens:
        line = token.map[0] + 1 if token.map else 1
        for offset, shown in enumerate(shown_lines(token)):
            yield from ((line + offset, message) for message in faults_of_shown(shown))
        for child in token.children or []:
            line += child.type in {"softbreak", "hardbreak"}
            # The characters of the source are checked before; entities show only here.
            alt = "".join(part.content for part in child.children or [])
            for words in (alt or child.content, child.attrGet("title")) if "&" in text else ():
                for _, message in explain(str(words or ""), escaped=True):
                    yield line, message


def _with_languages(children: list[Token]) -> Iterator[Token]:
    """Put words that are marked with a language between ``lang_open`` and ``lang_close``."""
    for child in children:
        if child.type != "text" or "{lang=" not in child.content:
            yield child
            continue
        # split() returns text, words and tag in turn.
        text, *marked = _MARKED.split(child.content)
        yield child.copy(content=text)
        for words, tag, text in zip(marked[::3], marked[1::3], marked[2::3], strict=True):
            attrs = language_attributes(words, tag)
            element = "bdi" if "dir" in attrs else "span"
            yield Token("lang_open", element, 1, attrs=dict[str, str | int | float](attrs))
            yield child.copy(content=words)
            yield Token("lang_close", element, -1)
            yield child.copy(content=text)


def language_attributes(words: str, tag: str) -> dict[str, str]:
    """Return ``lang`` and, if they are written from right to left, ``dir`` of some words."""
    suspects = _RIGHT_TO_LEFT.findall(words)
    right_to_left = any(unicodedata.bidirectional(char) in {"R", "AL"} for char in suspects)
    return {"lang": tag, "dir": "rtl"} if right_to_left else {"lang": tag}


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


def _marker(pattern: re.Pattern[str], tokens: list[Token], index: int) -> str | None:
    """Return what the marker of the block quotation at ``index`` says, if it is such a marker."""
    first = _first_line(tokens, index)
    match = pattern.match(first.content) if first else None
    return match[1] or " " if match else None


def _is_card(tokens: list[Token], index: int) -> bool:
    first = _first_line(tokens, index)
    return first is not None and first.content == _CARD


def _take_note(tokens: list[Token], index: int) -> date | None:
    """Turn the block quotation at ``index`` into a note; return its date if that is valid."""
    try:
        day = date.fromisoformat(_marker(_NOTE, tokens, index) or "")
    except ValueError:
        day = None
    _take_quotation(tokens, index, "note")
    tokens[index].meta["date"] = day
    return day


def _take_original(tokens: list[Token], index: int) -> str | None:
    """Turn the block quotation at ``index`` into original wording; return its language."""
    tag = _marker(_ORIGINAL, tokens, index) or ""
    language = tag if re.fullmatch(_TAG, tag) else None
    _take_quotation(tokens, index, "original")
    ends = (at for at, token in enumerate(tokens) if token.type == "original_close" and at > index)
    words = "".join(token.content for token in tokens[index + 1 : next(ends)])
    tokens[index].meta["language"] = language
    tokens[index].attrs.update(language_attributes(words, language or "und"))
    return language


def _take_quotation(tokens: list[Token], index: int, kind: str) -> None:
    """Turn the block quotation at ``index`` into another block without its first line."""
    opening = tokens[index]
    closing = next(
        token
        for token in tokens[index:]
        if token.type == "blockquote_close" and token.level == opening.level
    )
    opening.type, closing.type = f"{kind}_open", f"{kind}_close"
    paragraph = tokens[index + 2]
    # The marker is followed by a line break and the text of the block, or by nothing.
    paragraph.children = (paragraph.children or [])[2:]
    if paragraph.map:
        paragraph.map = [paragraph.map[0] + 1, paragraph.map[1]]
    if not paragraph.children:
        for token in tokens[index + 1 : index + 4]:
            token.hidden = True


def _take_photo(tokens: list[Token], index: int) -> bool:
    """If a paragraph contains only a photo, hide the paragraph; return whether it does."""
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


def _is_unequal(before: Token | None, text: Token, after: Token | None) -> bool:
    """Whether emphasis has more marks on one side, such as ``**words*``, so that one is left."""
    ends, begins = {"em_close", "strong_close"}, {"em_open", "strong_open"}
    return (text.content.endswith("*") and after is not None and after.type in begins) or (
        text.content.startswith("*") and before is not None and before.type in ends
    )


def _inline_items(block: Token, line: int, *, alone: bool) -> Iterator[Item]:
    tokens = block.children or []
    for before, token, after in zip((None, *tokens), tokens, (*tokens[1:], None), strict=False):
        if token.type in {"softbreak", "hardbreak"}:
            line += 1
        elif token.type == "html_inline":
            yield RawHtml(line)
        elif token.type == "text" and (stray := _STRAY.search(token.content)):
            yield StrayMark(stray[0], line)
        elif token.type == "text" and _is_unequal(before, token, after):
            yield StrayMark("*", line)
        elif token.type == "link_open":
            yield MarkdownLink(str(token.attrGet("href")), line)
        elif token.type == "image" and str(token.attrGet("src")).startswith(PHOTOS):
            name = str(token.attrGet("src")).removeprefix(PHOTOS)
            yield PhotoReference(name, alone, token.content.strip(), line)
        elif token.type == "image":
            yield MarkdownLink(str(token.attrGet("src")), line, alt=token.content.strip())
