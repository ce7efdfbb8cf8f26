"""A document from Word or a browser → Markdown, without what nobody meant to publish."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from cccr_web.content.characters import LOST, PRIVATE, find
from cccr_web.errors import CccrError
from cccr_web.files import read_input
from cccr_web.write.dropped import Dropped
from cccr_web.write.html import Block, to_markdown
from cccr_web.write.word import read_docx

# What a file starts with → why it is not read.
_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "a document of Word before 2007, or of WPS"),
    (b"{\\rtf", "a Rich Text document"),
    (b"%PDF", "a PDF, in which paragraphs are lost"),
    (b"MIME-Version", "a web archive"),
)
_LOWEST = 6  # the level of h6
# In bytes; pictures are a part of a document.
_LARGEST = 100_000_000
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Converted:
    """A document as Markdown: its title if it has one, its blocks, and what was left out.

    The level of a heading is from 2, as in a text; ``dropped`` are phrases to show.
    """

    title: str | None
    blocks: tuple[Block, ...]
    dropped: tuple[str, ...]


def read_document(file: Path) -> Converted:
    """Read a .docx or .html file. Raises ``CccrError``."""
    body = read_input(file, _LARGEST)
    dropped = Dropped()
    try:
        html = read_docx(body, dropped) if body.startswith(b"PK") else _read_html(body)
        blocks = [_clean(block, dropped) for block in to_markdown(html, dropped)]
    except CccrError as error:
        raise CccrError(f"{file}: {error.problem}", error.remedy) from error
    blocks = [block for block in blocks if block.text]
    title = None
    # A heading at the start that is above all others.
    levels = [block.level for block in blocks[1:] if block.level]
    if blocks and 0 < blocks[0].level < min(levels, default=_LOWEST + 1):
        title, blocks = blocks[0].text, blocks[1:]
    if not blocks:
        raise CccrError(f"{file} has no text.", "Check that it is the right file.")
    # A title is plain text.
    title = title and re.sub(r"\\(.)", r"\1", title)
    return Converted(title, tuple(_level(blocks)), tuple(dropped.lines()))


def _read_html(body: bytes) -> str:
    for start, kind in _OTHERS:
        if body.startswith(start):
            raise CccrError(f"This is {kind}.", "Open it in Word or LibreOffice, save it as .docx.")
    declared = _CHARSET.search(body[:4096])
    charset = declared[1].decode().lower() if declared else "utf-8"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charset = "utf-16"
    elif body.startswith(codecs.BOM_UTF8):
        charset = "utf-8-sig"
    elif charset in {"gb2312", "gbk"}:
        charset = "gb18030"  # browsers read both as this (WHATWG, Encoding)
    try:
        text = body.decode(charset)
        text.encode()  # some of Python's codecs accept half a character
    except (LookupError, ValueError) as error:
        raise CccrError(
            f"This is not text in {charset}.", "Save it as .docx, or as UTF-8."
        ) from error
    if not re.search(r"<[A-Za-z][A-Za-z0-9]*[\s/>]", text):
        raise CccrError(
            "This is neither a .docx nor HTML.", "Save it as .docx, or paste its text yourself."
        )
    return text


def _clean(block: Block, dropped: Dropped) -> Block:
    """Return a block without the characters that no text may contain."""
    parts, end = list[str](), 0
    found: Counter[str] = Counter()
    for each in find(block.text):
        # Only a person can say what was meant by these.
        if each.rule in {LOST, PRIVATE}:
            continue
        parts += (block.text[end : each.start], each.meant)
        end = each.start + 1
        found[each.char] += 1
    for char, count in found.items():
        name = unicodedata.name(char, "control character").lower()
        dropped.add(
            f"character U+{ord(char):04X} ({name}, which does not belong in a text)", count=count
        )
    return replace(block, text=("".join(parts) + block.text[end:]).strip())


def _level(blocks: list[Block]) -> list[Block]:
    """Return the blocks with headings from level 2, none of which is skipped."""
    top = min((block.level for block in blocks if block.level), default=0)
    made, before = list[Block](), 1
    for block in blocks:
        if block.level:
            before = min(block.level - top + 2, before + 1)
        made.append(replace(block, level=before) if block.level else block)
    return made
