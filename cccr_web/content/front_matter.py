"""The front matter of a text: TOML between two lines of ``+++``.

::

    +++
    title = "Who we are"
    description = "A human-rights organisation founded in May 2008."
    updated = 2026-11-22
    +++
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cccr_web.content.dates import StatementDate, parse_date
from cccr_web.content.source_tree import Problem, parse_toml

FENCE = "+++"
FULL_WIDTH_FENCE = "＋＋＋"

_REQUIRED = {"title": str, "description": str, "updated": date}
_PAGE_OPTIONAL = {"template": str, "navigation": int, "short_title": str, "checked": dict}
_STATEMENT_REQUIRED = {"date": str}
_STATEMENT_OPTIONAL = {"place": str, "demands": list, "people": list, "since": str, "open": str}

_NAMES_OF_TYPES = {
    str: 'a text in quotation marks, such as key = "…"',
    int: "a whole number, such as key = 1",
    date: "a date without quotation marks, such as key = 2026-11-22",
    list: 'a list of texts, such as key = ["…", "…"]',
    dict: 'a date for each heading, such as key = { snowflake = "2024-03" }',
}


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The checked front matter of one text, with the line of each key.

    ``template`` is a file name in ``templates/`` without its extension. ``navigation`` is
    the position in the menu, from 1, or ``None`` for a page that is not in it.
    ``short_title`` is the page's name in the menu; the default is the title. ``checked``
    says when the section under each heading was last checked, by the heading's name.
    ``demands`` are what a statement asks for, in a few words each; ``people`` names the
    headings above the cards of the people that it speaks up for, in this or another
    statement. ``since`` says what has happened since, ``open`` what is still open.
    """

    title: str
    description: str
    updated: date
    template: str
    navigation: int | None
    short_title: str
    date: StatementDate | None
    place: str | None
    demands: tuple[str, ...]
    people: tuple[str, ...]
    since: str | None
    open: str | None
    checked: Mapping[str, StatementDate]
    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SourceParts:
    """The two parts of a file, and the number of lines before its body."""

    head: str
    body: str
    lines_before_body: int


def split(text: str) -> SourceParts | None:
    """Split a file at its ``+++`` lines; ``None`` if it does not start with front matter."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != FENCE:
        return None
    for number, line in enumerate(lines[1:], start=1):
        if line.strip() == FENCE:
            body = "\n".join(lines[number + 1 :]) + "\n"
            return SourceParts("\n".join(lines[1:number]), body, number + 1)
    return None


def lines_of_keys(toml: str, lines_before: int = 0) -> dict[str, int]:
    """Return the line of each key of a text that starts after ``lines_before`` lines."""
    lines: dict[str, int] = {}
    for number, line in enumerate(toml.split("\n"), start=1 + lines_before):
        match = re.match(r"\s*([A-Za-z0-9_-]+)\s*=", line)
        if match:
            lines.setdefault(match[1], number)
    return lines


def _table_with_keys(values: Mapping[str, Any]) -> str | None:
    """Return the name of a table that has swallowed keys of the front matter."""
    keys = {*_REQUIRED, *_STATEMENT_REQUIRED}
    tables = (name for name, value in values.items() if isinstance(value, dict) and keys & {*value})
    return next(tables, None)


def _line_of_table(head: str, table: str) -> int:
    found = re.search(rf"(?m)^[ \t]*\[[ \t]*[\"']?{re.escape(table)}\b", head)
    return head.count("\n", 0, found.start()) + 1 if found else 1


def _is_line(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\n" not in value


def parse(head: str, file: Path, *, statement: bool) -> tuple[FrontMatter | None, list[Problem]]:
    """Read and check the front matter of ``file``; return ``None`` if it cannot be used.

    A statement must have ``date`` and may have ``place``, ``demands``, ``people``, ``since``
    and ``open``; a page may have ``template``, ``navigation``, ``short_title`` and ``checked``.
    """
    # The front matter starts in the file's second line.
    values, remarks = parse_toml(head, file, lines_before=1)
    if values is None:
        return None, remarks
    lines = lines_of_keys(head, lines_before=1)
    if (table := _table_with_keys(values)) is not None:
        message = f"“[{table}]” starts a table, which all lines below belong to: delete this line."
        return None, [*remarks, Problem(file, _line_of_table(head, table) + 1, message)]
    required = _REQUIRED | (_STATEMENT_REQUIRED if statement else {})
    optional = _STATEMENT_OPTIONAL if statement else _PAGE_OPTIONAL
    problems = [
        Problem(file, 1, f"The front matter has no “{key}”: add {_NAMES_OF_TYPES[kind]}.")
        for key, kind in required.items()
        if key not in values
    ]
    known = required | optional

    def report(key: str, message: str) -> None:
        problems.append(Problem(file, lines.get(key, 1), message))

    for key, value in values.items():
        if key not in known:
            allowed = ", ".join(sorted(known))
            report(key, f"Unknown key “{key}”: this kind of text may have {allowed}.")
        # In Python a boolean is an int, and a datetime is a date; here they are not.
        elif type(value) is not known[key]:
            report(key, f"“{key}” must be {_NAMES_OF_TYPES[known[key]]}.")
        elif isinstance(value, str) and not value.strip():
            report(key, f"“{key}” is empty.")
        elif isinstance(value, str) and "\n" in value:
            report(key, f"“{key}” must be one line: delete the line breaks.")
        elif isinstance(value, list) and not all(map(_is_line, value)):
            report(key, f"“{key}” must be {_NAMES_OF_TYPES[list]}.")
    when: StatementDate | None = None
    if isinstance(values.get("date"), str):
        try:
            when = parse_date(values["date"])
        except ValueError:
            report(
                "date",
                f"“{values['date']}” is not a date: write 2013-05-07, 2013-05, 2013, or "
                "[2011..2012-04] for a time between two dates.",
            )
    checked: dict[str, StatementDate] = {}
    if isinstance(values.get("checked"), dict):
        for name, text in values["checked"].items():
            try:
                checked[name] = parse_date(str(text))
            except ValueError:
                report("checked", f"“checked”: “{text}” for {name} is not a date.")
    if problems:
        return None, remarks + problems
    return (
        FrontMatter(
            title=values["title"],
            description=values["description"],
            updated=values["updated"],
            template=values.get("template", "statement" if statement else "page"),
            navigation=values.get("navigation"),
            short_title=values.get("short_title", values["title"]),
            date=when,
            place=values.get("place"),
            demands=tuple(values.get("demands", ())),
            people=tuple(values.get("people", ())),
            since=values.get("since"),
            open=values.get("open"),
            checked=checked,
            lines=lines,
        ),
        remarks,
    )
