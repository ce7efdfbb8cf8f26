"""Find text in another script than its folder's: English in ``zh_Hans/``, Traditional in it, …

A name, a title or a term in another script is ordinary. A whole passage is a text that was
pasted into the wrong file or not translated. Quotations are exempt: they may have the
original wording.
So are words that are marked with their language: shown_lines leaves them out.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection
from functools import cache
from typing import Final

from cccr_web.content.characters import IDEOGRAPH
from cccr_web.languages import Language

Convert = Callable[[str], str]

# As many words as no name of a person or organisation has.
_LATIN_SENTENCE: Final = re.compile(r"(?:[A-Za-zÀ-ɏ'’-]+[,;:]?\s+){5,}[A-Za-zÀ-ɏ'’-]+")

# The number of letters from which a run in another script is not a name.
_LONG_HAN: Final = 10
_LONG_OTHER: Final = 30
# About how many Latin letters say as much as one Chinese character.
_LETTERS: Final = 3
_MOST: Final = 0.7
_SHOWN: Final = 5

# The language that a script most likely has here.
_TAGS: Final = {
    "CYRILLIC": "ru",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "MONGOLIAN": "mn",
    "TIBETAN": "bo",
}
_KANA: Final = re.compile(r"[\u3041-\u309f\u30a1-\u30fa]")


def wrong_script(
    words: str, language: Language, simplify: Convert, names: Collection[str]
) -> str | None:
    """Return what is wrong with the script of a passage in ``language``, or ``None``.

    ``simplify`` converts Traditional to Simplified Chinese; ``names`` are left alone.
    """
    scripts = Counter[str]()
    for char, times in Counter(words).items():
        scripts[_script(char)] += times
    han, latin = scripts["HAN"], scripts["LATIN"]
    letters = sum(scripts.values()) - scripts[""]
    other, count = max(
        ((name, n) for name, n in scripts.items() if name not in {"", "HAN", "LATIN"}),
        key=lambda pair: pair[1],
        default=("", 0),
    )
    where = f"this folder's texts are in {language.tag}"
    remedy = "translate it, or make it a quotation with > if it is the original wording"
    if count >= _LONG_OTHER and count > _MOST * letters:
        mark = f"mark a long name or title as [words]{{lang={_TAGS.get(other, 'ug')}}}"
        return f"This is in {other.capitalize()} script, but {where}: {remedy}; {mark}."
    if not language.is_chinese and han >= _LONG_HAN and han * _LETTERS > latin:
        return f"This is in Chinese, but {where}: {remedy}."
    if not language.is_chinese:
        return None
    if _LATIN_SENTENCE.search(words) and latin > 2 * _LETTERS * (han + 1):
        return f"This is in Latin script, but {where}: {remedy}."
    return _traditional(words, simplify, names)


@cache
def _script(char: str) -> str:
    """Return the script of a letter; its name begins with it."""
    if not char.isalpha():
        return ""
    if IDEOGRAPH.match(char):
        return "HAN"
    return unicodedata.name(char, " ").split()[0]


def _traditional(words: str, simplify: Convert, names: Collection[str]) -> str | None:
    if simplify(words) == words:
        return None
    for name in sorted(names, key=len, reverse=True):
        words = words.replace(name, "")
    simple = simplify(words)
    if simple == words or len(simple) != len(words):
        return None
    pairs = {a: b for a, b in zip(words, simple, strict=True) if a != b}
    if _KANA.search(words):
        return "Japanese in a Chinese text: mark it as [words]{lang=ja}."
    shown = ", ".join(f"{b} for {a}" for a, b in [*pairs.items()][:_SHOWN])
    return (
        f"Traditional characters in a Simplified text: write {shown}. Add a name that has them "
        "to names.toml."
    )
