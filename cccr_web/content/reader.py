"""Read the texts into the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final, get_args

from cccr_web.content import front_matter, markdown
from cccr_web.content.body import Body, Item, Parsed
from cccr_web.content.dates import PartialDate, StatementDate
from cccr_web.content.front_matter import FrontMatter
from cccr_web.content.model import ARCHIVE, NEEDED_PAGES, Content, Site, Text
from cccr_web.content.photos import read_photos
from cccr_web.content.site import read_names
from cccr_web.content.source_tree import Problem, SourceTree, content_error, is_left_by_system
from cccr_web.languages import WRITTEN, Language

# Nothing but these values is made from JSON: {"!Heading": [2, "demands", 14]}.
_KINDS: Final[dict[str, Callable[..., Any]]] = {
    f"!{kind.__name__}": kind for kind in (*get_args(Item), FrontMatter, PartialDate, StatementDate)
} | {"!date": date.fromisoformat}


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
        return b"" if text is None or problems else _to_json(text)

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
    return _from_json(known, language, path, name, load), []


def _to_json(text: Text) -> bytes:
    """Return what a text contains, except its tokens: an unchanged file is not parsed again."""
    body = text.body
    values = [text.head, body.digest, body.items, body.slips, body.has_own_words]
    return json.dumps(values, default=_encode, ensure_ascii=False).encode()


def _from_json(
    made: bytes, language: Language, path: PurePosixPath, file: Path, load: Callable[[], Parsed]
) -> Text:
    """Return the text from which ``_to_json`` made this; ``load`` parses it."""
    head, digest, items, slips, has_own_words = json.loads(made, object_hook=_decode)
    found = tuple((line, message) for line, message in slips)
    return Text(language, path, file, head, Body(digest, load, tuple(items), found, has_own_words))


def _encode(value: Any) -> dict[str, Any]:
    if isinstance(value, date):
        return {"!date": [value.isoformat()]}
    return {f"!{type(value).__name__}": [getattr(value, field.name) for field in fields(value)]}


def _decode(found: dict[str, Any]) -> Any:
    for name, values in found.items():
        if name in _KINDS and isinstance(values, list):
            return _KINDS[name](*(tuple(one) if isinstance(one, list) else one for one in values))
    return found


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
