"""What must be true of the texts before they are published.

Each rule is a function that yields problems; ``check`` runs them all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
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
)
from cccr_web.content.model import Content, Text
from cccr_web.content.photos import FILE as PHOTOS
from cccr_web.content.problem import ContentError, Problem
from cccr_web.content.reader import read_content
from cccr_web.languages import WRITTEN


def check(tree: Path, code: Collection[Path], known_files: Collection[str]) -> Content:
    """Read the texts below ``tree`` and check every rule.

    ``code`` holds the folders whose interface strings the catalogues must
    translate; ``known_files`` are the files of a release that texts may link to
    beside the texts themselves. Raises ``ContentError`` with all problems.
    """
    problems = list(check_catalogues(tree, code))
    try:
        content = read_content(tree)
    except ContentError as error:
        raise ContentError(problems + error.problems) from error
    texts = [text for of_language in content.texts.values() for text in of_language.values()]
    templates = set(_templates(code))
    problems += _each_has_its_twins(content)
    problems += _twins_agree(content)
    problems += _former_site_stays_defanged(tree, content.site.former_host)
    for text in texts:
        problems += _head_fits(text, templates)
        problems += _checks_belong_to_headings(text)
        problems += _headings_descend(text)
        problems += _no_raw_html(text)
        problems += _no_stray_marks(text)
        problems += _notes_are_dated(text)
        problems += _images_have_words(text)
        problems += _photos_have_records(text, content)
    problems += _photos_are_used(content, texts)
    by_file = {text.file: text for text in texts}
    for text in texts:
        problems += _links_lead_somewhere(text, by_file, known_files, content.site.former_host)
    if problems:
        raise ContentError(problems)
    return content


def _templates(code: Iterable[Path]) -> Iterator[str]:
    """Yield the names of the templates that are whole pages, not parts of others."""
    for folder in code:
        for file in folder.glob("*.html"):
            if file.read_text(encoding="utf-8").startswith("{% extends"):
                yield file.stem


def _each_has_its_twins(content: Content) -> Iterator[Problem]:
    for language, texts in content.texts.items():
        for other in content.texts.keys() - {language}:
            for path, text in texts.items():
                if path in content.texts[other]:
                    continue
                like = _same_day(path, content.texts[other].keys() - texts.keys())
                hint = f" Is its slug there “{like.name}”? It must be the same." if like else ""
                yield Problem(
                    text.file, 1, f"This text is missing in {other.tag} ({other.locale}).{hint}"
                )


def _same_day(path: PurePosixPath, others: Iterable[PurePosixPath]) -> PurePosixPath | None:
    """Find what is likely the twin under another slug: a statement of the same day."""
    day = re.match(r"\d{4}(-\d{2})*", path.name)
    return next(
        (other for other in sorted(others) if day and other.name.startswith(day[0] + "-")), None
    )


def _twins_agree(content: Content) -> Iterator[Problem]:
    """What is the same in every language is compared with the first language."""
    first, *others = WRITTEN
    for path, text in content.texts[first].items():
        for other in others:
            twin = content.texts[other].get(path)
            if twin is not None:
                yield from _twin_agrees(text, twin)


def _twin_agrees(text: Text, twin: Text) -> Iterator[Problem]:
    for key in ("checked", "date", "navigation", "template", "updated"):
        ours, theirs = getattr(text.head, key), getattr(twin.head, key)
        if ours != theirs:
            line = twin.head.lines.get(key, 1)
            yield Problem(twin.file, line, f"“{key}” is {theirs} here and {ours} in {text.file}.")
    ours = [item for item in text.body.items if isinstance(item, Heading | Note | PhotoReference)]
    theirs = [item for item in twin.body.items if isinstance(item, Heading | Note | PhotoReference)]
    for our, their in zip(ours, theirs, strict=False):
        if _shape(our) != _shape(their):
            yield Problem(
                twin.file,
                their.line,
                f"Here stands {_shape(their)}, in {text.file}:{our.line} {_shape(our)}: "
                "the languages must have the same headings and notes in the same order.",
            )
            return
    if len(ours) != len(theirs):
        longer, shorter, missing = (
            (text, twin, ours[len(theirs) :])
            if len(ours) > len(theirs)
            else (twin, text, theirs[len(ours) :])
        )
        yield Problem(
            shorter.file,
            1,
            f"{_shape(missing[0])} of {longer.file}:{missing[0].line} is missing here.",
        )


def _shape(item: Heading | Note | PhotoReference) -> str:
    if isinstance(item, PhotoReference):
        return f"the photo {item.name}"
    if isinstance(item, Note):
        return f"a note of {item.date}"
    return f"a heading of level {item.level} named {{#{item.id}}}"


def _former_site_stays_defanged(tree: Path, host: str) -> Iterator[Problem]:
    """The former site may serve malicious code: its address must never be ready to open."""
    for file in sorted(tree.rglob("*")):
        if file.suffix not in {".md", ".po", ".toml", ".txt"}:
            continue
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, start=1):
            if host in line.lower():
                yield Problem(
                    file.relative_to(tree.parent),
                    number,
                    "The former site's address must not be linked or be ready to open: "
                    f"write it as {host.replace('.', '[.]')}.",
                )


def _head_fits(text: Text, templates: Collection[str]) -> Iterator[Problem]:
    head = text.head
    if head.template not in templates:
        yield Problem(
            text.file,
            head.lines.get("template", 1),
            f"There is no template “{head.template}”: choose {', '.join(sorted(templates))}.",
        )
    if head.date is not None and not text.path.name.startswith(f"{head.date.start}-"):
        yield Problem(
            text.file,
            head.lines["date"],
            f"“date” is {head.date}: the file's name must begin with {head.date.start}-.",
        )


def _checks_belong_to_headings(text: Text) -> Iterator[Problem]:
    names = {item.id for item in text.body.items if isinstance(item, Heading)}
    for name in text.head.checked:
        if name not in names:
            yield Problem(
                text.file,
                text.head.lines["checked"],
                f"“checked”: there is no heading {{#{name}}}.",
            )


def _headings_descend(text: Text) -> Iterator[Problem]:
    """One ``h1`` a page (the title), and no level left out below it (WCAG 1.3.1)."""
    level, seen = 1, set[str]()
    for item in text.body.items:
        if not isinstance(item, Heading):
            continue
        if item.level == 1:
            yield Problem(text.file, item.line, "The title is the only # heading: begin with ##.")
        elif item.level > level + 1:
            yield Problem(
                text.file, item.line, f"A heading of level {item.level} follows one of {level}."
            )
        if item.id is not None and item.id in seen:
            yield Problem(text.file, item.line, f"The name {{#{item.id}}} stands here twice.")
        level = max(item.level, 1)
        seen.add(item.id or "")


def _no_raw_html(text: Text) -> Iterator[Problem]:
    for item in text.body.items:
        if isinstance(item, RawHtml):
            yield Problem(text.file, item.line, "Raw HTML is not allowed: use Markdown.")


def _no_stray_marks(text: Text) -> Iterator[Problem]:
    for item in text.body.items:
        if isinstance(item, StrayMark):
            # CommonMark 0.31, section 6.2: “。**” followed by a letter closes nothing.
            yield Problem(
                text.file,
                item.line,
                f"“{item.mark}” would stand on the page as it is: close what it opens, and put "
                "a punctuation mark outside of it.",
            )


def _notes_are_dated(text: Text) -> Iterator[Problem]:
    for item in text.body.items:
        if isinstance(item, Note) and item.date is None:
            yield Problem(
                text.file, item.line, "An editor's note begins with its day: > [!NOTE 2026-11-22]."
            )


def _images_have_words(text: Text) -> Iterator[Problem]:
    for item in text.body.items:
        if isinstance(item, MarkdownLink) and item.alt == "":
            yield Problem(
                text.file, item.line, f"The image “{item.target}” has no alternative text."
            )


def _photos_have_records(text: Text, content: Content) -> Iterator[Problem]:
    for item in text.body.items:
        if not isinstance(item, PhotoReference):
            continue
        if item.name not in content.photos:
            yield Problem(text.file, item.line, f"“{item.name}” has no record in {PHOTOS}.")
        if not item.alone:
            yield Problem(text.file, item.line, "A photo must stand in a paragraph of its own.")
        if item.words:
            yield Problem(
                text.file,
                item.line,
                f"The words for a photo stand in {PHOTOS}: write ![](/photos/{item.name}).",
            )


def _photos_are_used(content: Content, texts: Iterable[Text]) -> Iterator[Problem]:
    used = {
        item.name for text in texts for item in text.body.items if isinstance(item, PhotoReference)
    }
    for name, photo in content.photos.items():
        if name not in used:
            yield Problem(PHOTOS, photo.line, f"“{name}” stands in no text: remove it.")


def _links_lead_somewhere(
    text: Text, by_file: dict[Path, Text], known_files: Collection[str], former_host: str
) -> Iterator[Problem]:
    for item in text.body.items:
        if not isinstance(item, MarkdownLink):
            continue
        try:
            destination = resolve(item.target, text, by_file)
        except DeadLinkError as error:
            yield Problem(text.file, item.line, str(error))
            continue
        if item.alt is not None and not isinstance(destination, ToFile):
            # A page loads nothing from elsewhere.
            yield Problem(
                text.file, item.line, f"The image “{item.target}” must be a file of this site."
            )
            continue
        match destination:
            case External(url):
                host = (urlsplit(url).hostname or "").rstrip(".")
                if host == former_host or host.endswith("." + former_host):
                    yield Problem(text.file, item.line, "A link to the former site is never right.")
            case ToFile(path):
                if path not in known_files:
                    yield Problem(
                        text.file, item.line, f"“{item.target}” leads nowhere: no such file."
                    )
            case ToText(other, fragment):
                ids = {heading.id for heading in other.body.items if isinstance(heading, Heading)}
                if fragment and fragment not in ids:
                    yield Problem(
                        text.file,
                        item.line,
                        f"“{item.target}” leads nowhere: {other.file} has no {{#{fragment}}}.",
                    )
