"""The rules for the names and places of files, and for one text, except for its links.

A rule for one text yields lines and messages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from datetime import date
from pathlib import Path

from cccr_web.content.body import (
    Heading,
    MarkdownLink,
    NameCard,
    Note,
    Original,
    PhotoReference,
    RawHtml,
    StrayMark,
)
from cccr_web.content.catalogue import catalogue_file
from cccr_web.content.markup_lint import LANGUAGE_MARK, LineProblem
from cccr_web.content.model import Content, Text
from cccr_web.content.photos import FILE as PHOTOS
from cccr_web.content.scripts import Convert, wrong_script
from cccr_web.content.source_tree import Problem, SourceTree, is_left_by_system
from cccr_web.facts import CLOCK_TOLERANCE
from cccr_web.languages import WRITTEN

# Files in which somebody may have written a text, and folders that have readers of their own.
_TEXT_FILE = re.compile(
    r"(\.md|\.mdown|\.mkdn?|\.markdown|\.txt|\.text|\.docx?|\.odt|\.rtf|\.wps|\.html?)+$",
    re.IGNORECASE,
)
_OTHER_FOLDERS = {"files", "photos"}

# Which copies and lists a release has depends on how many statements there are.
_RESERVED = re.compile("cccr-|statements/archive/")

# What fits the first screen of a phone: demands of one line each, other lines of two.
DEMANDS = 3
DEMAND_COLUMNS = 44
LINE_COLUMNS = 72
_YEAR = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])")

# The templates that show nothing but the text.
_ALL_TEXT = {"page", "statement"}


def every_file_is_read(tree: SourceTree) -> Iterator[Problem]:
    """Find texts that would never be published, although nothing else is wrong with them."""
    locales = {language.locale for language in WRITTEN}
    for file in sorted(tree.folder.rglob("*")):
        place = file.relative_to(tree.folder)
        folder = place.parts[0] if len(place.parts) > 1 else ""
        if not file.is_file() or any(map(is_left_by_system, place.parts)):
            continue
        if folder in locales:
            expected = file.suffix == ".md" or place == catalogue_file(Path(), folder)
        else:
            # Other folders have readers of their own.
            expected = _TEXT_FILE.search(file.name) is None or folder in _OTHER_FOLDERS
            expected = expected or place == Path("README.md")
        if not expected:
            advice = _advice(file.name, in_folder=folder in locales)
            yield Problem(tree.name(place), 1, advice)


def _advice(name: str, *, in_folder: bool) -> str:
    if not in_folder:
        known = " or ".join(f"{language.locale}/" for language in WRITTEN)
        return f"This file is not published: move it into {known}, or delete it."
    if _TEXT_FILE.search(name) is None:
        return "Nothing reads this file: delete it, or move it elsewhere."
    stem = _TEXT_FILE.sub("", name)
    return f"This file is not published: save it as plain text under the name {stem}.md."


def urls_are_free(
    content: Content, known_files: Collection[str], is_servable: Callable[[str], bool]
) -> Iterator[Problem]:
    """Find files that cannot be served under their names, or that others would replace."""
    taken = {path.lower(): f"the release's own {path}" for path in known_files}
    for text in content.all_texts:
        if not is_servable(text.url):
            yield Problem(
                text.file,
                1,
                f"“{text.file.name}” cannot be served: use lower-case letters a to z, digits and "
                "hyphens, at most 200 characters with the folders.",
            )
        # The languages share an error page.
        name = str(text.path if text.is_error_page else text.file)
        other = taken.setdefault(text.url.lower(), name)
        if other != name:
            yield Problem(text.file, 1, f"Its page would have the URL of {other}: rename it.")
        elif _RESERVED.match(str(text.path)):
            message = "Its page could have the URL of a copy or of a list of statements: rename it."
            yield Problem(text.file, 1, message)


def front_matter_fits(text: Text, templates: Collection[str]) -> Iterator[LineProblem]:
    """The template, the file's name and the checked headings fit the text."""
    head = text.head
    # A statement names no template; its own shows the date, which no page has.
    others = {*templates} - {"statement"}
    if not text.is_statement and head.template not in others:
        known = ", ".join(sorted(others))
        line = head.lines.get("template", 1)
        yield line, f"There is no template “{head.template}”: choose {known}."
    if head.date is not None and not text.path.name.startswith(f"{head.date.start}-"):
        start = f"{head.date.start}-"
        yield head.lines["date"], f"“date” is {head.date}: the file's name must start with {start}."
    for key, words in _shown(text):
        mark = LANGUAGE_MARK.search(words)
        if mark is not None:
            why = f"would appear as typed, because “{key}” is plain text"
            yield head.lines.get(key, 1), f"“{mark[0]}” {why}: delete it."
    if text.is_error_page and head.navigation is not None:
        yield head.lines["navigation"], "An error page cannot be in the menu: delete this line."
    names = {item.id for item in text.body.items if isinstance(item, Heading)}
    for name in head.checked:
        if name not in names:
            line = head.lines["checked"]
            yield line, f"“checked” names {{#{name}}}, but there is no such heading."


