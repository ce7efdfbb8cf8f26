"""The text of a document, put into a text that ``cccr-web new`` has created."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cccr_web.content import front_matter, markdown
from cccr_web.content.body import Heading
from cccr_web.errors import CccrError
from cccr_web.files import replace, writing
from cccr_web.languages import WRITTEN, Language
from cccr_web.write.document import read_document
from cccr_web.write.html import Block
from cccr_web.write.scaffold import blank, language_of, slug_of, title_line, with_title


@dataclass(frozen=True, slots=True)
class Imported:
    """The file that got a document's text, how long that is, and what was left out."""

    file: Path
    paragraphs: int
    headings: int
    dropped: tuple[str, ...]


def import_document(tree: Path, document: Path, name: str | None = None) -> Imported:
    """Put the text of a .docx or .html file into a text below ``tree`` that is still blank.

    ``name`` is the text's, such as ``2026-11-29-rally``; if it is ``None``, the only blank
    text in the language of the document is taken. A title is filled in if it is still a
    placeholder, headings get the names that they have in the other language. Raises
    ``CccrError``.
    """
    converted = read_document(document)
    language = language_of("".join(block.text for block in converted.blocks))
    file = _target(tree, language, name)
    source = file.read_text(encoding="utf-8")
    head = source[: source.index(_blank_body(file, language))]
    dropped = converted.dropped
    if converted.title is not None:
        head = with_title(head, converted.title)
        if title_line(converted.title) not in head:
            dropped += (f"the title “{converted.title}”, because the text has one",)
    names = _names(tree, file, language, converted.blocks)
    body = "\n\n".join(_shown(block, names.get(at)) for at, block in enumerate(converted.blocks))
    with writing(file, "Check the disk and the permissions."):
        replace(file, f"{head}{body}\n".encode())
    headings = sum(block.level > 0 for block in converted.blocks)
    return Imported(file, len(converted.blocks) - headings, headings, dropped)


def _target(tree: Path, language: Language, name: str | None) -> Path:
    """Return the file of a blank text, so that nothing that somebody wrote is overwritten."""
    blanks = [*_blanks(tree, language)]
    if name is None:
        if len(blanks) == 1:
            return blanks[0]
        if not blanks:
            raise CccrError(
                f"The document is in {language.own_name}, and no text in {language.tag} is blank.",
                'Create one first: cccr-web new "The title".',
            )
        names = ", ".join(file.stem for file in blanks)
        raise CccrError(f"Several texts are blank: {names}.", "Pass the name of one with --into.")
    stem = PurePosixPath(name.removesuffix(".md")).name
    files = [file for file in _texts(tree, language) if file.stem == stem]
    if not files:
        raise CccrError(f"There is no text “{stem}” in {language.tag}.", "Create it with “new”.")
    if files[0] not in blanks:
        raise CccrError(
            f"{files[0]} has a text already. Nothing was changed.",
            "Import into a new text, and copy from it what you need.",
        )
    return files[0]


def _texts(tree: Path, language: Language) -> list[Path]:
    return sorted((tree / language.locale).glob("*/*.md"))


def _blanks(tree: Path, language: Language) -> Iterator[Path]:
    for file in _texts(tree, language):
        if (_read(file) or "").endswith(_blank_body(file, language)):
            yield file


def _read(file: Path) -> str | None:
    """Return a text; ``None`` if nobody can import into it, because it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None  # “check” says why


def _blank_body(file: Path, language: Language) -> str:
    """Return what follows the front matter in a new text."""
    kind = "statement" if file.parent.name == "statements" else "page"
    text = blank(kind, language).template
    return text.partition(f"\n{front_matter.FENCE}\n")[2]


def _names(
    tree: Path, file: Path, language: Language, blocks: Sequence[Block]
) -> dict[int, str | None]:
    """Return the name of each heading by the position of its block.

    They are those of the other language if that is written and has the same headings.
    """
    positions = [at for at, block in enumerate(blocks) if block.level]
    for other in WRITTEN:
        path = tree / other.locale / file.relative_to(tree / language.locale)
        text = _read(path)
        if other is language or text is None or text.endswith(_blank_body(path, other)):
            continue
        parts = front_matter.split(text)
        items = markdown.parse(parts.body).items if parts else ()
        theirs = [item for item in items if isinstance(item, Heading)]
        if [item.level for item in theirs] == [blocks[at].level for at in positions]:
            return dict(zip(positions, (item.id for item in theirs), strict=True))
        return {}
    names: dict[int, str | None] = {}
    for at in () if language.is_chinese else positions:
        with contextlib.suppress(CccrError):
            slug = slug_of(blocks[at].text)
            names[at] = None if slug in names.values() else slug
    return names


def _shown(block: Block, name: str | None) -> str:
    mark = f"{'#' * block.level} " if block.level else ""
    return f"{mark}{block.text}{f' {{#{name}}}' if name else ''}"
