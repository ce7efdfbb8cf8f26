"""The head of a text (``content/front_matter.py``)."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from cccr_web.content.dates import parse_date
from cccr_web.content.front_matter import FrontMatter, Split, parse, split

FILE = Path("translations/en/pages/verify.md")
HEAD = 'title = "How to verify"\ndescription = "What to do."\nupdated = 2026-11-22\n'


def told(head: str, *, statement: bool = False) -> list[str]:
    """Return what is wrong with a head, as a writer reads it, without the file's name."""
    front, problems = parse(head, FILE, statement=statement)
    assert (front is None) == bool(problems)
    return [str(problem).removeprefix(f"{FILE}:") for problem in problems]


def test_split() -> None:
    """A file is cut at its two lines of +++, and the lines before its body are counted."""
    assert split("+++\na = 1\n+++ \nText\n\n+++\n") == Split("a = 1", "Text\n\n+++\n", 3)
    assert split("+++\r\n+++\r\n") == Split("", "\n", 2)


def test_no_head() -> None:
    """Without a head that opens in the first line and is closed there is none."""
    assert [split(text) for text in ("", "Text\n", "\n+++\n+++\n", "+++\na = 1\n")] == [None] * 4


def test_page() -> None:
    """A page's head becomes a typed value, with the template of a page by default."""
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
        checked={},
        lines={"title": 2, "description": 3, "updated": 4, "navigation": 5},
    )


def test_short_title() -> None:
    """A page may have a shorter name for the menu."""
    front, _ = parse(HEAD + 'short_title = "Verify"\n', FILE, statement=False)
    assert front is not None
    assert (front.title, front.short_title) == ("How to verify", "Verify")


def test_statement() -> None:
    """A statement's head has its date, perhaps its place, and its own template."""
    head = HEAD + 'date = "[2011..2012-04]"\nplace = "New York"\n'
    front, _ = parse(head, FILE, statement=True)
    assert front is not None
    assert (front.template, front.place) == ("statement", "New York")
    assert front.date == parse_date("[2011..2012-04]")


def test_missing_keys() -> None:
    """Each missing key is told with how to write it."""
    assert told('title = "x"', statement=True) == [
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


def test_unknown_keys() -> None:
    """A key of another kind of text is unknown, and the known ones are named."""
    assert told(HEAD + 'place = "x"\nDate = "2013"') == [
        f"{line}: Unknown key “{key}”: this kind of text may have "
        "checked, description, navigation, short_title, template, title, updated."
        for line, key in ((5, "place"), (6, "Date"))
    ]


def test_wrong_types() -> None:
    """A value of a wrong type, however near, and an empty text are told with their line."""
    whole = "“navigation” must be a whole number, such as key = 1."
    day = "“updated” must be a date without quotation marks, such as key = 2026-11-22."
    text = '“title” must be a text in quotation marks, such as key = "…".'
    assert told(HEAD + "navigation = true") == [f"5: {whole}"]
    assert told(HEAD + "navigation = 1.5") == [f"5: {whole}"]
    assert told(HEAD.replace("2026-11-22", '"2026-11-22"')) == [f"4: {day}"]
    assert told(HEAD.replace("2026-11-22", "2026-11-22T00:00:00")) == [f"4: {day}"]
    assert told(HEAD.replace('"How to verify"', "2013")) == [f"2: {text}"]
    assert told(HEAD.replace("How to verify", " ")) == ["2: “title” is empty."]


def test_no_toml() -> None:
    """What is no TOML is told with the line of the file."""
    assert told('title = "x"\nupdated = x\n')[0].startswith(
        "3: The front matter is not valid TOML: "
    )


def test_no_date() -> None:
    """A date in words is told with every form that may be written."""
    assert told(HEAD + 'date = "7 May 2013"', statement=True) == [
        (
            "5: “7 May 2013” is not a date: write 2013-05-07, 2013-05, 2013, or "
            "[2011..2012-04] for a time between two dates."
        )
    ]
