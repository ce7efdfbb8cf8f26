"""Dates that can be incomplete, written in EDTF.

EDTF (Extended Date/Time Format) is part of ISO 8601-2:2019. These forms are read:
``2013-05-07``, ``2013-05``, ``2013``, and ``[2011..2012-04]``, a "one of a set" of level 2:
a time between the two, both included.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

# Not \d, which also matches the wide digits of a Chinese keyboard.
_PARTIAL = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_ONE_OF_A_SET = re.compile(r"\[([^.\[\]]+)\.\.([^.\[\]]+)\]")


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A year, with its month and day if they are known."""

    year: int
    month: int | None = None
    day: int | None = None

    def __post_init__(self) -> None:
        self.first_day()

    def first_day(self) -> date:
        """Return the first day of the year, month or day that is known."""
        return date(self.year, self.month or 1, self.day or 1)

    def __str__(self) -> str:
        text = f"{self.year:04d}"
        for part in (self.month, self.day):
            if part is not None:
                text += f"-{part:02d}"
        return text


@dataclass(frozen=True, slots=True)
class StatementDate:
    """When a statement was made: at ``start``, or between ``start`` and ``end``."""

    start: PartialDate
    end: PartialDate | None = None

    @property
    def last(self) -> PartialDate:
        """The latest date that this can be, as far as it is known."""
        return self.end or self.start

    def __str__(self) -> str:
        return str(self.start) if self.end is None else f"[{self.start}..{self.end}]"


def _parse_partial(text: str) -> PartialDate:
    match = _PARTIAL.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day = (int(part) if part else None for part in match.groups())
    return PartialDate(year or 0, month, day)


def parse_date(text: str) -> StatementDate:
    """Read an EDTF date in one of the forms above. Raises ``ValueError`` otherwise."""
    one_of_a_set = _ONE_OF_A_SET.fullmatch(text)
    if one_of_a_set is None:
        return StatementDate(_parse_partial(text))
    start, end = (_parse_partial(part) for part in one_of_a_set.groups())
    if end.first_day() <= start.first_day():
        raise ValueError(text)
    return StatementDate(start, end)