def summary_is_short(text: Text, people: Collection[str]) -> Iterator[LineProblem]:
    """Demands, and what has happened since, fit a phone; what has happened is dated.

    ``people`` are the names of the headings above cards in this language.
    """
    head = text.head
    for name in head.people:
        if name not in people:
            yield (
                head.lines["people"],
                f"“people” names {{#{name}}}, but no name card is below such a heading: add one.",
            )
    if len(head.demands) > DEMANDS:
        many = len(head.demands)
        yield head.lines["demands"], f"There are {many} demands: choose or join {DEMANDS} of them."
    for demand in head.demands:
        yield from _too_wide(demand, DEMAND_COLUMNS, head.lines["demands"])
    for key, words in (("since", head.since), ("open", head.open)):
        if words is not None:
            yield from _too_wide(words, LINE_COLUMNS, head.lines[key])
    dated = [("“since”", head.since, head.lines.get("since", 1))]
    for item in text.body.items:
        if not text.is_statement or not isinstance(item, NameCard) or not item.name:
            continue
        if item.heading is None:
            yield item.line, "A name card must be below a heading with a name, such as {#li-lin}."
        yield from _too_wide(item.since, LINE_COLUMNS, item.since_line)
        dated.append(("The last paragraph of a card", item.since, item.since_line))
    for what, words, line in dated:
        if words is not None and _YEAR.search(words) is None:
            yield line, f"{what} must say what has happened since, and in which year: add it."


def _too_wide(words: str, most: int, line: int) -> Iterator[LineProblem]:
    if 2 * len(words) <= most:
        return
    width = _columns(words)
    if width > most:
        yield line, f"“{words}” is {width} columns wide: shorten it to {most}."


def _columns(words: str) -> int:
    """Return the width of a text; a Chinese character has 2 columns (Unicode, annex 11)."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in words)


def headings_descend(text: Text) -> Iterator[LineProblem]:
    """A page has one ``h1``, its title, and skips no level below it (WCAG 1.3.1)."""
    level, seen = 1, set[str]()
    for item in text.body.items:
        if not isinstance(item, Heading):
            continue
        if item.level == 1:
            yield item.line, "The title is the only level 1 heading: start with ##."
        elif item.level > level + 1:
            yield item.line, f"A level {item.level} heading follows level {level}: skip no level."
        if item.id is not None and item.id in seen:
            yield item.line, f"The name {{#{item.id}}} is used twice in this text: change one."
        level = max(item.level, 1)
        seen.add(item.id or "")


def marks_are_allowed(text: Text) -> Iterator[LineProblem]:
    """No HTML, no mark that shows as typed, no image without alternative text, no undated note."""
    for item in text.body.items:
        match item:
            case RawHtml():
                yield item.line, "Raw HTML is not allowed: use Markdown."
            case StrayMark():
                # In CommonMark 0.31, section 6.2, “。**” before a letter closes nothing.
                advice = "add the closing mark, and put punctuation outside the marks"
                yield item.line, f"“{item.mark}” would appear on the page as typed: {advice}."
            case Note(date=None):
                example = "> [!NOTE 2026-11-22]"
                yield item.line, f"An editor's note must start with its date: {example}."
            case Original(language=None):
                example = "> [!ORIGINAL en]"
                yield item.line, f"The original wording must start with its language: {example}."
            case MarkdownLink(alt=""):
                yield item.line, f"The image “{item.target}” has no alternative text."


def photos_have_records(text: Text, content: Content) -> Iterator[LineProblem]:
    """A photo has a record, and is alone in its paragraph."""
    for item in text.body.items:
        if not isinstance(item, PhotoReference):
            continue
        if item.name not in content.photos:
            yield item.line, f"“{item.name}” has no record in {PHOTOS}."
        if not item.alone:
            yield item.line, "A photo must be alone in its paragraph."
        if item.alt:
            markdown = f"![](/photos/{item.name})"
            yield item.line, f"A photo's alternative text belongs in {PHOTOS}: write {markdown}."


def text_is_not_empty(text: Text) -> Iterator[LineProblem]:
    """Some templates of pages add content of their own; a statement is its text."""
    if text.head.template in _ALL_TEXT and not text.body.has_own_words:
        what = "statement" if text.is_statement else "page"
        fence = max(text.head.lines.values()) + 1
        yield fence, f"The {what} is empty: write its text below the +++."


def dates_are_past(text: Text, today: date) -> Iterator[LineProblem]:
    """A future date is a typo, and feed readers would pin its entry to the top."""
    head = text.head
    dates = [("updated", head.lines.get("updated", 1), head.updated)]
    if head.date is not None:
        dates.append(("date", head.lines.get("date", 1), head.date.last.first_day()))
    line = head.lines.get("checked", 1)
    dates += [(f"checked.{name}", line, day.last.first_day()) for name, day in head.checked.items()]
    notes = (item for item in text.body.items if isinstance(item, Note))
    dates += [("[!NOTE]", note.line, note.date) for note in notes if note.date is not None]
    for key, line, day in dates:
        if day > today + CLOCK_TOLERANCE:
            yield (
                line,
                (
                    f"“{key}” is {day}, but this machine's clock says {today} (UTC): correct the "
                    "date, or the clock."
                ),
            )


def script_is_its_folders(
    text: Text, simplify: Convert, names: Collection[str]
) -> Iterator[LineProblem]:
    """The text is in the script of its folder, except quotations, names and terms."""
    passages = [(text.head.lines.get(key, 1), words) for key, words in _shown(text)]
    passages += [(item.line, item.words) for item in text.body.passages if not item.quoted]
    for line, words in passages:
        message = wrong_script(words, text.language, simplify, names)
        if message is not None:
            yield line, message


def _shown(text: Text) -> Iterator[tuple[str, str]]:
    """Yield the key and the text of each fact in the front matter that readers see."""
    head = text.head
    yield from (("title", head.title), ("description", head.description))
    yield "place", head.place or ""
    if head.short_title != head.title:
        yield "short_title", head.short_title
    yield from (("since", head.since or ""), ("open", head.open or ""))
    for demand in head.demands:
        yield "demands", demand
