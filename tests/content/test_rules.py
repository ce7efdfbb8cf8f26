"""Names of files, empty texts and dates (``content/rules.py``)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath

import pytest
from support.texts import TEXTS, copy_texts, problems_of

from cccr_web.config import find_tree
from cccr_web.content import SourceTree, Text
from cccr_web.content.model import NEEDED_PAGES
from cccr_web.content.reader import read_text
from cccr_web.content.rules import dates_are_past, every_file_is_read, text_is_not_empty
from cccr_web.languages import EN
from cccr_web.render import check_trees

HEAD = 'title = "x"\ndescription = "y"\nupdated = 2026-11-22\n'
TODAY = date(2026, 11, 25)
LATER = "but this machine's clock says 2026-11-25 (UTC): correct the date, or the clock."


def as_md(name: str) -> str:
    """Return the message about a text under another name."""
    return f"This file is not published: save it as plain text under the name {name}.md."


MOVE = "This file is not published: move it into en/ or zh_Hans/, or delete it."
DELETE = "Nothing reads this file: delete it, or move it elsewhere."


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("en/statements/2026-01-01-a.md.txt", as_md("2026-01-01-a")),
        ("en/statements/2026-01-01-a.MD", as_md("2026-01-01-a")),
        ("en/statements/a.markdown", as_md("a")),
        ("en/statements/a.docx", as_md("a")),
        ("en/pages/a.txt", as_md("a")),
        ("en/LC_MESSAGES/messages.po.orig", DELETE),
        ("en/LC_MESSAGES/messages.mo", DELETE),
        ("en/LC_MESSAGES/other.po", DELETE),
        ("en/pages/verify.md~", DELETE),
        ("en/pages/verify.md.rej", DELETE),
        ("statement.md", MOVE),
        ("zh-Hans/pages/a.md", MOVE),
        ("zh_Hant/statements/a.md", MOVE),
    ],
)
def test_a_file_that_nothing_reads_is_reported(tmp_path: Path, path: str, message: str) -> None:
    """A text under a wrong name or in a wrong folder would never appear."""
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("", encoding="utf-8")
    (problem,) = every_file_is_read(SourceTree(tmp_path))
    assert str(problem) == f"{tmp_path.name}/{path}:1: {message}"


@pytest.mark.parametrize(
    "path",
    [
        *("README.md", "site.toml", "phrases.toml", "files/mirrors.txt", "photos/a.jpg"),
        *("en/pages/a.md", "en/LC_MESSAGES/messages.po", "en/.DS_Store", "en/pages/._a.md"),
        *("en/pages/Thumbs.db", ".git/a.txt"),
    ],
)
def test_a_file_with_a_reader_of_its_own_is_accepted(tmp_path: Path, path: str) -> None:
    """What belongs to the tree, or was left by a system, is not reported."""
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("", encoding="utf-8")
    assert list(every_file_is_read(SourceTree(tmp_path))) == []


def test_names_that_cannot_be_served_are_reported(tmp_path: Path) -> None:
    """``check`` finds what ``build`` would reject, and pages that would replace each other."""
    tree = copy_texts(tmp_path)
    long = "a" * 200
    for locale in ("en", "zh_Hans"):
        pages = tree / locale / "pages"
        for name in ("声明", "a b", long, "Verify", "feed", "cccr-en"):
            (pages / f"{name}.md").write_text(f"+++\n{HEAD}+++\n2013\n", encoding="utf-8")
    name = (
        "cannot be served: use lower-case letters a to z, digits and hyphens, at most 200 "
        "characters with the folders."
    )
    clash = "Its page would have the URL of"
    assert problems_of(tree) == [
        f"en/pages/a b.md:1: “a b.md” {name}",
        f"en/pages/{long}.md:1: “{long}.md” {name}",
        f"en/pages/cccr-en.md:1: {clash} the release's own en/cccr-en.html: rename it.",
        f"en/pages/verify.md:1: {clash} translations/en/pages/Verify.md: rename it.",
        f"en/pages/声明.md:1: “声明.md” {name}",
        f"zh_Hans/pages/a b.md:1: “a b.md” {name}",
        f"zh_Hans/pages/{long}.md:1: “{long}.md” {name}",
        (
            "zh_Hans/pages/cccr-en.md:1: Its page could have the URL of a copy or of a list of "
            "statements: rename it."
        ),
        f"zh_Hans/pages/verify.md:1: {clash} translations/zh_Hans/pages/Verify.md: rename it.",
        f"zh_Hans/pages/声明.md:1: “声明.md” {name}",
    ]


def test_names_that_copies_and_lists_of_a_large_site_have_are_reported(tmp_path: Path) -> None:
    """A page cannot have the name of a file that the site gets when it has more statements."""
    tree = copy_texts(tmp_path)
    reserved = "Its page could have the URL of a copy or of a list of statements: rename it."
    files = ("pages/cccr-en-2013.md", "pages/cccr.md", "pages/statements/archive/2013-05.md")
    for locale in ("en", "zh_Hans"):
        for name in files:
            file = tree / locale / name
            file.parent.mkdir(parents=True, exist_ok=True)
            dated = 'date = "2013"\n' if "statements" in name else ""
            file.write_text(f"+++\n{HEAD}{dated}+++\n2013\n", encoding="utf-8")
    assert problems_of(tree) == [
        f"{locale}/{files[number]}:1: {reserved}"
        for locale in ("en", "zh_Hans")
        for number in (0, 2)
    ]


def test_two_files_with_the_same_path_are_reported(tmp_path: Path) -> None:
    """A page in the folder of pages can have the path of a statement."""
    tree = copy_texts(tmp_path)
    (tree / "en/pages/statements").mkdir()
    (tree / "en/pages/statements/index.md").write_text(f"+++\n{HEAD}+++\n2013\n", encoding="utf-8")
    assert problems_of(tree) == [
        (
            "en/statements/index.md:1: Its page would have the URL of "
            "translations/en/pages/statements/index.md: rename it."
        )
    ]


def text_of(folder: Path, path: str, head: str, body: str) -> Text:
    """Return a text that is read from a file."""
    tree = SourceTree(folder / "translations")
    file = tree.folder / "en" / path
    file.parent.mkdir(parents=True)
    file.write_text(f"+++\n{HEAD}{head}+++\n{body}", encoding="utf-8")
    text, problems = read_text(file, tree, EN)
    assert problems == []
    assert text is not None
    return text


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n \n　\n",
        "## A heading {#a}\n",
        "> [!NOTE 2026-11-22]\n> Only the editors speak.\n",
        "[a]: https://example.org/\n",
        "***\n",
        "。\n",
        "…\n",
        "- ×\n\n> ——\n",
        "| … |\n|---|\n",
        "```\n\n```\n",
        "```\n---\n```\n",
        "`…`\n",
        "> [!ORIGINAL en]\n> …\n",
    ],
)
def test_a_statement_without_words_of_its_own_is_empty(tmp_path: Path, body: str) -> None:
    """Headings and editor's notes are not a statement."""
    text = text_of(tmp_path, "statements/2013-a.md", 'date = "2013"\n', body)
    message = "The statement is empty: write its text below the +++."
    assert list(text_is_not_empty(text)) == [(6, message)]


