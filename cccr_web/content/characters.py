"""The characters that no text of the site may contain, whatever kind of file holds it.

A character is judged by its general category, its block and its neighbours (The Unicode
Standard, chapters 4, 9, 13 and 23), not by the file that it is in. ``clean`` returns what the
writer meant, so that the other rules read a text as if it were corrected, and one mistake
gives one message.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

# The ideographs for U+2E80 to U+2EF3, for which Unicode has no decomposition; PDF files yield
# these radicals (Unicode Character Database, EquivalentUnifiedIdeograph.txt).
_RADICALS: Final = (
    " 厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵 旡日月歺母民氵氺灬爫爫丬牛犭王𤴔"
    "目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅長镸长门𨸏阝雨青韦"
    "页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
_FIRST_RADICAL: Final = 0x2E80

# Chinese characters and variation selectors, to be used between the brackets of a pattern.
HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
SELECTORS: Final = r"\ufe00-\ufe0f\U000e0100-\U000e01ef"

_BIDI: Final = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SELECTOR: Final = re.compile(rf"[{SELECTORS}]")
_MONGOLIAN_CONTROL: Final = re.compile(r"[\u180b-\u180f]")
_NONCHARACTER: Final = re.compile(r"[\ufdd0-\ufdef]")
# What has no shape although its category is not Cf, and what Unicode reserves for such
# characters (the property Default_Ignorable_Code_Point), and the empty Braille pattern.
_NO_SHAPE: Final = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
# Signs of the category Cf that have a shape (property Prepended_Concatenation_Mark).
_SHAPED: Final = re.compile(r"[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")
IDEOGRAPH: Final = re.compile(rf"[{HAN}]")
# The signs for what was redacted in a name.
REDACTED: Final = "×□○"
# A name in Chinese characters: rare ones and their variants, a dot between its parts, and the
# signs for what was redacted, also at its beginning.
NAME: Final = re.compile(
    rf"[{REDACTED}]*[\u3007\ufa0e-\ufa29{HAN}]"
    rf"[\u3005\u3007\ufa0e-\ufa29·•‧・{REDACTED}{HAN}{SELECTORS}]*"
)
_COMPATIBILITY: Final = re.compile(r"[\u2e80-\u2fdf\uf900-\ufaff\U0002f800-\U0002fa1f]")

_ZWNJ: Final = "\u200c"
_ZWJ: Final = "\u200d"
# The ordinary space, and the one that is as wide as a Chinese character. A no-break space
# looks like the first, so that every other one can mark who copied a text.
_USUAL_SPACES: Final = " \u3000"
_NARROW_SPACE: Final = "\u202f"
_VIRAMA: Final = 9  # canonical combining class


@dataclass(frozen=True, slots=True)
class CharacterRule:
    """One kind of forbidden character: what is wrong with it, and what to do.

    ``instead`` is what the other rules read in its place.
    """

    wrong: str
    remedy: str
    instead: str = ""


def _ideograph(char: str) -> str:
    """Return the ideograph that a radical or compatibility ideograph looks like."""
    normal = unicodedata.normalize("NFKC", char)
    if normal == char and ord(char) < _FIRST_RADICAL + len(_RADICALS):
        normal = _RADICALS[ord(char) - _FIRST_RADICAL].strip() or char
    return normal


# Chinese texts write it for what is not known.
_ANY: Final = "某"

CONTROL: Final = CharacterRule(
    "a control character, which makes feeds and EPUBs unreadable", "delete it"
)
LINE: Final = CharacterRule("a hidden line break", "press Enter in its place")
BIDI: Final = CharacterRule(
    "a direction control, which can show a text in another order than its own",
    "delete it",
)
INVISIBLE: Final = CharacterRule(
    "which nobody sees and which can mark who copied the text", "delete it"
)
SPACE: Final = CharacterRule(
    "an unusual space, which can mark who copied the text", "type an ordinary space"
)
MARK: Final = CharacterRule(
    "a byte order mark, which belongs only at the start of a file", "delete it"
)
PRIVATE: Final = CharacterRule(
    "a private-use character, which each device shows differently",
    "type the character that was meant",
    _ANY,
)
LOST: Final = CharacterRule(
    "which a program put in the place of something that it could not read",
    "restore it from the original",
    _ANY,
)
LOOKALIKE: Final = CharacterRule("which only looks like an ideograph", "type the ideograph")


@cache
def _rule(char: str) -> CharacterRule | None:
    """Return the rule that ``char`` breaks wherever no neighbour needs it."""
    code, category = ord(char), unicodedata.category(char)
    if char in "\t\n":
        return None
    if category == "Cc" or code & 0xFFFE == 0xFFFE or _NONCHARACTER.match(char):
        return CONTROL
    if category in {"Zl", "Zp"}:
        return LINE
    if _BIDI.match(char):
        return BIDI
    if char == "\ufeff":
        return MARK
    if char in "\ufffc\ufffd" or category == "Cs":
        return LOST
    if category == "Co":
        return PRIVATE
    if category == "Zs" and char not in _USUAL_SPACES:
        return SPACE
    if _COMPATIBILITY.match(char):
        # Twelve characters of these blocks are ideographs of their own.
        return LOOKALIKE if _ideograph(char) != char or code < 0x3000 else None
    if (category == "Cf" and not _SHAPED.match(char)) or any(
        kind.match(char) for kind in (SELECTOR, _MONGOLIAN_CONTROL, _NO_SHAPE)
    ):
        return INVISIBLE
    return None


def _is_needed(text: str, at: int) -> bool:
    """Whether the writing of its neighbours needs the invisible character at ``at``."""
    char, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if SELECTOR.match(char):
        return IDEOGRAPH.match(before) is not None
    if _MONGOLIAN_CONTROL.match(char) or char == _NARROW_SPACE:
        return _is_mongolian(before)
    if char not in {_ZWNJ, _ZWJ}:
        return False
    if _is_virama(before) or (char == _ZWJ and _is_virama(after)) or _is_mongolian(before):
        return True
    # Between letters that would join, a non-joiner separates; at the end of a word, a joiner
    # keeps the joined form. Anywhere else neither changes what a reader sees.
    before = text[:at].rstrip(_ARABIC_MARKS)[-1:]
    joins = before in _joining_letters()
    return joins and (_is_arabic(after) if char == _ZWNJ else not _is_arabic(after))


# The vowel signs that Arabic script writes above and below letters.
_ARABIC_MARKS: Final = "".join(map(chr, (*range(0x64B, 0x660), 0x670, *range(0x6D6, 0x6DD))))


@cache
def _joining_letters() -> frozenset[str]:
    """Return the letters of Arabic script that join the following letter.

    They are those with an initial form among the presentation forms.
    """
    forms = (unicodedata.decomposition(chr(code)).split() for code in range(0xFB50, 0xFEFD))
    return frozenset(
        chr(int(form[1], 16)) for form in forms if len(form) == 2 and form[0] == "<initial>"
    )


def _is_arabic(char: str) -> bool:
    return unicodedata.name(char, "").startswith("ARABIC LETTER") if char else False


def _is_mongolian(char: str) -> bool:
    return unicodedata.name(char, "").startswith("MONGOLIAN LETTER") if char else False


def _is_virama(char: str) -> bool:
    return bool(char) and unicodedata.combining(char) == _VIRAMA


@dataclass(frozen=True, slots=True)
class Found:
    """A forbidden character in a text: its line and its place in the line, from 1.

    ``before`` and ``after`` are its neighbours, or nothing at an end of the text.
    """

    rule: CharacterRule
    char: str
    line: int
    column: int
    start: int
    before: str
    after: str

    @property
    def meant(self) -> str:
        """What the writer meant by it."""
        if self.rule is SPACE:
            # Needed only before a word, and neither in Chinese nor at the start of a line.
            needless = not self.before.strip() or IDEOGRAPH.match(self.before)
            return " " if self.after.isalnum() and not needless else ""
        if self.rule is LOOKALIKE:
            like = _ideograph(self.char)
            return _ANY if like == self.char else like  # some are like no ideograph
        return self.rule.instead


def find(text: str) -> Iterator[Found]:
    """Yield every forbidden character of ``text``."""
    suspects = [char for char in set(text) if _rule(char) is not None]
    if not suspects:
        return
    for match in re.finditer("|".join(map(re.escape, suspects)), text):
        rule = _rule(match[0])
        at = match.start()
        if rule is not None and not _is_needed(text, at):
            start_of_line = text.rfind("\n", 0, at) + 1
            line = text.count("\n", 0, at) + 1
            before, after = text[at - 1 : at], text[at + 1 : at + 2]
            yield Found(rule, match[0], line, at - start_of_line + 1, at, before, after)


def clean(text: str) -> str:
    """Return ``text`` with what the writer meant in place of forbidden characters."""
    parts, end = list[str](), 0
    for found in find(text):
        parts += (text[end : found.start], found.meant)
        end = found.start + 1
    return "".join(parts) + text[end:]


def explain(text: str, *, escaped: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the line and the message of each kind of forbidden character in a line.

    If ``escaped``, the text was written with escapes such as ``&#8203;`` or ``\\u200b``.
    """
    groups: dict[tuple[int, CharacterRule], list[Found]] = {}
    for found in find(text):
        groups.setdefault((found.line, found.rule), []).append(found)
    for (line, rule), (first, *more) in groups.items():
        where = "An escape represents" if escaped else f"Character {first.column} is"
        wrong = rule.wrong
        if rule is LOOKALIKE and first.meant != _ANY:
            wrong = f"which only looks like {first.meant} (U+{ord(first.meant):04X})"
        message = f"{where} U+{ord(first.char):04X}{_name(first.char)}, {wrong}: {rule.remedy}."
        if more:
            message += f" This line has {len(more)} more of this kind."
        yield line, message


def _name(char: str) -> str:
    name = unicodedata.name(char, "").lower()
    return f" ({name})" if name else ""
