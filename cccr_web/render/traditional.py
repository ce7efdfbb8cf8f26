"""Traditional Chinese, converted from Simplified by OpenCC when a release is built.

OpenCC's ``s2tw`` converts characters to Taiwan's standard, which is also read in Hong Kong
and Macau. ``s2twp`` would also replace words, but without regard to their meaning, so
``terms.tsv`` lists the words that are replaced. ``s2t`` returns OpenCC's intermediate forms,
which no standard uses (裏, 羣, 爲).

It converts one word at a time (``segmentation.py``). Text and code samples are converted, URLs are
not. Names are written as in ``names.toml``; quotation marks become 「」 and 『』.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from markdown_it.token import Token
from opencc import OpenCC

from cccr_web.content import Content, Photo, Text
from cccr_web.content.body import Body, Parsed
from cccr_web.content.characters import SELECTOR
from cccr_web.content.front_matter import FrontMatter
from cccr_web.content.scripts import Convert
from cccr_web.languages import LANGUAGES, Language
from cccr_web.render.cache import Cache
from cccr_web.render.segmentation import in_context, phrases, split, terms

_CONFIGURATION = "s2tw"

# No text contains these control characters: markup begins or ends; a word ends.
BORDER: Final = "\x1e"
_SEPARATOR: Final = "\x1f"
# What is no text of its paragraph, such as code.
_GAP: Final = "\n"

_CODE = {"code_block", "code_inline", "fence"}
_QUOTES = str.maketrans("“”", "「」")
# Not the apostrophe, which is the same character as the closing mark.
_INNER_QUOTES = re.compile("‘([^‘’]*)’")

# What readers see of the front matter.
_SHOWN: Final = ("demands", "title", "description", "short_title", "place", "since", "open")

# The attributes that contain text for readers.
_WORDS = {"alt", "title"}


def site_converter(names: Mapping[str, str]) -> Convert:
    """Return the function that converts the site's own pages and interface."""
    return converter(names, terms("site"))


def converter(names: Mapping[str, str], replaced: Mapping[str, str] | None = None) -> Convert:
    """Return the function that converts text and writes ``names`` as given.

    ``replaced`` are words with the words that take their place. It looks
    through each ``BORDER`` in the text, and leaves it where it is.
    """
    replaced = replaced or {}
    # A term that is not one word, such as IP地址, is found as a name is.
    listed = {
        term: form for term, form in replaced.items() if len([*filter(None, split(term))]) > 1
    }
    # The longest first, so that a name inside a longer one does not split it.
    forms = {SELECTOR.sub("", name): form for name, form in (listed | {**names}).items()}
    longest = sorted(forms, key=lambda name: (-len(name), name))
    # A text can have a variation selector after each character.
    selector = f"{SELECTOR.pattern}?"
    patterns = ("".join(re.escape(char) + selector for char in name) for name in longest)
    known = re.compile(f"({'|'.join(patterns) or '(?!)'})")

    words_of = sorted(replaced, key=lambda word: (-len(word), word))
    term = re.compile("|".join(map(re.escape, words_of)) or "(?!)")

    def with_terms(word: str, form: str) -> str:
        if len(form) != len(word):
            return form
        converted, end = "", 0
        for found in term.finditer(word):
            converted += form[end : found.start()] + replaced[found[0]]
            end = found.end()
        return converted + form[end:]

    def named(name: str) -> str:
        bare = SELECTOR.sub("", name)
        return name if SELECTOR.sub("", forms[bare]) == bare else forms[bare]

    def convert_words(words: str) -> str:
        # split() returns names at odd positions, other text at even ones.
        parts = known.split(words.replace(BORDER, ""))
        pairs = [
            pair
            for i, part in enumerate(parts)
            for pair in ([(part, named(part))] if i % 2 else _convert(part))
        ]
        pairs = [(word, with_terms(word, form)) for word, form in pairs]
        return _INNER_QUOTES.sub(r"『\1』", _with_borders(words, pairs)).translate(_QUOTES)

    return convert_words


def _convert(text: str) -> list[tuple[str, str]]:
    """Return the words of ``text``, each with its conversion."""
    words = split(text)
    converted = _opencc(_CONFIGURATION)(_SEPARATOR.join(words)).split(_SEPARATOR)
    return [
        (word, known or phrases().get(word, form))
        for word, form, known in zip(words, converted, in_context(words), strict=True)
    ]


