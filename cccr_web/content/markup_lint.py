"""Markup that a writer meant and the parser did not see.

Chinese keyboards type other brackets and marks than Markdown knows, Chinese paragraphs start
with an indent, and emphasis ends only where a language has spaces (CommonMark 0.31,
sections 4.4, 5.2 and 6.2). Readers would see the marks as typed, or prose as code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it.token import Token

from cccr_web.content.characters import HAN

# The line (from 1), and the message.
LineProblem = tuple[int, str]

_BLANK: Final = r"[ \t\u3000]"

_INDENTED_ITEM: Final = re.compile(
    r"^(?:> ?)*(?P<indent>[ \t\u3000]+)(?P<mark>[-*+]|[0-9]{1,3}[.)])[ \t\u3000]"
)
_LONG_INDENT: Final = 4

LANGUAGE_MARK: Final = re.compile(r"[{｛]\s*lang\s*[=＝][^}｝]*[}｝]?", re.IGNORECASE)

_LINK: Final = "write [text](address) with half-width brackets"
_EMPHASIS: Final = "write **text** with half-width marks, or × for a redacted character"

# What a line of a paragraph shows if its markup was not seen, and what to write.
_IN_PARAGRAPHS: Final = (
    (re.compile(r"^(?:－{3,}|＝{3,}|＊{3,})$"), "a line across the page is ---"),
    (
        re.compile(rf"^(?:[#＃]*＃[#＃]*|#{{2,6}}(?=[^#\s]|\u3000)|#(?=\u3000)){_BLANK}*"),
        "a heading starts with half-width # and a space",
    ),
    (
        re.compile(rf"^(?:＞|[》〉]{_BLANK})"),
        "a quotation starts with a half-width > and a space",
    ),
    (
        re.compile(rf"^(?:－|[＊＋•●▪◦‣∙·‧・–]{_BLANK}|[-*+]\u3000|-(?=[{HAN}]))"),
        "a list item starts with a half-width - and a space",
    ),
    (
        re.compile(
            rf"^(?:[0-9０-９]{{1,3}}．(?![0-9０-９])|[０-９]{{1,3}}[.)）]|[0-9]{{1,3}}[.](?=[{HAN}]))"
        ),
        "a numbered item starts with half-width digits, a full stop and a space, such as “1. ”",
    ),
    (re.compile(r"^｜"), "the cells of a table are separated by a half-width |"),
    (
        re.compile(r"^(?=.*[|｜])[|｜:：\s－—–―─━ー-]{2,}$"),
        "below the first line of a table is |---|---|, in half-width and with as many cells",
    ),
)
_ANYWHERE: Final = (
    (re.compile(r"｀+"), "write code between half-width `"),
    (
        LANGUAGE_MARK,
        "mark the language of words as [words]{lang=ja}, in half-width",
    ),
    # Underscores next to letters are no marks (CommonMark 0.31, section 6.2).
    (
        re.compile(
            r"(?<![A-Za-z0-9/_])(_{1,2})(?=[^_\s])[^_]*(?<=[^_\s])\1(?![A-Za-z0-9/_])"
            r"|(＿{1,2})(?=[^＿\s])[^＿]*(?<=[^＿\s])\2(?!＿)"
            rf"|(?<![A-Za-z0-9/_])__(?=[{HAN}])|(?<=[{HAN}])__(?![A-Za-z0-9/_])"
        ),
        "write *text* or **text**, with quotation marks outside, such as “**text**”",
    ),
    (re.compile(r"＊＊(?=[^＊\s][^＊]*＊＊)"), _EMPHASIS),
    (
        re.compile(
            r"[［\[【][^］\]】［\[【]*[］\]】][ ]?[（(]"
            r"(?:https?:|/|#|\.\.?/|[A-Za-z0-9_./-]+\.md)[^）)\s]*[）)]"
        ),
        _LINK,
    ),
    (re.compile(r"[＜〈《]https?://[^＞〉》\s]*[＞〉》]"), _LINK),
    (
        re.compile(
            r"[［\[【]\s*[!！]\s*(?:NOTE|ORIGINAL|PERSON)[^］\]】]*[］\]】]?", re.IGNORECASE
        ),
        (
            "a note starts with a line “> [!NOTE 2026-11-22]”, a card with “> [!PERSON]”, the "
            "original wording with “> [!ORIGINAL en]”, in half-width and with nothing after it"
        ),
    ),
)
# One of these is in everything that _ANYWHERE finds.
_UNUSUAL: Final = re.compile("[｀{｛_＿＊［\\[【＜〈《]")
_HEADING_NAME: Final = re.compile(r"[{｛]\s*[#＃][^}｝]*[}｝]\s*$")


def find_markup_problems(tokens: Sequence[Token], source: str) -> Iterator[LineProblem]:
    """Yield the line (from 1) and the message of each slip in a parsed text."""
    yield from _indented_code(tokens)
    yield from _indented_items(tokens, source.split("\n"))
    for index, token in enumerate(tokens):
        if token.type != "inline" or token.map is None:
            continue
        block = tokens[index - 1].type
        yield from _nested_emphasis(token)
        for offset, text in enumerate(shown_lines(token)):
            line = token.map[0] + 1 + offset
            found = next(_as_typed(text, in_paragraph=block == "paragraph_open"), None)
            if found is not None:
                yield line, f"“{found[0].strip()}” would appear as typed: {found[1]}."
            name = _HEADING_NAME.search(text) if block == "heading_open" else None
            if name is not None:
                yield (
                    line,
                    (
                        f"“{name[0].strip()}” would appear as typed: the name of a heading has "
                        "lower-case letters, digits and hyphens, such as {#our-demands}."
                    ),
                )


def _as_typed(text: str, *, in_paragraph: bool) -> Iterator[tuple[str, str]]:
    """Yield what would appear as typed in a line, and the advice."""
    for pattern, advice in _IN_PARAGRAPHS if in_paragraph else ():
        # search() would look for the beginning of the line at each of its characters.
        if found := pattern.match(text):
            yield found[0], advice
    for pattern, advice in _ANYWHERE if _UNUSUAL.search(text) else ():
        if found := pattern.search(text):
            yield found[0], advice


def _indented_code(tokens: Sequence[Token]) -> Iterator[LineProblem]:
    """Report every block that an indent makes code: most are prose, and a fence shows intent."""
    for token in tokens:
        if token.type == "code_block" and token.map is not None:
            yield (
                token.map[0] + 1,
                (
                    "Four spaces or a tab at its start make this line code: delete them. "
                    "Put real code between two lines of ```."
                ),
            )


def _indented_items(tokens: Sequence[Token], lines: Sequence[str]) -> Iterator[LineProblem]:
    """Find list items that an indent joins to the paragraph above."""
    known = {token.map[0] for token in tokens if token.type == "list_item_open" and token.map}
    for token in tokens:
        if token.type in {"fence", "code_block"} and token.map:
            known |= {*range(*token.map)}
    for number, line in enumerate(lines):
        found = _INDENTED_ITEM.match(line)
        if found is None or number in known:
            continue
        indent = found["indent"]
        unusual = not indent.isspace() or not {*indent} <= {" "}
        if unusual or (len(indent) >= _LONG_INDENT and not found["mark"][0].isdigit()):
            yield (
                number + 1,
                (
                    f"The blanks before “{found['mark']}” make this list item a part of the "
                    "paragraph above: delete them."
                ),
            )


def _nested_emphasis(block: Token) -> Iterator[LineProblem]:
    """Find marks that closed the wrong emphasis: nobody emphasises within emphasis."""
    open_ = {"strong": 0, "em": 0}
    line = (block.map or [0])[0] + 1
    for token in block.children or []:
        kind, _, change = token.type.partition("_")
        if token.type in {"softbreak", "hardbreak"}:
            line += 1
        elif kind in open_ and change:
            open_[kind] += token.nesting
            if open_[kind] > 1:
                yield (
                    line,
                    (
                        f"“{token.markup}” emphasises other words than were meant: put quotation "
                        f"marks outside the marks, such as “{token.markup}text{token.markup}”."
                    ),
                )
                return


def shown_lines(block: Token) -> list[str]:
    """Return what readers see of each line of a block, except code and other languages."""
    lines, before = [""], ""
    for token in block.children or []:
        if token.type in {"softbreak", "hardbreak"}:
            lines.append("")
        elif token.type in {"code_inline", "image"} or before == "lang_open":
            lines[-1] += "\N{OBJECT REPLACEMENT CHARACTER}"
        elif token.type == "text":
            lines[-1] += token.content
        before = token.type
    return [line.lstrip() for line in lines]
