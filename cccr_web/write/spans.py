"""Words with emphasis and links → lines of Markdown."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

_ESCAPED: Final = re.compile(r"[\\`*\[\]<]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_AT_START: Final = re.compile(
    r"^(?:(#{1,6}|[-+>])(?=\s|$)|(\d{1,9})([.)])(?=\s|$)|(>|[-=]{2,}$|~~~))"
)
_URL_MARKS: Final = re.compile("[()<> ]")
_EDGES: Final = re.compile(r"([\W_]*)(.*?)([\W_]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """Words with the same emphasis and link; ``text`` is not escaped, and may have line breaks."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    href: str = ""


def paragraphs(spans: Sequence[Span]) -> Iterator[str]:
    """Yield a paragraph, or several where two line breaks follow each other."""
    parts: list[list[Span]] = [[]]
    breaks = 0
    for span in spans:
        breaks = breaks + 1 if span.text == "\n" else 0 if span.text.strip() else breaks
        if breaks > 1:
            parts.append([])
        else:
            parts[-1].append(span)
    for part in parts:
        text = "\\\n".join(filter(None, map(_written, _lines(part))))
        if text:
            yield text


def _lines(spans: Iterable[Span]) -> list[list[Span]]:
    lines: list[list[Span]] = [[]]
    for span in spans:
        if span.text == "\n":
            lines.append([])
        else:
            lines[-1].append(span)
    return lines


def line(spans: Sequence[Span]) -> str:
    """Return a line for a heading or a cell, in which a line break is a space."""
    return _written([replace(span, text=" ") if span.text == "\n" else span for span in spans])


def _written(spans: Sequence[Span]) -> str:
    """Return a line of Markdown."""
    merged: list[Span] = []
    for span in map(_with_one_style, spans):
        last = merged[-1] if merged else None
        if last is not None and replace(last, text="") == replace(span, text=""):
            merged[-1] = replace(last, text=last.text + span.text)
        elif last is not None and not span.text.strip():
            # A blank between words has no emphasis of its own.
            merged[-1] = replace(last, text=last.text + span.text)
        elif span.text:
            merged.append(span)
    text = ""
    for href, parts in itertools.groupby(merged, lambda span: span.href):
        words = "".join(map(_emphasised, parts))
        if href and words.strip():
            # A blank at the edge of a link belongs to the sentence.
            before, after = words[: len(words) - len(words.lstrip())], words[len(words.rstrip()) :]
            if not before and text.endswith("!"):
                text = f"{text[:-1]}\\!"  # with the bracket it would begin an image
            words = f"{before}[{words.strip()}]({_URL_MARKS.sub(_percent, href)}){after}"
        text += words
    text = re.sub(r"[ \u00a0]{2,}", " ", text).strip(" \t\u3000\u00a0")
    return _AT_START.sub(_escape_start, text)


def _with_one_style(span: Span) -> Span:
    """Return a span with only the strongest of its styles, so that more of them can be joined."""
    bold = span.bold and not span.code
    return replace(span, bold=bold, italic=span.italic and not bold and not span.code)


def _percent(found: re.Match[str]) -> str:
    return f"%{ord(found[0]):02X}"


def _emphasised(span: Span) -> str:
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
