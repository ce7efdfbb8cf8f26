"""What an import leaves out of a document, to be named to the person who imports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cccr_web.errors import counted

# The end of a kind that is named only.
STAYS = "(its words stay)"
# What a file says of itself.
DETAIL = "document detail (author, title, dates or company)"

_SHOWN = 40


class Dropped:
    """Counts what was left out, with an example of each kind that has words."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, kind: str, words: str = "", *, count: int = 1) -> None:
        """Count one more of a kind, in the singular; words in brackets follow the number."""
        # It is shown in a terminal, and a document can hold what commands one.
        words = "".join(char if char.isprintable() else " " for char in words)
        words = " ".join(words.split())
        self._counts[kind] += count
        if words:
            self._examples.setdefault(kind, words)

    def lines(self) -> Iterator[str]:
        """Yield a phrase for each kind, such as ``2 comments, such as “Who says so?”``."""
        for kind, count in sorted(self._counts.items()):
            if not count:
                continue
            noun, _, note = kind.partition(" (")
            example = self._examples.get(kind, "")
            if len(example) > _SHOWN:
                example = f"{example[:_SHOWN]}…"
            shown = f", such as “{example}”" if example else ""
            yield f"{counted(count, noun)}{shown}{f' ({note}' if note else ''}"
