"""The characters that no text may contain (``content/characters.py``)."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from support.photographs import photo, put_photo
from support.texts import TEXTS, copy_texts, problems_of, replace_once

from cccr_web.content.characters import clean, explain
from cccr_web.content.markdown import parse

CONTROL = "a control character, which makes feeds and EPUBs unreadable: delete it"
INVISIBLE = "which nobody sees and which can mark who copied the text: delete it"
DIRECTION = "a direction control, which can show a text in another order than its own: delete it"
SPACE = "an unusual space, which can mark who copied the text: type an ordinary space"
PRIVATE = (
    "a private-use character, which each device shows differently: "
    "type the character that was meant"
)
LOST = (
    "which a program put in the place of something that it could not read: "
    "restore it from the original"
)

# One of each kind, with what the message says of it.
FORBIDDEN = {
    "\x08": CONTROL,
    "\x0b": CONTROL,
    "\x1c": CONTROL,
    "\x7f": CONTROL,
    "\x85": CONTROL,
    "\ufdd0": CONTROL,
    "\uffff": CONTROL,
    "\U0001fffe": CONTROL,
    "\u2028": "a hidden line break: press Enter in its place",
    "\u2029": "a hidden line break: press Enter in its place",
    "\u061c": DIRECTION,
    "\u200e": DIRECTION,
    "\u202e": DIRECTION,
    "\u2066": DIRECTION,
    "\u00ad": INVISIBLE,
    "\u034f": INVISIBLE,
    "\u115f": INVISIBLE,
    "\u180e": INVISIBLE,
    "\u200b": INVISIBLE,
    "\u200c": INVISIBLE,
    "\u200d": INVISIBLE,
    "\u2060": INVISIBLE,
    "\u2063": INVISIBLE,
    "\u2800": INVISIBLE,
    "\u3164": INVISIBLE,
    "\ufff9": INVISIBLE,
    "\U000e0041": INVISIBLE,
    "\U000e0fff": INVISIBLE,
    "\u00a0": SPACE,
    "\u2009": SPACE,
    "\u202f": SPACE,
    "\ufeff": ("a byte order mark, which belongs only at the start of a file: delete it"),
    "\ue000": PRIVATE,
    "\U00100000": PRIVATE,
    "\ufffc": LOST,
    "\ufffd": LOST,
    "\u2f08": "which only looks like 人 (U+4EBA): type the ideograph",
    "\u2ea0": "which only looks like 民 (U+6C11): type the ideograph",
    "\u2ed4": "which only looks like 门 (U+95E8): type the ideograph",
    "\uf9e9": "which only looks like 里 (U+91CC): type the ideograph",
    "\U0002f800": "which only looks like 丽 (U+4E3D): type the ideograph",
}
# The place of a text: its file, its content, and a character to follow.
PLACES = {
    "body": ("zh_Hans/pages/errors/404.md", "地址可能输错了。", "可"),
    "code": ("en/pages/copy.md", "python3 verify.py FOLDER", "y"),
    "title": ("zh_Hans/pages/verify.md", 'title = "如何核对"', "如"),
    "catalogue": ("zh_Hans/LC_MESSAGES/messages.po", '"跳到正文"', "跳"),
    "alternative text": ("photos.toml", "红色天空下的广场", "红"),
    "author": ("photos.toml", "A. Photographer", "A"),
    "fact": ("site.toml", 'https://www.weather.com.cn/"', "cn/"),
    "name": ("names.toml", '"任成光" = "任成光"', "任"),
    "short name": ("names.toml", '"任光" = "任成光"', "任"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The real texts with one photo and its record."""
    copy = copy_texts(tmp_path)
    put_photo(copy, "square.jpg", photo())
    return copy


def put_after(tree: Path, place: str, inserted: str) -> str:
    """Put ``inserted`` into a place of the tree; return its file and line."""
    name, found, before = PLACES[place]
    file = tree / name
    text = file.read_text(encoding="utf-8")
    assert found in text, f"{name} has no {found!r}"
    at = text.index(found) + found.index(before) + len(before)
    file.write_text(text[:at] + inserted + text[at:], encoding="utf-8")
    return f"{name}:{text[:at].count(chr(10)) + 1}"


def name_of(char: str) -> str:
    """Return how messages name a character."""
    name = unicodedata.name(char, "").lower()
    return f"U+{ord(char):04X}" + (f" ({name})" if name else "")


@pytest.mark.parametrize("char", FORBIDDEN, ids=lambda char: f"U+{ord(char):04X}")
def test_a_forbidden_character_is_reported_by_its_number(char: str) -> None:
    """Each kind has one message, which gives the place, the number and the remedy."""
    (found,) = explain(f"一\nab{char}c")
    assert found == (2, f"Character 3 is {name_of(char)}, {FORBIDDEN[char]}.")


@pytest.mark.parametrize("place", sorted(PLACES.keys() - {"short name"}))
@pytest.mark.parametrize(
    "char",
    ["\x08", "\u2028", "\u200b", "\u00a0", "\ue000", "\u2f08"],
    ids=lambda char: f"U+{ord(char):04X}",
)
def test_a_forbidden_character_is_found_in_every_kind_of_text(
    tree: Path, place: str, char: str
) -> None:
    """One character gives one message with its file and line, whatever holds it."""
    if place == "name" and char in "\ue000\u2f08":
        # It is in the place of a character that the other script has as well.
        replace_once("names.toml", '"任成光" = "任成光"', '"任光" = "任成光"')(tree)
        where = put_after(tree, "short name", char)
    else:
        where = put_after(tree, place, char)
    (problem,) = problems_of(tree)
    assert problem.startswith(f"{where}: Character ")
    assert problem.endswith(f" is {name_of(char)}, {FORBIDDEN[char]}.")


