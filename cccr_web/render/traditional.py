"""Traditional Chinese, converted from Simplified by OpenCC when a release is built.

OpenCC's ``s2tw`` converts characters to Taiwan's standard, which is also read in Hong Kong
and Macau, and keeps the organisation's choice of words. ``s2twp`` would replace words;
``s2t`` returns OpenCC's intermediate forms, which no standard uses (裏, 羣, 爲).

Only text is converted: no URLs, no code. Names are written as in ``names.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from markdown_it.token import Token
from opencc import OpenCC

from cccr_web.content import Content, Photo, Text
from cccr_web.content.catalogue import Convert
from cccr_web.languages import LANGUAGES, Language

_CONFIGURATION = "s2tw"

# The attributes that contain text for readers.
_WORDS = {"alt", "title"}


def converter(names: Mapping[str, str]) -> Convert:
    """Return the function that converts text and writes ``names`` as given."""
    convert = OpenCC(_CONFIGURATION).convert
    if not names:
        return convert
    # The longest first, so that a name inside a longer one does not split it.
    longest = sorted(names, key=lambda name: (-len(name), name))
    known = re.compile(f"({'|'.join(map(re.escape, longest))})")

    def convert_words(words: str) -> str:
        # split() returns names at odd positions, other text at even ones.
        parts = known.split(words)
        return "".join(names[part] if i % 2 else convert(part) for i, part in enumerate(parts))

    return convert_words


def simplify(words: str) -> str:
    """Return ``words`` in Simplified Chinese."""
    return _simplifier()(words)


@cache
def _simplifier() -> Convert:
    return OpenCC("t2s").convert


def with_derived(content: Content, convert: Convert) -> Content:
    """Add the languages that have a source language, by converting each of its texts."""
    derived = {
        language: {
            path: _text(text, language, convert)
            for path, text in content.texts[language.source].items()
        }
        for language in LANGUAGES
        if language.source is not None
    }
    photos = {name: _photo(photo, convert) for name, photo in content.photos.items()}
    return replace(content, texts={**content.texts, **derived}, photos=photos)


def _photo(photo: Photo, convert: Convert) -> Photo:
    derived = {
        language.locale: convert(photo.alt[language.source.locale])
        for language in LANGUAGES
        if language.source is not None
    }
    return replace(photo, alt={**photo.alt, **derived})


def _text(text: Text, language: Language, convert: Convert) -> Text:
    head = replace(
        text.head,
        title=convert(text.head.title),
        description=convert(text.head.description),
        place=None if text.head.place is None else convert(text.head.place),
    )
    body = replace(text.body, tokens=tuple(_tokens(text.body.tokens, convert)))
    # Its own file name, so that links between files lead to texts in this language.
    tree, _, *rest = text.file.parts
    file = Path(tree, language.locale, *rest)
    return replace(text, language=language, file=file, head=head, body=body)


def _tokens(tokens: Iterable[Token], convert: Convert) -> list[Token]:
    """Return the tokens with their text converted."""
    converted: list[Token] = []
    for token in tokens:
        attrs = {
            name: convert(str(value)) if name in _WORDS else value
            for name, value in token.attrs.items()
        }
        children = token.children
        if children is not None:
            children = _tokens(_joined(children), convert)
        words = token.content
        if token.type in {"text", "image"}:
            words = convert(words)
        converted.append(token.copy(attrs=attrs, children=children, content=words))
    return converted


def _joined(tokens: Iterable[Token]) -> list[Token]:
    """Join text tokens that only a line end separates: a name may span it."""
    joined: list[Token] = []
    for token in tokens:
        words = "" if token.type == "softbreak" else token.content
        if joined and joined[-1].type == "text" and token.type in {"text", "softbreak"}:
            joined[-1] = joined[-1].copy(content=joined[-1].content + words)
        else:
            joined.append(token)
    return joined
