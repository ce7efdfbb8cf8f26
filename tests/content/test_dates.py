"""Dates as far as they are known (``content/dates.py``)."""

from __future__ import annotations

from datetime import date

import pytest

from cccr_web.content.dates import PartialDate, StatementDate, parse_date


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2013-05-07", PartialDate(2013, 5, 7), None),
        ("2013-05", PartialDate(2013, 5), None),
        ("2013", PartialDate(2013), None),
        ("[2011..2012-04]", PartialDate(2011), PartialDate(2012, 4)),
        ("[2013-05-07..2013-05-08]", PartialDate(2013, 5, 7), PartialDate(2013, 5, 8)),
    ],
)
def test_each_form_is_read_and_written_back(
    text: str, start: PartialDate, end: PartialDate | None
) -> None:
    """A day, a month, a year and one of a set are read, and written back unchanged."""
    when = parse_date(text)
    assert when == StatementDate(start, end)
    assert str(when) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7 May 2013",
        "2013-5-7",
        "13-05-07",
        "2013-13",
        "2013-02-29",
        "0000",
        "2013-05-07T00:00",
        "2011..2012",
        "[2011..]",
        "[..2012]",
        "[2012..2011]",
        "[2011..2011]",
        "[2011..2012..2013]",
        "2013-05-07\n",
        "２０１３",
    ],
)
def test_any_other_text_is_rejected(text: str) -> None:
    """Other forms of EDTF, and of dates, are rejected."""
    with pytest.raises(ValueError, match=r".*"):
        parse_date(text)


def test_an_incomplete_date_starts_on_its_first_day() -> None:
    """The first day of a year or month counts as the start of the date."""
    assert PartialDate(2012).first_day() == date(2012, 1, 1)
    assert PartialDate(2012, 4).first_day() == date(2012, 4, 1)
    assert PartialDate(2012, 4, 5).first_day() == date(2012, 4, 5)


def test_impossible_date_cannot_be_built() -> None:
    """A day that is in no calendar is rejected, not carried over."""
    with pytest.raises(ValueError, match="month must be in"):
        PartialDate(2012, 13)
