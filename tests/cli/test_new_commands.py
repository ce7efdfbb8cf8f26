"""``cccr-web new`` and ``import`` as an editor meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from support.command import failure, run
from support.photographs import photo
from support.texts import copy_texts
from support.word import docx, paragraph

from cccr_web.cli import main


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts."""
    return copy_texts(tmp_path)


def test_new_prints_its_files_and_the_next_step(tree: Path) -> None:
    """A statement of today, or of --date."""
    made = run("new", "Free the Lawyers", "--date", "2015-07", "--translations", tree)
    assert (made.exit_code, made.stderr) == (0, "")
    *files, next_ = made.stdout.splitlines()
    assert files == [
        f"translations/{locale}/statements/2015-07-free-the-lawyers.md"
        for locale in ("en", "zh_Hans")
    ]
    assert next_.startswith("Next: ")
    made = run("new", "Today", "--translations", tree, SOURCE_DATE_EPOCH="1447718400")
    assert made.stdout.splitlines()[0].endswith("/en/statements/2015-11-17-today.md")
    made = run("new", "--page", "About us", "关于我们", "--translations", tree)
    assert made.stdout.splitlines()[0] == "translations/en/pages/about-us.md"


def test_new_and_import_are_two_commands(tree: Path, tmp_path: Path) -> None:
    """``import`` finds the new text, and lists what it has left out."""
    run("new", "Free the Lawyers", "--date", "2015-07", "--translations", tree)
    file = tmp_path / "text.docx"
    file.write_bytes(docx(paragraph("Free\u200b them.")))
    made = run("import", file, "--translations", tree)
    assert (made.exit_code, made.stderr) == (0, "")
    assert made.stdout.splitlines() == [
        (
            f"translations/en/statements/2015-07-free-the-lawyers.md: 1 paragraph and 0 headings "
            f"from {file}"
        ),
        "Left out: 1 character U+200B (zero width space, which does not belong in a text)",
        "Next: compare the text with the document, and run “cccr-web check”.",
    ]


def test_a_chinese_title_asks_for_an_english_slug(tree: Path) -> None:
    """The error says which option to pass."""
    assert failure("new", "释放律师", "--translations", tree) == (
        "The title is in Chinese, and no program can translate it for the address. "
        "Pass English words for the address, such as --slug tiananmen-rally.\n"
    )


def test_new_names_what_it_removed_from_a_photo(tree: Path, tmp_path: Path) -> None:
    """It says where the copy is, what is not in it, and what to do."""
    (tmp_path / "a.jpg").write_bytes(photo())
    made = run("new", "--photo", tmp_path / "a.jpg", "--translations", tree)
    copy, removed, next_ = made.stdout.splitlines()
    assert copy == "translations/photos/a.jpg"
    assert removed.startswith("Removed from the copy: the place (GPS); camera")
    assert "![](/photos/a.jpg)" in next_


@pytest.mark.parametrize(
    ("given", "typed", "line"),
    [
        (["刘晓", "劉曉"], "", "刘晓 = 劉曉"),
        (["刘晓"], "劉曉\n", "刘晓 = 劉曉"),
        ([], " 刘晓 \n\n", "刘晓 = 刘晓"),
    ],
    ids=["given", "half asked", "asked"],
)
def test_new_asks_for_a_name_in_both_scripts(
    tree: Path, given: list[str], typed: str, line: str
) -> None:
    """Without an answer to the second question, the name stays Simplified."""
    command = ["new", "--name", *given, "--translations", str(tree)]
    done = CliRunner().invoke(main, command, input=typed)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"translations/names.toml:14: {line}"
    assert done.stderr.count(": ") == 2 - len(given)


WRONG_USE = {
    "no title": ([], "Write the title in quotation marks"),
    "two kinds": (["--page", "--name", "x"], "cannot be combined"),
    "a page of a date": (["--page", "x", "--date", "2015"], "Only a statement has a --date."),
    "a name with a slug": (["--name", "x", "--slug", "x"], "has a --slug."),
    "no date": (["x", "--date", "7 May 2013"], "“7 May 2013” is not a date"),
    "three names": (["--name", "a", "b", "c"], "A name has two forms"),
}


@pytest.mark.parametrize(("arguments", "words"), WRONG_USE.values(), ids=WRONG_USE)
def test_wrong_usage_of_new_exits_2(tree: Path, arguments: list[str], words: str) -> None:
    """Nothing is created, and stderr says what is wrong."""
    before = sorted(tree.rglob("*"))
    done = run("new", *arguments, "--translations", tree)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert sorted(tree.rglob("*")) == before
