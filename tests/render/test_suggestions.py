"""Names that a conversion can get wrong (``render/suggestions.py``)."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import run
from support.texts import TEXTS, copy_texts

from cccr_web.config import find_tree
from cccr_web.content import SourceTree
from cccr_web.render import check_trees, name_suggestions

PAGE = "zh_Hans/pages/errors/404.md"
LINE = len((TEXTS / PAGE).read_text(encoding="utf-8").splitlines()) + 2


def suggested(folder: Path, text: str) -> list[str]:
    """Return the suggestions for the real texts with one more Chinese paragraph."""
    tree = copy_texts(folder)
    with (tree / PAGE).open("a", encoding="utf-8") as out:
        out.write(f"\n{text}\n")
    content, _, problems = check_trees(SourceTree(tree), find_tree("templates"))
    assert problems == []
    assert content is not None
    return [str(suggestion) for suggestion in name_suggestions(content)]


@pytest.mark.parametrize(
    ("text", "name", "form"),
    [
        ("律师周后松在2008年被捕。", "周后松", "周後松"),
        ("我们要求释放周后松。", "周后松", "周後松"),
        ("刘晓波、周后松和他们的妻子", "周后松", "周後松"),
        ("- 周后松", "周后松", "周後松"),
        ("范云先生说", "范云", "範雲"),
        ("范云小姐说", "范云", "範雲"),
        ("周\n后松在家。", "周后松", "周後松"),
    ],
)
def test_a_name_that_converts_ambiguously_is_suggested(
    tmp_path: Path, text: str, name: str, form: str
) -> None:
    """The suggestion has the place, and the form that a reader of Traditional would get."""
    assert suggested(tmp_path, text) == [
        (
            f"translations/{PAGE}:{LINE}: If “{name}” is a name: it will be “{form}” in "
            "Traditional, which is a guess. Add it to names.toml."
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        "于是，他一周后来到北京。",
        "这关系到人权，也关于干部。",
        "诺贝尔和平奖，和平的松树后面。",
        "刘晓波和余杰在一起。",
        "郑海瑞说",
    ],
)
def test_ordinary_words_and_listed_names_are_not_suggested(tmp_path: Path, text: str) -> None:
    """Words that only begin with a surname, and listed names, are left alone."""
    assert suggested(tmp_path, text) == []


def test_the_real_texts_give_no_suggestion() -> None:
    """Every name in the real texts is listed."""
    content, *_ = check_trees(SourceTree(TEXTS), find_tree("templates"))
    assert content is not None
    assert name_suggestions(content) == []


def test_a_suggestion_does_not_fail_the_check(tmp_path: Path) -> None:
    """``cccr-web check`` prints it to the side and exits 0."""
    (suggestion,) = suggested(tmp_path, "律师周后松在2008年被捕。")
    done = run("check", "--translations", tmp_path / "translations")
    assert done.exit_code == 0
    assert done.stderr == f"Suggestion: {suggestion}\n"
    assert done.stdout.startswith("All texts are in order: ")
