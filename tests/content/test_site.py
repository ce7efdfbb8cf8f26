"""The list of names that no conversion touches (``content/site.py``, ``names.toml``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.organisation import CHINESE_NAMES, TRADITIONAL_NAMES

from cccr_web.config import find_tree
from cccr_web.content import SourceTree
from cccr_web.content.site import read_names

# Who is named in the organisation's Chinese texts, and in the facts for the pages, each with the
# form in Traditional Chinese, checked character by character.
ORGANISATION = {
    "公民自由联盟": "公民自由聯盟",
    **dict(zip(CHINESE_NAMES, TRADITIONAL_NAMES, strict=True)),
}
FACTS = {
    "刘晓波": "劉曉波",
    "刘霞": "劉霞",
    "陈光诚": "陳光誠",
    "余杰": "余杰",
    "于浩成": "于浩成",
    "郭于华": "郭于華",
    "范木根": "范木根",
    "岳昕": "岳昕",
    "游精佑": "游精佑",
    "编程随想": "編程隨想",
}


def test_every_known_name_is_listed() -> None:
    """The list has all names of the organisation's texts and of the facts, in both forms."""
    names, problems = read_names(SourceTree(find_tree("translations")))
    assert problems == []
    assert len(ORGANISATION) == 19
    for name, form in (ORGANISATION | FACTS).items():
        assert names[name] == form


@pytest.mark.parametrize(
    "name",
    [
        "阿不都·热西提",
        "李□□",
        "于××",
        "□晓波",
        "○晓○",
        "余\U00030edd",
        "刘葛\U000e0100",
        "\ufa11某",
        "〇一",
        "伊×·□□",
    ],
)
def test_a_name_of_every_kind_can_be_listed(tmp_path: Path, name: str) -> None:
    """A name can have dots, redacted or rare characters, and variation selectors."""
    (tmp_path / "names.toml").write_text(f'"{name}" = "{name}"\n', encoding="utf-8")
    assert read_names(SourceTree(tmp_path)) == ({name: name}, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('"刘霞" = "刘霞"\n"余杰" = "余杰"\n', "2: “余杰” must come before “刘霞”:"),
        ('"余杰" = "余杰"\n\n"余杰" = "餘傑"\n', "3: Not valid TOML: "),
        (
            '"余杰" = "余杰"\n"Yu Jie" = "余杰"\n',
            "2: “Yu Jie” is not a name of two or more",
        ),
        ('"余\U000e0100" = "余\U000e0100"\n', "1: “余\U000e0100” is not a name of two or more"),
        ('"·杰" = "·杰"\n', "1: “·杰” is not a name of two or more Chinese characters."),
        ('"余" = "余"\n', "1: “余” is not a name of two or more Chinese characters."),
        ('"余 杰" = "余 杰"\n', "1: “余 杰” is not a name of two or more Chinese characters."),
        (
            '# one\n"余杰" = "Yu Jie"\n',
            "2: “余杰” needs a form of 2 Chinese characters in quotes.",
        ),
        ('"余杰" = "余"\n', "1: “余杰” needs a form of 2 Chinese characters in quotes."),
        ('"余杰" = 1\n', "1: “余杰” needs a form of 2 Chinese characters in quotes."),
        ("[余杰]\n", "1: “余” is outside quotation marks: "),
    ],
)
def test_a_wrong_name_is_reported_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    """Names that are unsorted, repeated or not Chinese are rejected, and none is used."""
    (tmp_path / "names.toml").write_text(text, encoding="utf-8")
    names, problems = read_names(SourceTree(tmp_path))
    assert names == {}
    (found,) = map(str, problems)
    assert found.startswith(f"{tmp_path.name}/names.toml:{problem}")


def test_an_unreadable_list_is_reported(tmp_path: Path) -> None:
    """Nothing is converted without a list that can be read."""
    assert [str(one) for one in read_names(SourceTree(tmp_path))[1]] == [
        f"{tmp_path.name}/names.toml:1: The file is missing."
    ]
    (tmp_path / "names.toml").write_bytes('"余杰" = "余杰"\n'.encode("gbk"))
    assert [str(one) for one in read_names(SourceTree(tmp_path))[1]] == [
        f"{tmp_path.name}/names.toml:1: The file is not UTF-8 (byte 2): save it as UTF-8."
    ]