@pytest.mark.parametrize(
    "body", ["Words.", "- Words", "> Words.", "![](/photos/a.jpg)", "```\na\n```", "1", "字", "`a`"]
)
def test_a_statement_with_any_content_is_not_empty(tmp_path: Path, body: str) -> None:
    """A quotation, a photo or a list can be a whole statement."""
    text = text_of(tmp_path, "statements/2013-a.md", 'date = "2013"\n', body)
    assert list(text_is_not_empty(text)) == []


def test_a_page_is_empty_only_if_its_template_adds_nothing(tmp_path: Path) -> None:
    """The page of copies lists them without any text."""
    assert list(text_is_not_empty(text_of(tmp_path / "a", "pages/a.md", "", ""))) != []
    text = text_of(tmp_path / "b", "pages/a.md", 'template = "copies"\n', "")
    assert list(text_is_not_empty(text)) == []


@pytest.mark.parametrize(
    ("head", "body", "found"),
    [
        ('date = "2026-11-27"\n', "x", (5, "date", "2026-11-27")),
        ('date = "2027"\n', "x", (5, "date", "2027-01-01")),
        ('date = "[2011..2026-12]"\n', "x", (5, "date", "2026-12-01")),
        ('date = "2013"\n', "x\n\n> [!NOTE 2027-01-01]\n> y", (9, "[!NOTE]", "2027-01-01")),
    ],
)
def test_a_date_later_than_tomorrow_is_reported(
    tmp_path: Path, head: str, body: str, found: tuple[int, str, str]
) -> None:
    """Every date of a text is compared with the day after today."""
    line, key, day = found
    text = text_of(tmp_path, "statements/2013-a.md", head, body)
    assert list(dates_are_past(text, TODAY)) == [(line, f"“{key}” is {day}, {LATER}")]


