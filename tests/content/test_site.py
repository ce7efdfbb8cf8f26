"""The facts in ``site.toml``, and the list of names in ``names.toml`` (``content/site.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.organisation import CHINESE_NAMES, TRADITIONAL_NAMES
from support.texts import TEXTS, TreeChange, add, problems_after, put, remove, replace_once

from cccr_web.config import find_tree
from cccr_web.content import SourceTree
from cccr_web.content.site import read_names

NAMES = (TEXTS / "names.toml").read_text(encoding="utf-8").splitlines()
REN_AT = NAMES.index('"任成光" = "任成光"') + 1

CASES: dict[str, tuple[TreeChange, list[str]]] = {
    "facts missing": (remove("site.toml"), ["site.toml:1: The file is missing."]),
    "facts not TOML": (
        replace_once("site.toml", "sequence = 1", "sequence = one"),
        ["site.toml:4: Not valid TOML: Invalid value (column 12)."],
    ),
    "facts not UTF-8": (
        put("site.toml", "# 公".encode("gb18030")),
        ["site.toml:1: The file is not UTF-8 (byte 3): save it as UTF-8."],
    ),
    "fact unknown": (
        add("site.toml", 'telephone = "1"'),
        [
            (
                "site.toml:39: Unknown key “telephone”: the keys are blog, clearnet, contact, "
                "exit, feed_authority, former_site, onions, policy_number, "
                "public_key, public_keys, sequence, threshold, valid_days."
            )
        ],
    ),
    "fact missing": (
        replace_once("site.toml", "onions = []\n", ""),
        [
            (
                "site.toml:1: The key “onions” is missing: it must be "
                "a list of onion addresses (56 characters and .onion), or []."
            )
        ],
    ),
    "sequence zero": (
        replace_once("site.toml", "sequence = 1", "sequence = 0"),
        [
            (
                "site.toml:4: “sequence” must be a whole number from 1 to 1,000,000,000, "
                "higher than in the last release."
            )
        ],
    ),
    "sequence above the limit": (
        replace_once("site.toml", "sequence = 1", "sequence = 1_000_000_001"),
        [
            (
                "site.toml:4: “sequence” must be a whole number from 1 to 1,000,000,000, "
                "higher than in the last release."
            )
        ],
    ),
    "sequence true": (
        replace_once("site.toml", "sequence = 1", "sequence = true"),
        [
            (
                "site.toml:4: “sequence” must be a whole number from 1 to 1,000,000,000, "
                "higher than in the last release."
            )
        ],
    ),
    "clearnet by http": (
        replace_once("site.toml", 'clearnet = ""', 'clearnet = "http://example.org"'),
        [
            (
                "site.toml:16: “clearnet” must be an https address without a path, "
                'such as "https://example.org", or "".'
            )
        ],
    ),
    "clearnet with a path": (
        replace_once("site.toml", 'clearnet = ""', 'clearnet = "https://example.org/"'),
        [
            (
                "site.toml:16: “clearnet” must be an https address without a path, "
                'such as "https://example.org", or "".'
            )
        ],
    ),
    "exit by http": (
        replace_once("site.toml", '"https://www.weather', '"http://www.weather'),
        ['site.toml:37: “exit” must be the https address of a harmless page, or "".'],
    ),
    "feed authority without a day": (
        replace_once("site.toml", ',2013-05-07"', '"'),
        [
            (
                "site.toml:32: “feed_authority” must be a host name and a date on which it was "
                'ours, such as "example.org,2013-05-07".'
            )
        ],
    ),
    "name out of order": (
        replace_once("names.toml", '"任成光" = "任成光"\n', '"龙" = "龙"\n"任成光" = "任成光"\n'),
        [
            f"names.toml:{REN_AT}: “龙” is not a name of two or more Chinese characters.",
            (
                f"names.toml:{REN_AT + 1}: “任成光” must come before “龙”: "
                "sort the names by code point."
            ),
        ],
    ),
    "no list of names": (remove("names.toml"), ["names.toml:1: The file is missing."]),
    "onion of version 2": (
        replace_once("site.toml", "onions = []", 'onions = ["expyuzz4wqqyqhjn.onion"]'),
        [
            (
                "site.toml:17: “onions” must be "
                "a list of onion addresses (56 characters and .onion), or []."
            )
        ],
    ),
    "blog by http": (
        replace_once("site.toml", "https://gong", "http://gong"),
        ["site.toml:20: “blog” must be an https address."],
    ),
    "former site ready to open": (
        replace_once("site.toml", "hxxp://www[.]cfcr2008[.]org/", "http://www[.]cfcr2008[.]org/"),
        [
            (
                "site.toml:27: “former_site” must be a defanged address, "
                'such as "hxxp://www[.]example[.]org/".'
            )
        ],
    ),
}


@pytest.mark.parametrize(("change", "problems"), CASES.values(), ids=CASES)
def test_a_wrong_fact_is_reported_with_what_it_must_be(
    tmp_path: Path, change: TreeChange, problems: list[str]
) -> None:
    """A tree with one wrong fact reports exactly these problems."""
    assert problems_after(change, tmp_path) == problems


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
