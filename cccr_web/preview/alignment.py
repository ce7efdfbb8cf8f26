"""Pair the paragraphs of two translations, also where one of them lacks a paragraph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

# What it costs to pair two blocks is at most 1, half of it for their lengths and half for their
# numbers, such as years; it is more than two gaps if they are of other kinds.
_GAP: Final = 0.45
_OTHER_KIND: Final = 2.0

_TAG: Final = re.compile(r"<(\w+)")
_MARKUP: Final = re.compile(r"<[^>]*>")
_NUMBER: Final = re.compile(r"[0-9]+")


def align(first: Sequence[str], second: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Return pairs of indexes of two lists of HTML blocks; ``None`` is a gap.

    Blocks of another kind, such as a heading and a paragraph, are never a pair. Of all other
    alignments, this is the one in which lengths and numbers agree best (Needleman and Wunsch 1970;
    lengths as in Gale and Church 1993).
    """
    ours, theirs = [*map(_shape, first)], [*map(_shape, second)]
    # How many characters one language needs for one of the other.
    ratio = (sum(size for _, size, _ in ours) or 1) / (sum(size for _, size, _ in theirs) or 1)

    def pair_cost(i: int, j: int) -> float:
        (kind, size, numbers), (other, length, others) = ours[i], theirs[j]
        if kind != other:
            return _OTHER_KIND
        sizes = abs(size - ratio * length) / (size + ratio * length + 1)
        either = numbers | others
        return (sizes + (len(numbers ^ others) / len(either) if either else 0)) / 2

    # From the end, row by row.
    costs = [[0.0] * (len(theirs) + 1) for _ in range(len(ours) + 1)]

    @cache
    def choices(i: int, j: int) -> list[tuple[float, int, int]]:
        found = []
        if i < len(ours) and j < len(theirs):
            found.append((pair_cost(i, j) + costs[i + 1][j + 1], 1, 1))
        if i < len(ours):
            found.append((_GAP + costs[i + 1][j], 1, 0))
        if j < len(theirs):
            found.append((_GAP + costs[i][j + 1], 0, 1))
        return found

    for i in range(len(ours), -1, -1):
        for j in range(len(theirs), -1, -1):
            costs[i][j] = min(choices(i, j), default=(0.0, 0, 0))[0]
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(ours) or j < len(theirs):
        _, right, down = min(choices(i, j))
        pairs.append((i if right else None, j if down else None))
        i, j = i + right, j + down
    return pairs


def _shape(block: str) -> tuple[str, int, set[str]]:
    tag = _TAG.search(block)
    words = "".join(_MARKUP.sub(" ", block).split())
    return tag[1] if tag else "", len(words), {*_NUMBER.findall(words)}
