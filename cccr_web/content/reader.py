"""Read the texts into the model."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from cccr_web.content import front_matter, markdown
from cccr_web.content.body import Parsed
from cccr_web.content.model import ARCHIVE, NEEDED_PAGES, Content, Site, Text
from cccr_web.content.photos import read_photos
from cccr_web.content.remembered import from_json, to_json
from cccr_web.content.site import read_names
from cccr_web.content.source_tree import Problem, SourceTree, content_error, is_left_by_system
from cccr_web.languages import WRITTEN, Language


def text_path(file: Path, locale_folder: Path) -> PurePosixPath:
    """Return the path of the text of ``file`` below its language, without an extension.

    The folder ``pages/`` is the root: ``pages/verify.md`` is ``verify``.
    """
    relative = PurePosixPath(file.relative_to(locale_folder)).with_suffix("")
    return PurePosixPath(*relative.parts[1:]) if relative.parts[0] == "pages" else relative


def read_text(
    file: Path, tree: SourceTree, language: Language
) -> tuple[Text | None, list[Problem]]:
    """Return the text of ``file`` and its problems; the text is ``None`` if it has none to use."""
    return tree.parsed(file, lambda: _recall_text(file, tree, language))


def _recall_text(
    file: Path, tree: SourceTree, language: Language
) -> tuple[Text | None, list[Problem]]:
    if tree.recall is None:
        return _read_text(file, tree, language)
    try:
        digest = hashlib.sha256(tree.read(file)).hexdigest()
    except OSError:
        return _read_text(file, tree, language)  # which says what is wrong
    read: list[tuple[Text | None, list[Problem]]] = []

    def parse() -> tuple[Text | None, list[Problem]]:
        if not read:
            read.append(_read_text(file, tree, language))
        return read[0]

    def make() -> bytes:
        text, problems = parse()
        return b"" if text is None or problems else to_json(text)

    def load() -> Parsed:
        text, problems = parse()
        if text is None:  # The file has changed since.
            raise content_error(problems)
        return text.body.load()

    name = tree.name(file)
    known = tree.recall(("text", str(name), digest), make)
    if read or not known:
        return parse()
    path = text_path(file, tree.folder / language.locale)
    return from_json(known, language, path, name, load), []


def _read_text(
    file: Path, tree: SourceTree, language: Language
) -> tuple[Text | None, list[Problem]]:
    name = tree.name(file)
    path = text_path(file, tree.folder / language.locale)
    source, problems = tree.source(file, name)
    if source is None:
        return None, problems
    parts = front_matter.split(source)
    if parts is None:
        message = "The file must start with front matter: TOML between two lines of +++."
        if front_matter.FULL_WIDTH_FENCE in source:
            message = "The lines of ＋＋＋ are typed full-width: type +++."
        return None, [*problems, Problem(name, 1, message)]
    # The page that lists the statements is in their folder, but is not a statement.
    statement = path.parts[0] == ARCHIVE.parts[0] and path.name != ARCHIVE.name
    head, found = front_matter.parse(parts.head, name, statement=statement)
    problems += found
    if head is None:
        return None, problems
    digest = hashlib.sha256(source.encode()).hexdigest()
    body = markdown.parse(parts.body, lines_before=parts.lines_before_body, digest=digest)
    return Text(language, path, name, head, body), problems


def read_content(tree: SourceTree, site: Site | None) -> tuple[Content | None, list[Problem]]:
    """Read everything below ``tree`` except ``site.toml``, which ``site`` holds.

    The content is ``None`` if ``site`` is, or if a file cannot be read; a mistake in a
    character does not prevent that. Whether the languages agree with each other is for
    ``check`` to find out.
    """
    names, problems = read_names(tree)
    photos, its_problems = read_photos(tree)
    complete = site is not None and bool(names or not problems) and bool(photos or not its_problems)
    problems += its_problems
    texts: dict[Language, dict[PurePosixPath, Text]] = {}
    for language in WRITTEN:
        texts[language] = {}
        for file in sorted((tree.folder / language.locale).rglob("*.md")):
            if is_left_by_system(file.name):
                continue
            text, its_problems = read_text(file, tree, language)
            problems += its_problems
            if text is None:
                complete = False
                continue
            other = texts[language].setdefault(text.path, text)
            if other is not text:
                complete = False
                message = f"Its page would have the URL of {other.file}: rename it."
                problems.append(Problem(text.file, 1, message))
    for path in NEEDED_PAGES if complete else ():
        if not any(path in its_texts for its_texts in texts.values()):
            complete = False
            folder = "" if path.parts[0] == ARCHIVE.parts[0] else "pages"
            file = tree.name(str(Path(WRITTEN[0].locale, folder, f"{path}.md")))
            problems.append(Problem(file, 1, "The file is missing: the site needs this page."))
    if site is None or not complete:
        return None, problems
    return Content(site, texts, names, photos), problems