@pytest.mark.parametrize("day", ["2026-11-26", "2026-11", "2026", "1989-06-04", "[2011..2026]"])
def test_a_date_until_tomorrow_is_accepted(tmp_path: Path, day: str) -> None:
    """It is tomorrow already somewhere, and a year or month has begun on its first day."""
    text = text_of(tmp_path, "statements/2013-a.md", f'date = "{day}"\n', "x")
    assert list(dates_are_past(text, TODAY)) == []


def test_the_day_a_page_was_checked_is_compared_too(tmp_path: Path) -> None:
    """``updated`` and ``checked`` have their own lines."""
    text = text_of(tmp_path, "pages/a.md", 'checked = { a = "2027-02" }\n', "## A {#a}\n\nx")
    expected = [(5, f"“checked.a” is 2027-02-01, {LATER}")]
    assert list(dates_are_past(text, TODAY)) == expected
    before = date(2026, 11, 20)
    assert [line for line, _ in dates_are_past(text, before)] == [4, 5]


def test_the_release_time_is_not_the_clock() -> None:
    """A reproducible build of an old release does not make its texts later than today."""
    for year in (1970, 2100):
        time = datetime(year, 1, 1, tzinfo=UTC)
        tree = SourceTree(TEXTS)
        *_, problems = check_trees(
            tree, find_tree("templates"), time=time, today=date(2026, 11, 27)
        )
        assert {problem.message for problem in problems} >= {
            (
                "“updated” is 2026-11-29, but this machine's clock says 2026-11-27 (UTC): "
                "correct the date, or the clock."
            )
        }
        *_, problems = check_trees(
            tree, find_tree("templates"), time=time, today=date(2026, 11, 28)
        )
        assert problems == []


def test_a_lock_of_an_editor_is_ignored(tmp_path: Path) -> None:
    """Emacs marks a file that is being edited with a link to nothing."""
    tree = copy_texts(tmp_path)
    (tree / "en/pages/.#verify.md").symlink_to("editor@host.1234")
    assert problems_of(tree) == []


@pytest.mark.parametrize("kept", [True, False], ids=["one", "all"])
@pytest.mark.parametrize("page", NEEDED_PAGES, ids=str)
def test_a_page_that_the_site_needs_is_reported(
    tmp_path: Path, page: PurePosixPath, kept: bool
) -> None:
    """It is named if it is missing in every language, also where no text is left at all."""
    tree = copy_texts(tmp_path)
    for gone in tree.rglob(f"{page.name}.md" if kept else "*.md"):
        gone.unlink()
    file = page if page.parts[0] == "statements" else PurePosixPath("pages") / page
    assert f"en/{file}.md:1: The file is missing: the site needs this page." in problems_of(tree)
