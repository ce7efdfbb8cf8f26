"""The rules that all texts must follow before they are published.

Each rule is a function that yields problems; ``check`` runs them all. A rule about one
text yields the line and the message of each.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path, PurePosixPath

from cccr_web.content.body import Heading, NameCard, Note, PhotoReference
from cccr_web.content.catalogue import check_catalogues
from cccr_web.content.characters import NAME, SELECTOR
from cccr_web.content.links import links_lead_somewhere
from cccr_web.content.markup_lint import LineProblem
from cccr_web.content.model import Content, Site, Text, people_on_cards
from cccr_web.content.photos import FILE as PHOTOS
from cccr_web.content.reader import read_content
from cccr_web.content.rules import (
    dates_are_past,
    every_file_is_read,
    front_matter_fits,
    headings_descend,
    marks_are_allowed,
    photos_have_records,
    script_is_its_folders,
    summary_is_short,
    text_is_not_empty,
    urls_are_free,
)
from cccr_web.content.scripts import Convert, wrong_script
from cccr_web.content.site import NAMES
from cccr_web.content.source_tree import Problem, Recall, SourceTree, unreadable
from cccr_web.languages import WRITTEN

# A name, with any blanks that were typed within it.
_NAMES_WITH_BLANKS = re.compile(rf"(?:{NAME.pattern})(?:\s+(?:{NAME.pattern}))*")


def check(
    tree: SourceTree,
    site: Site | None,
    code: Collection[Path],
    known_files: Collection[str],
    *,
    is_servable: Callable[[str], bool],
    simplify: Convert,
    today: date,
) -> tuple[Content | None, list[Problem]]:
    """Read the texts below ``tree`` and check every rule; return them and every problem.

    ``site`` is what ``site.toml`` holds. The catalogues must translate the interface strings
    in the folders of ``code``. ``known_files`` are the other files of a release to which
    texts may link; ``is_servable`` judges the path of a text in a release. ``simplify``
    converts Traditional to Simplified Chinese. If a file could not be read, the content is
    ``None``, and only the catalogues and the names of files are checked.
    """
    content, problems = read_content(tree, site)
    problems += every_file_is_read(tree)
    names = content.names if content else {}
    problems += check_catalogues(
        tree, code, lambda language, words: wrong_script(words, language, simplify, names)
    )
    if content is None:
        return None, problems
    host = content.site.former_host
    templates = set(_templates(code))
    by_file = {text.file: text for text in content.all_texts}
    people = {language: people_on_cards(content.statements(language)) for language in content.texts}
    problems += _every_text_is_translated(content)
    problems += _translations_agree(content)
    problems += _former_site_stays_defanged(tree, host)
    problems += _photos_are_used(content, tree.name(PHOTOS))
    problems += _cards_have_listed_names(content)
    problems += urls_are_free(content, known_files, is_servable)
    problems += _photos_are_described_in_their_script(content, simplify, tree.name(PHOTOS))
    for text in content.all_texts:
        for line, message in (
            *front_matter_fits(text, templates),
            *summary_is_short(text, people[text.language]),
            *headings_descend(text),
            *marks_are_allowed(text),
            *photos_have_records(text, content),
            *links_lead_somewhere(text, by_file, known_files, host),
            *text.body.slips,
            *text_is_not_empty(text),
            *dates_are_past(text, today),
            *_wrong_scripts(text, simplify, content.names, tree.recall),
        ):
            problems.append(Problem(text.file, line, message))
    return content, problems


def _wrong_scripts(
    text: Text, simplify: Convert, names: Mapping[str, str], recall: Recall | None
) -> Iterator[LineProblem]:
    if recall is None:
        yield from script_is_its_folders(text, simplify, names)
        return

    def make() -> bytes:
        return json.dumps([*script_is_its_folders(text, simplify, names)]).encode()

    key = ("script", text.language.slug, text.body.digest, repr(names))
    yield from map(tuple, json.loads(recall(key, make)))


def _templates(code: Iterable[Path]) -> Iterator[str]:
    """Yield the names of the templates for whole pages."""
    for folder in code:
        for file in folder.glob("*.html"):
            if file.read_text(encoding="utf-8").startswith("{% extends"):
                yield file.stem


def _every_text_is_translated(content: Content) -> Iterator[Problem]:
    for language, texts in content.texts.items():
        for other in content.texts.keys() - {language}:
            for path, text in texts.items():
                if path in content.texts[other]:
                    continue
                message = f"This text is missing in {other.tag} ({other.locale})."
                like = _same_day(path, content.texts[other].keys() - texts.keys())
                if like and _same_day(like, texts.keys() - content.texts[other].keys()) == path:
                    # The pair is reported once, in the language that comes second.
                    if language is WRITTEN[0]:
                        continue
                    message += f" If “{like.name}” is its translation, the slugs must be the same."
                yield Problem(text.file, 1, message)


def _same_day(path: PurePosixPath, others: Iterable[PurePosixPath]) -> PurePosixPath | None:
    """Return the likely translation under another slug: a statement of the same day."""
    day = re.match(r"\d{4}(-\d{2})*", path.name)
    return next(
        (other for other in sorted(others) if day and other.name.startswith(day[0] + "-")), None
    )


def _translations_agree(content: Content) -> Iterator[Problem]:
    """Compare every language with the first in what must be the same."""
    first, *others = WRITTEN
    for path, text in content.texts[first].items():
        for language in others:
            other = content.texts[language].get(path)
            if other is not None:
                yield from _translation_agrees(text, other)


def _translation_agrees(text: Text, other: Text) -> Iterator[Problem]:
    for key in ("checked", "date", "navigation", "people", "template", "updated"):
        ours, theirs = getattr(text.head, key), getattr(other.head, key)
        if ours != theirs:
            here, there = ("not set" if value is None else value for value in (theirs, ours))
            line = other.head.lines.get(key, 1)
            yield Problem(other.file, line, f"“{key}” is {here} here, but {there} in {text.file}.")
    for key in ("demands", "open", "since"):
        # Translations differ in words, but not in how much they say.
        ours, theirs = (_count(getattr(one.head, key)) for one in (text, other))
        if ours != theirs:
            line = other.head.lines.get(key, 1)
            yield Problem(
                other.file, line, f"“{key}” has {theirs} texts here, but {ours} in {text.file}."
            )
    kinds = Heading | Note | PhotoReference
    ours = [item for item in text.body.items if isinstance(item, kinds)]
    theirs = [item for item in other.body.items if isinstance(item, kinds)]
    for our, their in zip(ours, theirs, strict=False):
        if _shape(our) != _shape(their):
            yield Problem(
                other.file,
                their.line,
                f"This is {_shape(their)}, but {text.file}:{our.line} has {_shape(our)}: "
                "all languages must have the same headings, notes and photos in the same order.",
            )
            return
    if len(ours) != len(theirs):
        longer, shorter, missing = (
            (text, other, ours[len(theirs)])
            if len(ours) > len(theirs)
            else (other, text, theirs[len(ours)])
        )
        where = f"{longer.file}:{missing.line}"
        yield Problem(shorter.file, 1, f"{where} has {_shape(missing)}, which is missing here.")


def _count(value: str | tuple[str, ...] | None) -> int:
    return len(value) if isinstance(value, tuple) else int(value is not None)


def _shape(item: Heading | Note | PhotoReference) -> str:
    if isinstance(item, PhotoReference):
        return f"the photo {item.name}"
    if isinstance(item, Note):
        return f"a note of {item.date}"
    name = "without a name" if item.id is None else f"named {{#{item.id}}}"
    return f"a heading of level {item.level} {name}"


def _former_site_stays_defanged(tree: SourceTree, host: str) -> Iterator[Problem]:
    """The former site may serve malicious code, so nobody must be able to open its address."""
    for file in sorted(tree.folder.rglob("*")):
        if file.suffix not in {".md", ".po", ".toml", ".txt"} or not file.is_file():
            continue
        try:
            text = tree.text(file, "replace")
        except OSError as error:
            yield unreadable(tree.name(file), error)
            continue
        lines = text.split("\n") if host in text.lower() else ()
        for number, line in enumerate(lines, start=1):
            if host in line.lower():
                yield Problem(
                    tree.name(file),
                    number,
                    "The former site's address must not be in a form that can be opened: "
                    f"write it as {host.replace('.', '[.]')}.",
                )


def _photos_are_used(content: Content, file: Path) -> Iterator[Problem]:
    items = (item for text in content.all_texts for item in text.body.items)
    used = {item.name for item in items if isinstance(item, PhotoReference)}
    for name, photo in content.photos.items():
        if name not in used:
            yield Problem(file, photo.line, f"“{name}” is not used in any text: remove it.")


def _photos_are_described_in_their_script(
    content: Content, simplify: Convert, file: Path
) -> Iterator[Problem]:
    for photo in content.photos.values():
        for language in WRITTEN:
            words = photo.alt[language.locale]
            message = wrong_script(words, language, simplify, content.names)
            if message is not None:
                yield Problem(file, photo.line, f"“alt.{language.locale}”: {message}")


def _cards_have_listed_names(content: Content) -> Iterator[Problem]:
    """A conversion guesses at a name that is not listed, and a card shows it as a fact."""
    reported: set[str] = set()
    # Chinese first: its cards are the ones that are converted.
    for text in sorted(content.all_texts, key=lambda text: not text.language.is_chinese):
        for item in text.body.items:
            if not isinstance(item, NameCard):
                continue
            if not item.name:
                message = "The card has no name: its first paragraph must be the person's name."
                yield Problem(text.file, item.line, message)
            for name in _unlisted(item.name, content.names):
                if name not in reported:
                    reported.add(name)
                    yield Problem(text.file, item.line, _how_to_list(name))


def _unlisted(card: str, listed: Collection[str]) -> Iterator[str]:
    """Yield each whole name on a card, as far as it is Chinese, that is not listed."""
    for match in _NAMES_WITH_BLANKS.finditer(card):
        if match[0] not in listed:
            yield match[0]


def _how_to_list(name: str) -> str:
    if re.search(r"\s", name):
        return f"“{name}” has blanks: delete them, or separate two names by 、."
    if len(SELECTOR.sub("", name)) == 1:
        return f"“{name}” is a single character: write the whole name."
    return (
        f"“{name}” is not in {NAMES}: add a line with the whole name in Simplified and in "
        f'Traditional, such as "{name}" = "{name}", or separate two names by 、.'
    )
