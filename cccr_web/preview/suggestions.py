"""Suggestions for typography and spelling: each has a reason, and none is a problem.

Names that the conversion to Traditional may get wrong come from ``render``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

from cccr_web.content import Content, Problem
from cccr_web.content.characters import HAN
from cccr_web.languages import EN, ZH_HANS
from cccr_web.render import name_suggestions

# autocorrect would put a space between Chinese and Latin; our style sheet does, where browsers can.
_CHINESE: Final = (
    (
        re.compile(rf"(?<=[{HAN}])[,;:!?](?![0-9])"),
        "Chinese sentences have full-width marks: write {wide}.",
    ),
    (re.compile(rf"(?<=[{HAN}])\.(?=\s|$|[{HAN}])"), "A Chinese sentence ends with 。"),
    (re.compile(rf"\((?=[{HAN}])|(?<=[{HAN}])\)"), "Chinese has full-width brackets: （）"),
    (
        re.compile(rf"\.{{3,}}|。{{2,}}|(?<=[{HAN}])…(?!…)"),
        "An ellipsis in Chinese is ……, six dots.",
    ),
    (re.compile(rf"(?<=[{HAN}])\s*(?:--+|—(?!—))"), "A dash in Chinese is ——, two ems."),
    (
        re.compile(rf"(?<=[{HAN}]) +(?=[A-Za-z0-9])|(?<=[A-Za-z0-9]) +(?=[{HAN}])"),
        "No space is typed between Chinese and Latin: browsers add it.",
    ),
    (re.compile("[，。；：、！？]{2,}"), "Two marks in a row: keep one."),
)
# Each full-width form is at the same distance from its character in ASCII (Unicode, U+FF01).
_WIDE: Final = {ord(mark): ord(mark) + 0xFEE0 for mark in ",;:!?"}
_ENGLISH: Final = (
    (re.compile(r"(?<=[a-z]) ,| \.(?=\s|$)"), "No space is before a comma or a full stop."),
    (re.compile(r"\b([A-Za-z]+)\s+\1\b"), "The same word twice: is one too many?"),
    (re.compile(r"(?<=\w)--(?=\w)| - (?=\w)"), "A dash between words is – with spaces."),
)
# A word with a capital letter is likely a name.
_WORD: Final = re.compile(r"(?<![\w’'-])[a-z]{3,}(?![\w’'-])")
_DICTIONARY: Final = "en_GB"
_TIME_LIMIT: Final = 10  # seconds


def suggestions(content: Content) -> list[Problem]:
    """Return every suggestion, sorted by file and line."""
    found = [*name_suggestions(content), *_typography(content), *_spelling(content)]
    return sorted(set(found))


def _typography(content: Content) -> Iterator[Problem]:
    for language, rules in ((ZH_HANS, _CHINESE), (EN, _ENGLISH)):
        for text in content.texts[language].values():
            for passage in text.body.passages:
                for pattern, reason in () if passage.quoted else rules:
                    for match in pattern.finditer(passage.words):
                        line = passage.line + passage.words.count("\n", 0, match.start())
                        around = passage.words[max(match.start() - 4, 0) : match.end() + 4].strip()
                        wide = match[0].translate(_WIDE)
                        yield Problem(text.file, line, f"“{around}”: {reason.format(wide=wide)}")


def _spelling(content: Content) -> Iterator[Problem]:
    """Yield words that hunspell does not know, if it is installed with a dictionary."""
    places: dict[str, Problem] = {}
    for text in content.texts[EN].values():
        for passage in text.body.passages:
            for match in () if passage.quoted else _WORD.finditer(passage.words):
                line = passage.line + passage.words.count("\n", 0, match.start())
                message = f"“{match[0]}” is not in hunspell's dictionary ({_DICTIONARY})."
                places.setdefault(match[0], Problem(text.file, line, message))
    if shutil.which("hunspell") is None:
        return
    try:
        done = subprocess.run(
            ["hunspell", "-i", "UTF-8", "-d", _DICTIONARY, "-l"],
            input="\n".join(places),
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    for word in done.stdout.split():
        if word in places:
            yield places[word]
