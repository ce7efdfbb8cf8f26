"""Dates and sizes in each language's format; dates are no more exact than they are known."""

from __future__ import annotations

from datetime import date
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_interval, format_skeleton
from babel.units import format_unit
from flask_babel import get_locale, gettext

from cccr_web.content.dates import PartialDate, StatementDate


def format_day(day: date) -> str:
    """Return a day in full: ``7 May 2013``, ``2013年5月7日``."""
    return _format_date(day, "long", _locale_name())


def format_partial(when: PartialDate) -> str:
    """Return a date as far as it is known: ``2011``, ``April 2012``, ``2012年4月``."""
    if when.day is not None:
        return format_day(when.first_day())
    skeleton = "y" if when.month is None else "yMMMM"
    return _format_skeleton(skeleton, when.first_day(), _locale_name())


def format_month(when: PartialDate) -> str:
    """Return the month of a date without its year: ``May``, ``5月``."""
    # In Chinese the full name is 五月.
    pattern = "LLL" if _babel_locale().language == "zh" else "LLLL"
    return _format_date(when.first_day(), pattern, _locale_name())


def format_statement_date(when: StatementDate) -> str:
    """Return when a statement was made: ``7 May 2013``, ``between 2011 and April 2012``."""
    if when.end is None:
        return format_partial(when.start)
    start, end = format_partial(when.start), format_partial(when.end)
    return str(gettext("date.between", start=start, end=end))


def format_years(when: StatementDate) -> str:
    """Return the year of a statement, or its years: ``2013``, ``2011–2012``, ``2013年``."""
    start, end = when.start.year, (when.end or when.start).year
    if start == end:
        return _format_skeleton("y", date(start, 1, 1), _locale_name())
    # CLDR's interval in Traditional Chinese lacks the 年.
    locale = "zh_Hans" if _locale_name().startswith("zh") else _locale_name()
    return format_interval(date(start, 1, 1), date(end, 1, 1), "y", locale=locale)


def format_size(length: int) -> str:
    """Return ``length`` bytes in kilobytes of 1,000 bytes, rounded up: ``49 kB``."""
    kilobytes = -(-length // 1000)
    return format_unit(kilobytes, "digital-kilobyte", length="short", locale=_babel_locale())


def format_language(tag: str) -> str:
    """Return the name of a language (BCP 47) in the language being rendered."""
    try:
        own = Locale.parse(tag, sep="-")
    except (UnknownLocaleError, ValueError):
        return tag
    # CLDR has a name for some languages with their script: 简体中文, not 中文 (简体).
    names = _babel_locale().languages
    return names.get(str(own)) or own.get_display_name(_babel_locale()) or tag


def region() -> str:
    """Return the language with its most likely country: ``en_GB``, ``zh_CN``."""
    locale = _babel_locale()
    likely = get_global("likely_subtags")
    whole = _locale(likely.get(str(locale)) or likely[locale.language])
    return f"{locale.language}_{locale.territory or whole.territory}"


@cache  # The same day is in several files.
def _format_date(day: date, pattern: str, locale: str) -> str:
    return format_date(day, pattern, locale=locale)


@cache
def _format_skeleton(skeleton: str, day: date, locale: str) -> str:
    return format_skeleton(skeleton, day, locale=locale)


def _babel_locale() -> Locale:
    """Return Babel's data for the language being rendered."""
    return _locale(_locale_name())


def _locale_name() -> str:
    # The site's English dates put the day before the month.
    name = str(get_locale())
    return "en_GB" if name == "en" else name


@cache  # Babel would parse the name again for each date.
def _locale(name: str) -> Locale:
    return Locale.parse(name)
