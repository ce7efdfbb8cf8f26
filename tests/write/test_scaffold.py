"""New texts: both languages or none, nothing overwritten, placeholders that ``check`` rejects."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from support.texts import copy_texts, problems_of

from cccr_web.content.dates import StatementDate, parse_date
from cccr_web.errors import CccrError
from cccr_web.files import create_all
from cccr_web.write import new_text
from cccr_web.write.scaffold import slug_of

DAY = date(2026, 11, 29)
WHEN = parse_date("2013-05-07")
ENGLISH, CHINESE = "Free the Lawyers", "释放律师"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the real texts."""
    return copy_texts(tmp_path)


@pytest.mark.parametrize(
    ("when", "place"),
    [(WHEN, "statements/2013-05-07-free-the-lawyers.md"), (None, "pages/free-the-lawyers.md")],
    ids=["statement", "page"],
)
def test_check_finds_nothing_but_the_placeholders(
    tree: Path, when: StatementDate | None, place: str
) -> None:
    """In a new text ``check`` reports each placeholder at its line, and nothing else."""
    files = new_text(tree, [ENGLISH, CHINESE], None, when, DAY)
    assert [file.relative_to(tree) for file in files] == [
        Path(locale, place) for locale in ("en", "zh_Hans")
    ]
    expected = [
        f"{file.relative_to(tree)}:{number}: “{found}” is a placeholder: "
        "replace it, with its braces."
        for file in files
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        for found in re.findall(r"\{\{.*?\}\}", line)
    ]
    assert len(expected) >= 4
    assert problems_of(tree) == expected


def test_a_new_text_without_its_placeholders_is_published(tree: Path) -> None:
    """Once every placeholder is replaced, ``check`` has nothing to say."""
    for number, file in enumerate(new_text(tree, [ENGLISH, CHINESE], None, WHEN, DAY)):
        word = ("word", "文字")[number]
        text = re.sub(r"\{\{.*?\}\}", word, file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8")
    assert problems_of(tree) == []


def test_the_title_date_and_day_are_filled_in(tree: Path) -> None:
    """Quotation marks in a title are escaped; the other language asks for its own title."""
    title = 'The "trial" of 2015\\16'
    english, chinese = new_text(tree, [title], None, parse_date("[2011..2012-04]"), DAY)
    assert english.name == chinese.name == "2011-the-trial-of-2015-16.md"
    head = english.read_text(encoding="utf-8").splitlines()
    assert head[1] == 'title = "The \\"trial\\" of 2015\\\\16"'
    assert head[3:5] == ["updated = 2026-11-29", 'date = "[2011..2012-04]"']
    assert chinese.read_text(encoding="utf-8").splitlines()[1].startswith('title = "{{')


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Rally: Remember 4 June!", "rally-remember-4-june"),
        ("The organisation’s café", "the-organisations-cafe"),
        ("one " * 40, "-".join(["one"] * 15)),
        ("X" * 80, "x" * 80),
    ],
)
def test_a_slug_is_made_of_the_words_of_the_title(title: str, slug: str) -> None:
    """It is in small letters without accents, and is cut after a word."""
    assert slug_of(title) == slug


WRONG = {
    "Chinese alone": ([CHINESE], None, "such as --slug tiananmen-rally"),
    "another alphabet": (["Свобода"], None, "other letters than a to z"),
    "partly another alphabet": (["Free Øystein"], None, "other letters than a to z"),
    "no letter": (["!!!"], None, "other letters than a to z"),
    "empty": ([" "], None, "The title is empty."),
    "two English ones": ([ENGLISH, "Another"], None, "are both titles in en"),
    "wrong slug": ([CHINESE], "Free_Lawyers", "“Free_Lawyers” cannot be a slug."),
    "a path as the slug": ([CHINESE], "../x", "“../x” cannot be a slug."),
}


@pytest.mark.parametrize(("titles", "slug", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_title_or_slug_creates_nothing(
    tree: Path, titles: list[str], slug: str | None, message: str
) -> None:
    """The error says what to pass, and no file is made."""
    before = sorted(tree.rglob("*"))
    with pytest.raises(CccrError, match=re.escape(message)):
        new_text(tree, titles, slug, WHEN, DAY)
    assert sorted(tree.rglob("*")) == before


def test_a_chinese_title_with_a_slug_is_enough(tree: Path) -> None:
    """The slug is in both file names, and the title in the Chinese text alone."""
    english, chinese = new_text(tree, [CHINESE], "free-the-lawyers", WHEN, DAY)
    assert english.name == chinese.name == "2013-05-07-free-the-lawyers.md"
    assert f'title = "{CHINESE}"' in chinese.read_text(encoding="utf-8")
    assert CHINESE not in english.read_text(encoding="utf-8")


def test_a_date_in_the_future_is_rejected(tree: Path) -> None:
    """A statement cannot be made on a later day than tomorrow."""
    with pytest.raises(CccrError, match="2026-12-01 is in the future"):
        new_text(tree, [ENGLISH], None, parse_date("2026-12-01"), DAY)


@pytest.mark.parametrize("locale", ["en", "zh_Hans"])
def test_a_text_of_the_same_name_is_never_overwritten(tree: Path, locale: str) -> None:
    """If one language has a text of this name, neither is created, and the text stays."""
    taken = tree / locale / "statements" / "2013-05-07-free-the-lawyers.md"
    taken.write_text("mine", encoding="utf-8")
    before = sorted(tree.rglob("*"))
    with pytest.raises(CccrError, match=f"{taken.name} exists already"):
        new_text(tree, [ENGLISH], None, WHEN, DAY)
    assert taken.read_text(encoding="utf-8") == "mine"
    assert sorted(tree.rglob("*")) == before


def test_the_same_title_on_the_same_day_is_rejected(tree: Path) -> None:
    """A second call changes nothing and names the file that exists."""
    new_text(tree, [ENGLISH], None, WHEN, DAY)
    with pytest.raises(CccrError, match=r"exists already. Nothing was changed."):
        new_text(tree, [ENGLISH], None, WHEN, DAY)


def test_a_killed_call_is_completed_by_the_next(tree: Path) -> None:
    """If only the first file was written, the same call writes the second."""
    english, chinese = new_text(tree, [ENGLISH], None, WHEN, DAY)
    whole = chinese.read_bytes()
    chinese.unlink()
    assert new_text(tree, [ENGLISH], None, WHEN, DAY) == (english, chinese)
    assert chinese.read_bytes() == whole


def test_no_file_is_left_if_one_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is a file stops the second file, and the first is removed."""
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        create_all({tmp_path / "a" / "first": b"1", tmp_path / "file" / "second": b"2"})
    assert not (tmp_path / "a" / "first").exists()
