"""The rules that all texts must follow before they are published.

Each rule is a function that yields problems; ``check`` runs them all. A rule about one
text yields the line and the message of each.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from cccr_web.content.catalogue import check_catalogues
from cccr_web.content.links import DeadLinkError, External, ToFile, ToText, resolve
from cccr_web.content.markdown import (
    Heading,
    MarkdownLink,
    Note,
    PhotoReference,
    RawHtml,
    StrayMark,
    normalize,
)
from cccr_web.content.model import Content, Site, Text
from cccr_web.content.photos import FILE as PHOTOS
from cccr_web.content.reader import read_content
from cccr_web.content.source import Problem, SourceTree
from cccr_web.content.urls import faults
from cccr_web.languages import WRITTEN

Line = tuple[int, str]


def check(
    tree: SourceTree, site: Site | None, code: Collection[Path], known_files: Collection[str]
) -> tuple[Content | None, list[Problem]]:
    """Read the texts below ``tree`` and check every rule; return them and every problem.

    ``site`` is what ``site.toml`` holds. The catalogues must translate the interface strings
    in the folders of ``code``. ``known_files`` are the other files of a release to which
    texts may link. If a file could not be read, the content is ``None``, and only the
    catalogues are checked.
    """
    problems = list(check_catalogues(tree, code))
    content, found = read_content(tree, site)
    problems += found
    if content is None:
        return None, problems
    host = content.site.former_host
    templates = set(_templates(code))
    by_file = {text.file: text for text in content.all_texts}
    problems += _every_text_is_translated(content)
    problems += _translations_agree(content)
    problems += _former_site_stays_defanged(tree, host)
    problems += _photos_are_used(content)
    for text in content.all_texts:
        for line, message in (
            *_front_matter_fits(text, templates),
            *_headings_descend(text),
            *_marks_are_allowed(text),
            *_photos_have_records(text, content),
            *_links_lead_somewhere(text, by_file, known_files, host),
            *text.body.slips,
        ):
            problems.append(Problem(text.file, line, message))
    return content, problems


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
                if like:
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
    for key in ("checked", "date", "navigation", "template", "updated"):
        ours, theirs = getattr(text.head, key), getattr(other.head, key)
        if ours != theirs:
            here, there = ("not set" if value is None else value for value in (theirs, ours))
            line = other.head.lines.get(key, 1)
            yield Problem(other.file, line, f"“{key}” is {here} here, but {there} in {text.file}.")
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


def _shape(item: Heading | Note | PhotoReference) -> str:
    if isinstance(item, PhotoReference):
        return f"the photo {item.name}"
    if isinstance(item, Note):
        return f"a note of {item.date}"
    return f"a heading of level {item.level} named {{#{item.id}}}"


def _former_site_stays_defanged(tree: SourceTree, host: str) -> Iterator[Problem]:
    """The former site may serve malicious code, so nobody must be able to open its address."""
    for file in sorted(tree.folder.rglob("*")):
        if file.suffix not in {".md", ".po", ".toml", ".txt"}:
            continue
        for number, line in enumerate(tree.text(file, "replace").splitlines(), start=1):
            if host in line.lower():
                yield Problem(
                    file.relative_to(tree.folder.parent),
                    number,
                    "The former site's address must not be in a form that can be opened: "
                    f"write it as {host.replace('.', '[.]')}.",
                )


def _photos_are_used(content: Content) -> Iterator[Problem]:
    items = (item for text in content.all_texts for item in text.body.items)
    used = {item.name for item in items if isinstance(item, PhotoReference)}
    for name, photo in content.photos.items():
        if name not in used:
            yield Problem(PHOTOS, photo.line, f"“{name}” is not used in any text: remove it.")


def _front_matter_fits(text: Text, templates: Collection[str]) -> Iterator[Line]:
    head = text.head
    if head.template not in templates:
        known = ", ".join(sorted(templates))
        line = head.lines.get("template", 1)
        yield line, f"There is no template “{head.template}”: choose {known}."
    if head.date is not None and not text.path.name.startswith(f"{head.date.start}-"):
        start = f"{head.date.start}-"
        yield head.lines["date"], f"“date” is {head.date}: the file's name must start with {start}."
    names = {item.id for item in text.body.items if isinstance(item, Heading)}
    for name in head.checked:
        if name not in names:
            line = head.lines["checked"]
            yield line, f"“checked” names {{#{name}}}, but there is no such heading."


def _headings_descend(text: Text) -> Iterator[Line]:
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
            yield item.line, f"The name {{#{item.id}}} is used twice in this text."
        level = max(item.level, 1)
        seen.add(item.id or "")


def _marks_are_allowed(text: Text) -> Iterator[Line]:
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
            case MarkdownLink(alt=""):
                yield item.line, f"The image “{item.target}” has no alternative text."


def _photos_have_records(text: Text, content: Content) -> Iterator[Line]:
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


def _links_lead_somewhere(
    text: Text, by_file: Mapping[Path, Text], known_files: Collection[str], former_host: str
) -> Iterator[Line]:
    for item in text.body.items:
        if not isinstance(item, MarkdownLink):
            continue
        dead = f"“{item.target}” is a dead link"
        try:
            destination = resolve(item.target, text, by_file)
        except DeadLinkError as error:
            yield item.line, str(error)
            continue
        if item.alt is not None and not isinstance(destination, ToFile):
            # Pages load nothing from other sites.
            yield item.line, f"The image “{item.target}” must be a file of this site."
            continue
        match destination:
            case External(url):
                host = (urlsplit(url).hostname or "").rstrip(".")
                if host == former_host or host.endswith("." + former_host):
                    yield item.line, "Links to the former site are not allowed."
                else:
                    yield from ((item.line, message) for message in faults(item.target, normalize))
            case ToFile(path):
                if path not in known_files:
                    yield item.line, f"{dead}: the release has no such file."
            case ToText(other, fragment):
                ids = {heading.id for heading in other.body.items if isinstance(heading, Heading)}
                if fragment and fragment not in ids:
                    yield item.line, f"{dead}: {other.file} has no heading {{#{fragment}}}."