def _with_borders(words: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Return the converted words with each border of ``words`` at the same character."""
    if BORDER not in words:
        return "".join(form for _, form in pairs)
    converted, at = "", 0
    for word, form in pairs:
        # A form has other characters, but as many.
        for i in range(len(word)):
            while words[at] == BORDER:
                converted, at = converted + BORDER, at + 1
            converted, at = converted + form[i : i + 1], at + 1
        converted += form[len(word) :]
    return converted + words[at:]


def simplify(words: str) -> str:
    """Return ``words`` in Simplified Chinese."""
    return _opencc("t2s")(words)


@functools.cache
def _opencc(configuration: str) -> Convert:
    return OpenCC(configuration).convert


def kept_names(names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names that stay in Simplified because nobody knows their Traditional form."""
    bare = (SELECTOR.sub("", name) for name, form in names.items() if form == name)
    return tuple(name for name in bare if any(map(_is_simplified, name)))


def _is_simplified(char: str) -> bool:
    """Whether Traditional Chinese does not have the character at all."""
    return not is_in_big5(char) and _opencc("s2t")(char) != char


def is_in_big5(char: str) -> bool:
    """Whether Taiwan's character set has it; variants that nobody types are not in it."""
    try:
        char.encode("big5")
    except UnicodeEncodeError:
        return False
    return True


def with_derived(
    content: Content, cache: Cache | None = None, *, earlier: Content | None = None
) -> Content:
    """Add the languages that have a source language, by converting each of its texts.

    A text that is the same object in an ``earlier`` result is not converted again.
    """
    before = earlier if earlier is not None and earlier.names == content.names else None
    for_statements = converter(content.names, terms("statements"))
    for_site = site_converter(content.names)
    names = repr(content.names)

    def known(head: FrontMatter, convert: Convert) -> FrontMatter:
        kind = "statements" if convert is for_statements else "site"
        shown = [getattr(head, key) for key in _SHOWN]
        key = ("traditional", kind, names, json.dumps(shown))
        made = (cache or Cache()).recall(key, lambda: _converted(shown, convert))
        demands, *others = json.loads(made)
        return replace(head, demands=tuple(demands), **dict(zip(_SHOWN[1:], others, strict=True)))

    derived = {
        language: {
            path: before.texts[language][path]
            if before is not None and before.texts[language.source].get(path) is text
            else _text(text, language, for_statements if text.is_statement else for_site, known)
            for path, text in content.texts[language.source].items()
        }
        for language in LANGUAGES
        if language.source is not None
    }
    photos = {name: _photo(photo, for_statements) for name, photo in content.photos.items()}
    return replace(content, texts={**content.texts, **derived}, photos=photos)


def _photo(photo: Photo, convert: Convert) -> Photo:
    derived = {
        language.locale: convert(photo.alt[language.source.locale])
        for language in LANGUAGES
        if language.source is not None
    }
    return replace(photo, alt={**photo.alt, **derived})


def _text(
    text: Text,
    language: Language,
    convert: Convert,
    convert_head: Callable[[FrontMatter, Convert], FrontMatter],
) -> Text:
    head = convert_head(text.head, convert)
    # Not now, and not kept: a text from the cache needs no tokens, and others need them once.
    body = replace(text.body, load=lambda: _parsed(text.body, convert))
    # Its own file name, so that links between files lead to texts in this language.
    tree, _, *rest = text.file.parts
    file = Path(tree, language.locale, *rest)
    return replace(text, language=language, file=file, head=head, body=body)


def _parsed(body: Body, convert: Convert) -> Parsed:
    return Parsed(tuple(convert_tokens(body.tokens, convert)), body.passages)


def _converted(shown: Sequence[Any], convert: Convert) -> bytes:
    demands, *others = shown
    words = [None if one is None else convert(one) for one in others]
    return json.dumps([[*map(convert, demands)], *words]).encode()


def convert_tokens(tokens: Iterable[Token], convert: Convert) -> list[Token]:
    """Return the tokens with their text converted."""
    converted: list[Token] = []
    original = False
    for token in tokens:
        # The original wording is published exactly as typed.
        original = (original or token.type == "original_open") and token.type != "original_close"
        if original:
            converted.append(token)
            continue
        attrs = {
            name: convert(str(value)) if name in _WORDS else value
            for name, value in token.attrs.items()
        }
        children = token.children
        if children:
            children = _inline(convert_tokens(_joined(children), convert), convert)
        words = token.content
        if token.type == "image" or token.type in _CODE:
            words = convert(words)
        changes = {"attrs": attrs, "children": children, "content": words}
        # Most tokens have no text, and a copy takes longer than a comparison.
        same = (attrs, children, words) == (token.attrs, token.children, token.content)
        converted.append(token if same else token.copy(**changes))
    return converted


def _inline(tokens: list[Token], convert: Convert) -> list[Token]:
    """Convert the text of one paragraph as a whole: markup may split a name or a word."""
    is_text = [
        token.type == "text" and (i == 0 or tokens[i - 1].type != "lang_open")
        for i, token in enumerate(tokens)
    ]
    parts = [
        token.content if ours else "" if token.nesting or token.type == "softbreak" else _GAP
        for token, ours in zip(tokens, is_text, strict=True)
    ]
    converted = convert(BORDER.join(parts)).split(BORDER)
    return [
        token.copy(content=words) if ours else token
        for token, ours, words in zip(tokens, is_text, converted, strict=True)
    ]


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
