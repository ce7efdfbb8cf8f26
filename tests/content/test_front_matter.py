"""The head of a text (``content/front_matter.py``)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cccr_web.content.dates import parse_date
from cccr_web.content.front_matter import FrontMatter, SourceParts, parse, split

FILE = Path("translations/en/pages/verify.md")
HEAD = 'title = "How to verify"\ndescription = "What to do."\nupdated = 2026-11-22\n'


def problems_of(head: str, *, statement: bool = False) -> list[str]:
    """Return the problems of some front matter as an editor reads them, without the file name."""
    front, problems = parse(head, FILE, statement=statement)
    assert (front is None) == bool(problems)
    return [str(problem).removeprefix(f"{FILE}:") for problem in problems]


def test_a_file_is_split_at_its_fences() -> None:
    """A file is split at its two lines of +++, and the lines before its body are counted."""
    assert split("+++\na = 1\n+++ \nText\n\n+++\n") == SourceParts("a = 1", "Text\n\n+++\n", 3)
    assert split("+++\r\n+++\r\n") == SourceParts("", "\n", 2)


def test_a_file_without_front_matter_is_not_split() -> None:
    """The front matter must start in the first line and be closed."""
    assert [split(text) for text in ("", "Text\n", "\n+++\n+++\n", "+++\na = 1\n")] == [None] * 4


def test_a_page_has_defaults() -> None:
    """The front matter of a page becomes a typed value with the default template."""
    front, problems = parse(HEAD + "navigation = 4\n", FILE, statement=False)
    assert problems == []
    assert front == FrontMatter(
        title="How to verify",
        description="What to do.",
        updated=date(2026, 11, 22),
        template="page",
        navigation=4,
        short_title="How to verify",
        date=None,
        place=None,
        demands=(),
        people=(),
        since=None,
        open=None,
        checked={},
        lines={"title": 2, "description": 3, "updated": 4, "navigation": 5},
    )


def test_a_page_can_have_a_short_title() -> None:
    """A page can have a shorter name for the menu."""
    front, _ = parse(HEAD + 'short_title = "Verify"\n', FILE, statement=False)
    assert front is not None
    assert (front.title, front.short_title) == ("How to verify", "Verify")


def test_a_statement_has_a_date_and_a_place() -> None:
    """A statement has its date, an optional place, and its own template."""
    head = HEAD + 'date = "[2011..2012-04]"\nplace = "New York"\n'
    front, _ = parse(head, FILE, statement=True)
    assert front is not None
    assert (front.template, front.place) == ("statement", "New York")
    assert front.date == parse_date("[2011..2012-04]")


def test_a_statement_has_a_summary() -> None:
    """A statement can have its demands, its people, what has happened since and what is open."""
    head = HEAD + 'date = "2013"\ndemands = ["a", "b"]\npeople = ["c"]\nsince = "d"\nopen = "e"\n'
    front, _ = parse(head, FILE, statement=True)
    assert front is not None
    summary = (front.demands, front.people, front.since, front.open)
    assert summary == (("a", "b"), ("c",), "d", "e")


@pytest.mark.parametrize("value", ['["a", 1]', '[""]', '"a"'])
def test_demands_are_a_list_of_texts(value: str) -> None:
    """Anything else is reported with an example."""
    said = '5: “demands” must be a list of texts, such as key = ["…", "…"].'
    head = HEAD + f'demands = {value}\ndate = "2013"\n'
    assert problems_of(head, statement=True) == [said]


def test_each_missing_key_is_reported_with_an_example() -> None:
    """The message shows how to write the missing key."""
    assert problems_of('title = "x"', statement=True) == [
        (
            "1: The front matter has no “description”: "
            'add a text in quotation marks, such as key = "…".'
        ),
        (
            "1: The front matter has no “updated”: "
            "add a date without quotation marks, such as key = 2026-11-22."
        ),
        '1: The front matter has no “date”: add a text in quotation marks, such as key = "…".',
    ]


def test_a_key_of_another_kind_of_text_is_unknown() -> None:
    """The message lists the known keys."""
    assert problems_of(HEAD + 'place = "x"\nDate = "2013"') == [
        f"{line}: Unknown key “{key}”: this kind of text may have "
        "checked, description, navigation, short_title, template, title, updated."
        for line, key in ((5, "place"), (6, "Date"))
    ]


def test_a_value_of_the_wrong_type_is_reported_with_its_line() -> None:
    """Values that are almost right, and empty texts, are reported too."""
    whole = "“navigation” must be a whole number, such as key = 1."
    day = "“updated” must be a date without quotation marks, such as key = 2026-11-22."
    text = '“title” must be a text in quotation marks, such as key = "…".'
    assert problems_of(HEAD + "navigation = true") == [f"5: {whole}"]
    assert problems_of(HEAD + "navigation = 1.5") == [f"5: {whole}"]
    assert problems_of(HEAD.replace("2026-11-22", '"2026-11-22"')) == [f"4: {day}"]
    assert problems_of(HEAD.replace("2026-11-22", "2026-11-22T00:00:00")) == [f"4: {day}"]
    assert problems_of(HEAD.replace('"How to verify"', "2013")) == [f"2: {text}"]
    assert problems_of(HEAD.replace("How to verify", " ")) == ["2: “title” is empty."]


def test_invalid_toml_is_reported_with_its_line() -> None:
    """The line is that of the file, not of the front matter."""
    assert problems_of('title = "x"\nupdated = x\n')[0].startswith("3: Not valid TOML: ")


@pytest.mark.parametrize(
    "value", ["[" * 2_000, "9" * 5_000, f"{'{a=' * 2_000}1", f"1\n{'a.' * 2_000}a = 1"]
)
def test_what_no_parser_reads_to_its_end_is_reported_with_its_line(value: str) -> None:
    """Brackets, keys and digits without end are a problem, not a traceback."""
    line = 4 if "\n" in value else 3
    assert problems_of(f'title = "x"\nnavigation = {value}\n') == [
        f"{line}: Not valid TOML: a number is too long, or too much is nested: shorten this line."
    ]


def test_a_backslash_in_single_quotes_begins_no_escape() -> None:
    """The line of a forbidden escape is found also below one that only looks like one."""
    head = "title = 'C:\\Uffffffff'\nplace = \"\\u200b\"\n"
    assert problems_of(head)[0].startswith("3: An escape represents U+200B")


def test_a_date_in_words_is_reported_with_the_valid_forms() -> None:
    """The message lists every valid form of a date."""
    assert problems_of(HEAD + 'date = "7 May 2013"', statement=True) == [
        (
            "5: “7 May 2013” is not a date: write 2013-05-07, 2013-05, 2013, or "
            "[2011..2012-04] for a time between two dates."
        )
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("title = “How to verify”", 'The quotation mark “ is curly: type a straight one, ".'),
        ('title = "How to verify”', 'The quotation mark ” is curly: type a straight one, ".'),
        ('title = ”How to verify"', 'The quotation mark ” is curly: type a straight one, ".'),
        ("title = ‘How to verify’", "The quotation mark ‘ is curly: type a straight one, '."),
        ("title = ＂How to verify＂", 'The quotation mark ＂ is curly: type a straight one, ".'),
        ('title ＝ "How to verify"', "“＝” is a full-width character: type “=”."),
        ('title： "How to verify"', "“：” is a full-width character: type “:”."),
        ("title = 如何核对", '“如” is outside quotation marks: put the text between two “"”.'),
        ("title = How to verify", "Not valid TOML: Invalid value (column 9)."),
    ],
)
def test_a_mark_of_another_keyboard_is_named(line: str, message: str) -> None:
    """Curly quotation marks and full-width signs are named, in the line of the file."""
    head = HEAD.replace('title = "How to verify"', line)
    assert problems_of(head) == [f"2: {message}"]


def test_curly_quotation_marks_within_straight_ones_are_text() -> None:
    """Text between straight quotation marks is the writer's."""
    assert problems_of(HEAD.replace("How to verify", "“How” to ‘verify’＝")) == []