@pytest.mark.parametrize(
    ("place", "escape"),
    [
        ("body", "&#8203;"),
        ("body", "&ZeroWidthSpace;"),
        ("body", "&shy;"),
        ("body", "&nbsp;"),
        ("body", "&#x2f08;"),
        ("body", "![可&#8203;](/RELEASE.json)"),
        ("body", '![可](/RELEASE.json "可&#8203;")'),
        ("title", "\\u200b"),
        ("title", "\\U000e0041"),
        ("title", "\\b"),
        ("alternative text", "\\u200b"),
        ("fact", "\\u200b"),
        ("name", "\\u200b"),
        ("catalogue", "\\r"),
    ],
)
def test_an_escape_for_a_forbidden_character_is_found(tree: Path, place: str, escape: str) -> None:
    """An escape cannot bring in what may not be typed."""
    where = put_after(tree, place, escape)
    (problem,) = problems_of(tree)
    assert problem.startswith(f"{where}: An escape represents U+")


def test_a_watermark_gives_one_message_for_each_line(tree: Path) -> None:
    """Many characters of one kind in a line are one cause."""
    where = put_after(tree, "body", "\u200b\u200c\u2060\u200b")
    (problem,) = problems_of(tree)
    assert problem.startswith(f"{where}: Character ")
    assert problem.endswith(f"{INVISIBLE}. This line has 3 more of this kind.")


@pytest.mark.parametrize(
    "text",
    [
        "葛\U000e0100城",  # a variation selector after an ideograph
        "\u5026\ufe00",
        "می\u200cخواهم",  # Persian
        "نامه\u200cاش",
        "ھ\u200d.",  # a joined form at the end of a word
        "क्\u200dष",  # Devanagari
        "ශ්\u200dරී",  # Sinhala
        "ᠮ\u180bᠣ",  # Mongolian
        "ᠰᠠᠨ\u202fᠤ",
        "𠮷䲜\U0003134a",  # rare ideographs
        "\ufa0e\ufa29",  # ideographs in the block of compatibility ideographs
        "\u0663\u06dd",  # a sign that is visible, although its category is Cf
        "ئىلھام توختى",
        "བོད་ཡིག",
        "“公民”（CCCR）…—·　全形空格",
        "a\tb",
    ],
)
def test_a_character_that_its_script_needs_is_accepted(text: str) -> None:
    """Selectors after ideographs, and joiners where they change what is seen, are accepted."""
    assert list(explain(text)) == []
    assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "葛\U000e0100\U000e0101城",  # two selectors
        "a\ufe00",
        "，\U000e0100",
        "کار\u200cها",  # after a letter that never joins
        "می\u200c\u200cخواهم",
        "م\u200dم",  # between letters that join anyway
        "هـ\u200d",
        "公\u200c民",
        "公\u200d民",
        "a\u180b",
        "क\u200dष",
    ],
)
def test_a_joiner_without_effect_is_reported(text: str) -> None:
    """A character that changes nothing that a reader sees can only be a mark."""
    (found,) = explain(text)
    assert INVISIBLE in found[1]


def test_the_other_rules_read_what_the_writer_meant() -> None:
    """Forbidden characters are replaced or left out, so that they give no second message."""
    assert clean("公\u200b⺠\x08\u2028⼈\ufeff\u2009\ue000\ufffd") == "公民人某某"
    assert clean("\u00a0\u00a0## Liu\u2009Xia\u00a0 霞\u00a0刘\n##\u00a0a") == (
        "## Liu Xia 霞刘\n## a"
    )


def test_a_radical_that_is_like_no_ideograph_gives_one_message(tree: Path) -> None:
    """No ideograph can be suggested for it, and it is not called an escape."""
    where = put_after(tree, "title", "⺀")
    (problem,) = problems_of(tree)
    assert problem.startswith(where)
    assert problem.endswith(
        "(cjk radical repeat), which only looks like an ideograph: type the ideograph."
    )


def test_a_no_break_space_in_markup_gives_one_message() -> None:
    """Without it, the markup is what it looks like."""
    for text in ("##\u00a0标题", "-\u00a0项目", "\u00a0" * 4 + "我们", "一\n\u00a0- 二"):
        assert len([*explain(text)]) == 1
        assert parse(clean(text) + "\n").slips == ()


def test_a_mistake_in_a_character_hides_no_other_problem(tree: Path) -> None:
    """The rest of a file with a forbidden character is checked as well."""
    where = put_after(tree, "title", "\u200b")
    replace_once("en/pages/verify.md", "navigation = 4", "navigation = 5")(tree)
    found = [problem.split(": ")[0] for problem in problems_of(tree)]
    assert found == [where, "zh_Hans/pages/verify.md:5"]


def test_the_real_texts_contain_no_forbidden_character() -> None:
    """Every file of the real texts is accepted; photos are not texts."""
    files = [file for kind in ("md", "po", "toml", "txt") for file in TEXTS.rglob(f"*.{kind}")]
    assert len(files) > 20
    for file in files:
        assert list(explain(file.read_text(encoding="utf-8"))) == [], file
