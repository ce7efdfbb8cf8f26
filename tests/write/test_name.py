"""New names in ``names.toml``: in their place, checked, with every other line as it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.texts import TEXTS, copy_texts, problems_of

from cccr_web.content import SourceTree
from cccr_web.content.site import read_names
from cccr_web.errors import CccrError
from cccr_web.render import simplify
from cccr_web.write import add_name

REAL = (TEXTS / "names.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("simplified", "traditional"),
    [
        ("丁子霖", "丁子霖"),
        ("刘晓", "劉曉"),
        ("张先玲", "張先玲"),
        ("龙·热西提", "龍·熱西提"),
        ("李×", "李×"),
    ],
    ids=["first", "before a longer one", "middle", "last", "redacted"],
)
def test_a_name_is_added_in_its_place(tmp_path: Path, simplified: str, traditional: str) -> None:
    """One line is new, its number is returned, and ``check`` accepts the file."""
    tree = copy_texts(tmp_path)
    number = add_name(tree, simplified, traditional, simplify)
    lines = (tree / "names.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    assert lines.pop(number - 1) == f'"{simplified}" = "{traditional}"\n'
    assert "".join(lines) == REAL
    assert problems_of(tree) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '"李林" = "李林"\n'),
        ("# one\n", '# one\n"李林" = "李林"\n'),
        ('"刘霞" = "劉霞"', '"刘霞" = "劉霞"\n"李林" = "李林"\n'),
        ('# a\r\n"刘霞" = "劉霞"\r\n', '# a\r\n"刘霞" = "劉霞"\r\n"李林" = "李林"\r\n'),
        (
            '"刘霞" = "劉霞"\n\n# of Zheng\n"郑海瑞" = "鄭海瑞"\n',
            '"刘霞" = "劉霞"\n"李林" = "李林"\n\n# of Zheng\n"郑海瑞" = "鄭海瑞"\n',
        ),
        ('# of Zheng\n"郑海瑞" = "鄭海瑞"\n', '# of Zheng\n"李林" = "李林"\n"郑海瑞" = "鄭海瑞"\n'),
    ],
    ids=["empty", "only comments", "no last line end", "Windows", "comment below", "first"],
)
def test_comments_and_line_ends_stay(tmp_path: Path, before: str, after: str) -> None:
    """The new line ends as the others do; a comment stays above the name that it was above."""
    file = tmp_path / "names.toml"
    file.write_bytes(before.encode())
    add_name(tmp_path, "李林", "李林", simplify)
    assert file.read_bytes().decode() == after


@pytest.mark.parametrize("line", ["'刘霞' = '劉霞'", '"\\u5218霞" = "\\u5289霞"', '"刘霞"="劉霞"'])
def test_other_quotation_marks_and_escapes_are_names(tmp_path: Path, line: str) -> None:
    """The new line is below a name that is written in any form that TOML has."""
    (tmp_path / "names.toml").write_text(f"{line}\n", encoding="utf-8")
    assert add_name(tmp_path, "李林", "李林", simplify) == 2
    written = (tmp_path / "names.toml").read_text(encoding="utf-8")
    assert written == f'{line}\n"李林" = "李林"\n'


WRONG = {
    "one character": ("李", "李", "is not a name of two or more Chinese characters"),
    "Latin": ("Li Lin", "Li Lin", "is not a name of two or more Chinese characters"),
    "blanks": ("李 林", "李 林", "is not a name of two or more Chinese characters"),
    "invisible": ("李\u200b林", "李林", "is not a name of two or more Chinese characters"),
    "shorter form": ("崔永禄", "崔永", "needs a form of 3 Chinese characters"),
    "a quotation mark": ('李林"', "李林", "is not a name of two or more Chinese characters"),
    "listed": ("李林", "李林", "“李林” is already in names.toml, as “李林”."),
    "another person": ("崔永", "崔勇", "“崔勇” is not “崔永” in Traditional characters."),
}


@pytest.mark.parametrize(("simplified", "traditional", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_name_is_not_added(
    tmp_path: Path, simplified: str, traditional: str, message: str
) -> None:
    """The error names what is wrong, and the file stays as it is."""
    tree = copy_texts(tmp_path)
    with pytest.raises(CccrError, match=re.escape(message)):
        add_name(tree, simplified, traditional, simplify)
    assert (tree / "names.toml").read_text(encoding="utf-8") == REAL


def test_a_file_with_a_problem_is_not_changed(tmp_path: Path) -> None:
    """The problem is reported with its line."""
    (tmp_path / "names.toml").write_text('"刘霞" = 1\n', encoding="utf-8")
    with pytest.raises(CccrError, match=r"names.toml:1: “刘霞” needs a form"):
        add_name(tmp_path, "李林", "李林", simplify)
    assert (tmp_path / "names.toml").read_text(encoding="utf-8") == '"刘霞" = 1\n'


def test_every_listed_name_could_have_been_added() -> None:
    """The forms in the real file are of the same names, as ``simplify`` sees them."""
    names, _ = read_names(SourceTree(TEXTS))
    assert {simplify(form) == simplify(name) for name, form in names.items()} == {True}
