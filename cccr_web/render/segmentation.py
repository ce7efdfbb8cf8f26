"""Split Chinese text into words.

OpenCC takes the longest phrase of its dictionary that starts at a character, also if the
phrase ends inside a word: 一个中国 holds 个中, “therein”. So text is split first, and OpenCC
converts one word at a time. Of all possible splits, the one with the fewest and most
frequent words is chosen.

A surname is not converted as the same character in a word is (范 is the surname, 範 a pattern),
and no dictionary has every name, so ``in_context`` looks at the words next to it.

``words.txt`` has the words that matter for this, the most frequent first. ``phrases.tsv``
has the terms of this site, and the words that OpenCC converts differently from a dictionary.
``terms.tsv`` has the words for which Taiwan's readers have another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Literal

from cccr_web.content.characters import HAN

_HERE: Final = Path(__file__).parent
_HAN: Final = re.compile(rf"([{HAN}]+)")

# A word costs the logarithm of its rank, because its frequency is about one by its rank
# (Zipf's law), and a constant, so that fewer words cost less.
_EACH: Final = 4.0
# The terms of this site are as if they were at this rank.
_RANK_OF_PHRASES: Final = 3000

# Surnames for which OpenCC writes the common word with the same Simplified character (CC-CEDICT,
# “surname”). Others of that kind, such as 后, are rare as surnames and common as words.
_AMBIGUOUS_SURNAMES: Final = frozenset("于余朴涂游范郁")
# What follows a name, and what precedes one in a sentence.
TITLES: Final = "先生|女士|小姐|太太|夫人|律师|教授|博士|牧师|记者|同学|老师|医生|法官|检察官|警官"
BEFORE_NAMES: Final = "和与及对向由被请让为给同跟把将致"
_TITLE: Final = re.compile(f"{TITLES}|某+")
# 于 is also “at”, so that it is a surname only after these; 余 is also “more than”.
_BEFORE_YU: Final = frozenset(f"{BEFORE_NAMES}叫是经据")
_NUMBER: Final = re.compile(r"[0-9０-９〇一二三四五六七八九十百千万亿两多]\s*$")
_CLOCK: Final = "钟"
# What says that a clock or bell is meant: what counts it, or what no name has after its first
# character.
_COUNTS_CLOCKS: Final = ("只", "座", "口")
_OF_CLOCK: Final = frozenset("的了在是停响走坏")


def split(text: str) -> list[str]:
    """Return the words of ``text``, and what is between Chinese words, in order."""
    # re.split() returns Chinese at odd positions, other text at even ones.
    parts = _HAN.split(text)
    return [word for i, part in enumerate(parts) for word in (_words(part) if i % 2 else [part])]


def in_context(words: Sequence[str]) -> Iterator[str | None]:
    """Yield the Traditional form of each word if its neighbours decide it, or ``None``."""
    for before, word, after, following in zip(
        ("", *words), words, (*words[1:], ""), (*words[2:], "", ""), strict=False
    ):
        if word == _CLOCK:
            yield None if _is_name(before, after) else "鐘"
        elif word in _AMBIGUOUS_SURNAMES and (
            _is_called(word, before)
            or (_is_titled(word, before, after) and not following.startswith("事务所"))
        ):
            yield word
        else:
            yield None


def _is_name(before: str, after: str) -> bool:
    """Whether 钟 is a surname, as it mostly is before a Chinese character."""
    if _is_called(_CLOCK, before):
        return True
    is_clock = before.endswith(_COUNTS_CLOCKS) or after[:1] in _OF_CLOCK
    return _HAN.match(after) is not None and not is_clock


def _is_called(surname: str, before: str) -> bool:
    # 小于 is “less than”.
    return before.endswith("姓") or (before in {"老", "小"} and surname != "于")


def _is_titled(surname: str, before: str, after: str) -> bool:
    if after.startswith("姓"):
        return True
    if surname == "于" and _HAN.match(before) and before not in _BEFORE_YU:
        return _TITLE.fullmatch(before) is not None and _TITLE.fullmatch(after) is not None
    return _TITLE.fullmatch(after) is not None and not _NUMBER.search(before)


@cache
def phrases() -> Mapping[str, str]:
    """Return Simplified → Traditional of the site's own words and phrases."""
    return {simplified: traditional for simplified, traditional, _source in _rows("phrases.tsv")}


@cache
def terms(where: Literal["statements", "site"]) -> Mapping[str, str]:
    """Return Simplified → Taiwan's word for statements, or for the site's own pages."""
    return {word: form for word, form, scope in _rows("terms.tsv") if scope in {"all", where}}


def _rows(name: str) -> list[list[str]]:
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def _words(text: str) -> list[str]:
    costs, longest, unknown = _dictionary()
    # The cost of the best split of the text up to each place, and its last word.
    best = [(0.0, ""), *[(math.inf, "")] * len(text)]
    for start, char in enumerate(text):
        before = best[start][0]
        cost = before + costs.get(char, unknown)
        if cost < best[start + 1][0]:
            best[start + 1] = cost, char
        # Most pairs of characters begin no word.
        last = start + longest.get(text[start : start + 2], 0)
        for end in range(start + 2, min(last, len(text)) + 1):
            word = text[start:end]
            cost = before + costs.get(word, math.inf)
            if cost < best[end][0]:
                best[end] = cost, word
    words, end = list[str](), len(text)
    while end:
        words.append(best[end][1])
        end -= len(words[-1])
    return words[::-1]


@cache
def _dictionary() -> tuple[Mapping[str, float], Mapping[str, int], float]:
    """Return the cost of each word, the length of the longest with each first two characters,
    and the cost of a character that is not a word.
    """
    lines = (_HERE / "words.txt").read_text(encoding="utf-8").splitlines()
    words = " ".join(line for line in lines if not line.startswith("#")).split(" ")
    costs = {word: math.log(rank) + _EACH for rank, word in enumerate(words, start=1)}
    for phrase in (*phrases(), *terms("site")):
        costs[phrase] = min(costs.get(phrase, math.inf), math.log(_RANK_OF_PHRASES) + _EACH)
    longest: dict[str, int] = {}
    for word in costs:
        longest[word[:2]] = max(longest.get(word[:2], 0), len(word))
    return costs, longest, math.log(len(words)) + _EACH
