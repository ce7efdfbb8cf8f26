"""The pages that list the statements: one page, or one per month where there are many.

``statements/index.html`` lists a few statements in full. Where there are more, it has the newest
ones and a link to each month, so that no list page grows with the site. A month of many statements
has several pages. Each is linked from the first, so every statement is at most three links from
``statements/index.html``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Final

from flask_babel import gettext

from cccr_web.content import Content, Text
from cccr_web.content.dates import PartialDate, StatementDate
from cccr_web.languages import Language
from cccr_web.render.formats import format_month, format_partial, format_years

FOLDER: Final = "statements/archive"
# So many statements with the longest demands and outcomes that ``check`` allows fit, compressed and
# with the headers, into TCP's initial window of 14,600 bytes (RFC 6928).
PER_PAGE: Final = 20
# On the first of several pages, above the links to the months.
NEWEST: Final = 5


@dataclass(frozen=True, slots=True)
class Period:
    """The statements of a month, the newest first.

    If it is not known in which month a statement was made, its period is the year, or the years,
    in which it was made.
    """

    when: StatementDate
    statements: Sequence[Text]

    @property
    def is_month(self) -> bool:
        """Whether the month is known."""
        return self.when.start.month is not None

    @property
    def years(self) -> str:
        """The year or years, in the language being rendered."""
        return format_years(self.when)

    @property
    def label(self) -> str:
        """The month, without its year, in the language being rendered."""
        return format_month(self.when.start) if self.is_month else str(gettext("list.no_month"))

    @property
    def title(self) -> str:
        """The month and its year, in the language being rendered."""
        if self.is_month:
            return format_partial(self.when.start)
        return str(gettext("list.year_only", years=self.years))


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a period: ``number``, from 1, of ``of`` pages.

    ``text`` has the page's own URL; the rest of it is that of the archive.
    """

    text: Text
    period: Period
    number: int
    of: int
    statements: Sequence[Text]

    @property
    def title(self) -> str:
        """What this page lists, in the language being rendered."""
        if self.of == 1:
            return self.period.title
        return str(gettext("list.page", period=self.period.title, number=self.number))

    @property
    def mention(self) -> dict[str, str]:
        """What other pages show of this one, in the language being rendered."""
        return {"url": self.text.url, "title": self.title}

    def titled(self) -> Text:
        """Return ``text`` with its title in the language being rendered."""
        title = str(gettext("list.title", period=self.title))
        return replace(self.text, head=replace(self.text.head, title=title))


def list_pages(content: Content, language: Language) -> list[ListPage]:
    """Return every list page but the archive itself, the newest first.

    There are none if the archive has room for every statement. All languages have the same.
    """
    if len(content.statements(language)) <= PER_PAGE:
        return []
    archive = content.archive(language)
    return [
        page for period in periods(content.statements(language)) for page in _pages(archive, period)
    ]


def months(pages: Sequence[ListPage]) -> dict[str, Any]:
    """Return what ``statements.html`` needs for the archive, of all list pages of a language.

    The archive lists every statement itself if there are none.
    """
    first = (one for one in pages if one.number == 1)
    years = itertools.groupby(first, key=lambda one: one.period.years)
    return {"newest": NEWEST, "months": [(name, list(group)) for name, group in years]}


def steps(pages: Sequence[ListPage], page: ListPage) -> dict[str, Any]:
    """Return what ``statements.html`` shows of other ``pages`` on one of them.

    These are texts and numbers, so that a page can come from the cache if they are the same.
    """
    place = next(place for place, one in enumerate(pages) if one is page)
    first = place - page.number + 1
    parts = pages[first : first + page.of]
    return {
        "number": page.number,
        "parts": [(part.number, part.text.url) for part in parts],
        "newer": pages[place - 1].mention if place else None,
        "older": pages[place + 1].mention if place + 1 < len(pages) else None,
    }


def periods(statements: Sequence[Text]) -> list[Period]:
    """Return ``statements``, which are sorted, by month: the newest period first."""
    groups: dict[StatementDate, list[Text]] = {}
    for text in statements:
        if text.head.date is not None:
            groups.setdefault(_period(text.head.date), []).append(text)
    newest_first = sorted(groups, key=_order, reverse=True)
    return [Period(when, groups[when]) for when in newest_first]


def _period(when: StatementDate) -> StatementDate:
    start, last = when.start, when.last
    if start.year != last.year:
        return StatementDate(PartialDate(start.year), PartialDate(last.year))
    month = start.month if start.month == last.month else None
    return StatementDate(PartialDate(start.year, month))


def _order(when: StatementDate) -> tuple[int, int, int]:
    return when.start.year, when.last.year, when.start.month or 0


def _pages(archive: Text, period: Period) -> Iterator[ListPage]:
    starts = range(0, len(period.statements), PER_PAGE)
    batches = [period.statements[start : start + PER_PAGE] for start in starts]
    name = str(period.when.start)
    if period.when.end is not None:
        name += f"-{period.when.end}"
    for number, statements in enumerate(batches, start=1):
        path = PurePosixPath(FOLDER) / (f"{name}-page-{number}" if number > 1 else name)
        updated = max(text.head.updated for text in statements)
        text = replace(archive, path=path, head=replace(archive.head, updated=updated))
        yield ListPage(text, period, number, len(batches), statements)