def test_a_table_that_swallows_the_keys_is_one_problem() -> None:
    """In TOML every line below “[…]” belongs to the table."""
    said = "starts a table, which all lines below belong to: delete this line."
    assert problems_of("[head]\n" + HEAD) == [f"2: “[head]” {said}"]
    title, rest = HEAD.split("\n", 1)
    assert problems_of(f"{title}\n\n [ head ]\n{rest}") == [f"4: “[head]” {said}"]
    assert problems_of(HEAD + "[checked]\nsnowflake = '2024-03'\n") == []


@pytest.mark.parametrize("value", ['"How\\nto"', '"""\nHow\nto"""', '"How to\\n"'])
def test_a_fact_is_one_line(value: str) -> None:
    """Titles are shown in menus, feeds and lists, which have no line breaks."""
    found = problems_of(HEAD.replace('"How to verify"', value))
    assert found == ["2: “title” must be one line: delete the line breaks."]


@pytest.mark.parametrize("value", ['[" "]', '["a\\nb"]', '["a", ""]'])
def test_each_text_of_a_list_is_one_line(value: str) -> None:
    """An empty demand, or one with a line break, would be shown as such."""
    head = HEAD + f'date = "2014-06-04"\ndemands = {value}\n'
    (problem,) = problems_of(head, statement=True)
    assert problem.startswith("6: “demands” must be a list of texts")
