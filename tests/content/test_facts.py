"""The facts in ``site.toml``, and the list of names (``content/site.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.texts import TEXTS, TreeChange, add, copy_texts, problems_of, put, remove, replace_once

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
                "exit, feed_authority, former_site, onions, public_key, sequence, valid_days."
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
    tree = copy_texts(tmp_path)
    change(tree)
    assert problems_of(tree) == problems
