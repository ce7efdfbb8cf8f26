"""New texts: one file in each written language, with placeholders that ``check`` rejects."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from string import Template

from cccr_web.content.characters import IDEOGRAPH
from cccr_web.content.dates import StatementDate
from cccr_web.errors import CccrError
from cccr_web.facts import CLOCK_TOLERANCE
from cccr_web.files import create_all, writing
from cccr_web.languages import WRITTEN, Language

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# A slug is cut after a word at about this length, so that an address fits one line.
_LONGEST = 60
# About how many Latin letters say as much as one Chinese character.
_LETTERS = 3

_TITLE = re.compile(r'^title = "\{\{.*\}\}"$', re.MULTILINE)


def new_text(
    tree: Path, titles: Sequence[str], slug: str | None, when: StatementDate | None, today: date
) -> tuple[Path, ...]:
    """Create a statement of the date ``when``, or a page if that is ``None``; return its files.

    There is at most one title for each written language. The slug is made from the English
    one if it is ``None``. All files are created, or none; no file is ever overwritten. Raises
    ``CccrError``.
    """
    by_locale = _by_locale(titles)
    english = by_locale.get(WRITTEN[0].locale)
    if slug is None and english is None:
        raise CccrError(
            "The title is in Chinese, and no program can translate it for the address.",
            "Pass English words for the address, such as --slug tiananmen-rally.",
        )
    if when is not None and when.last.first_day() > today + CLOCK_TOLERANCE:
        raise CccrError(
            f"{when} is in the future: this machine's clock says {today} (UTC).",
            "Correct the date, or the clock.",
        )
    name = slug or slug_of(english or "")
    if _SLUG.fullmatch(name) is None:
        raise CccrError(
            f"“{name}” cannot be a slug.", "Use lower-case letters a to z, digits and hyphens."
        )
    kind = "page" if when is None else "statement"
    place = (
        Path("pages", f"{name}.md") if when is None else Path(f"{kind}s", f"{when.start}-{name}.md")
    )
    files: dict[Path, bytes] = {}
    for language in WRITTEN:
        text = blank(kind, language).substitute(today=today, date=when)
        title = by_locale.get(language.locale)
        if title is not None:
            text = with_title(text, title)
        files[tree / language.locale / place] = text.encode()
    with writing(tree):
        try:
            create_all(files)
        except FileExistsError as error:
            raise CccrError(
                f"{error.filename} exists already. Nothing was changed.",
                "Edit it, or choose another slug with --slug.",
            ) from error
    return tuple(files)


def blank(kind: str, language: Language) -> Template:
    """Return a new “statement” or “page”, in which the dates are still to be filled in."""
    file = Path(__file__).with_name(f"{kind}.{language.locale}.txt")
    return Template(file.read_text(encoding="utf-8"))


def with_title(text: str, title: str) -> str:
    """Return ``text`` with this title, if its own is still a placeholder."""
    return _TITLE.sub(lambda _: title_line(title), text, count=1)


def title_line(title: str) -> str:
    """Return the line of a title in the front matter."""
    # JSON's strings are TOML's.
    return f"title = {json.dumps(title, ensure_ascii=False)}"


def slug_of(title: str) -> str:
    """Return the slug for an English title. Raises ``CccrError`` if it needs another alphabet."""
    plain = unicodedata.normalize("NFKD", re.sub("['’]", "", title.lower()))
    # The accents that the normal form separates.
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    words = re.findall(r"[a-z0-9]+", plain)
    if not words or any(char.isalnum() and not char.isascii() for char in plain):
        raise CccrError(
            f"“{title}” has other letters than a to z, so the address cannot be made from it.",
            "Pass English words for the address, such as --slug tiananmen-rally.",
        )
    slug: str = words[0]
    for word in words[1:]:
        if len(slug) + 1 + len(word) > _LONGEST:
            break
        slug += f"-{word}"
    return slug


def language_of(text: str) -> Language:
    """Return the written language that ``text`` most likely is in."""
    han = len(IDEOGRAPH.findall(text))
    latin = len(re.findall("[A-Za-z]", text))
    return next(one for one in WRITTEN if one.is_chinese == (han * _LETTERS > latin))


def _by_locale(titles: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for title in (" ".join(title.split()) for title in titles):
        language = language_of(title)
        if not title:
            raise CccrError("The title is empty.", 'Write it in quotation marks: "A title".')
        if language.locale in found:
            raise CccrError(
                f"“{found[language.locale]}” and “{title}” are both titles in {language.tag}.",
                "Pass one for each language, each in quotation marks.",
            )
        found[language.locale] = title
    return found
