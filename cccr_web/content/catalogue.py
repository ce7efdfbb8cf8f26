"""The interface strings: gettext catalogues, read from their ``.po`` files.

Message ids are names (``nav.label``), so templates and code contain no text for readers;
English is a catalogue like the others.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.support import Translations
from jinja2.ext import babel_extract

from cccr_web.content.source import Problem, SourceTree, not_utf8
from cccr_web.languages import WRITTEN

_UNQUOTED = re.compile(r"\s*(?:msgid|msgstr)\b(?!\s*\".*\"\s*$)")
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")

# The types of files that use message ids: code and templates.
_KINDS = ("html", "py", "xml")

Convert = Callable[[str], str]


def catalogue_file(tree: Path, locale: str) -> Path:
    """Return the file of the catalogue of ``locale`` below ``tree``."""
    return tree / locale / "LC_MESSAGES" / "messages.po"


def load_translations(tree: SourceTree, locale: str, convert: Convert = str) -> Translations:
    """Return the catalogue of ``locale``, converted and compiled in memory.

    Without ``.mo`` files, none can be stale or missing from a package.
    """
    compiled = io.BytesIO()
    catalogue = read_po(io.StringIO(tree.text(catalogue_file(tree.folder, locale))), locale=locale)
    for message in catalogue:
        if message.id and isinstance(message.string, str):
            message.string = convert(message.string)
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def used_messages(code: Collection[Path]) -> dict[str, tuple[Path, int]]:
    """Return every message id used in the folders of ``code``, and where it is first used."""
    used: dict[str, tuple[Path, int]] = {}
    for folder in code:
        for file in sorted(file for kind in _KINDS for file in folder.rglob(f"*.{kind}")):
            method: Any = extract_python if file.suffix == ".py" else babel_extract
            with file.open("rb") as source:
                for line, message, _, _ in extract(
                    method, source, DEFAULT_KEYWORDS, options={"encoding": "utf-8"}
                ):
                    name = message if isinstance(message, str) else message[0]
                    used.setdefault(name, (file.relative_to(folder.parent), line))
    return used


def check_catalogues(tree: SourceTree, code: Collection[Path]) -> Iterator[Problem]:
    """Yield a problem for each string that is missing, empty, fuzzy, malformed or unused."""
    used = used_messages(code)
    model: dict[str, set[str]] = {}
    for language in WRITTEN:
        file = catalogue_file(tree.folder, language.locale)
        name = file.relative_to(tree.folder.parent)
        try:
            text = tree.text(file)
            catalogue = read_po(io.StringIO(text), locale=language.locale, abort_invalid=True)
        except FileNotFoundError:
            yield Problem(name, 1, "The catalogue is missing.")
        except UnicodeDecodeError as error:
            yield not_utf8(name, error)
        except PoFileError as error:
            yield Problem(name, error.lineno + 1, f"Not a valid catalogue: {error}.")
        else:
            lines = _lines(text)
            yield from _check_catalogue(catalogue, name, lines, used)
            yield from _check_quotes(text, name)
            for message in catalogue:
                if isinstance(message.id, str) and isinstance(message.string, str):
                    names = set(_PLACEHOLDER.findall(message.string))
                    if names != model.setdefault(message.id, names):
                        yield Problem(
                            name,
                            lines.get(message.id, 1),
                            f"“{message.id}” has the placeholders {sorted(names)} here, but "
                            f"{sorted(model[message.id])} in {WRITTEN[0].tag}.",
                        )


def _check_quotes(text: str, name: Path) -> Iterator[Problem]:
    """Check what Babel does not: it drops the first and last character of a string."""
    for number, line in enumerate(text.splitlines(), start=1):
        if _UNQUOTED.match(line):
            yield Problem(name, number, "The string must be in quotation marks.")


def _lines(text: str) -> dict[str, int]:
    """Return the line of each message id."""
    return {
        line.removeprefix('msgid "').removesuffix('"'): number
        for number, line in enumerate(text.splitlines(), start=1)
        if line.startswith('msgid "')
    }


def _check_catalogue(
    catalogue: Catalog, name: Path, lines: dict[str, int], used: dict[str, tuple[Path, int]]
) -> Iterator[Problem]:
    for message in catalogue:
        if not message.id:
            continue
        id_ = message.id if isinstance(message.id, str) else message.id[0]
        line = lines.get(id_, 1)
        if message.fuzzy:
            yield Problem(
                name, line, f"“{id_}” is marked fuzzy: correct the translation and remove the mark."
            )
        if not message.string or not all(message.string):
            yield Problem(name, line, f"“{id_}” is not translated.")
        if id_ not in used:
            yield Problem(name, line, f"“{id_}” is not used: remove it.")
    for id_, (place, line) in used.items():
        if catalogue.get(id_) is None:
            yield Problem(name, 1, f"“{id_}” is missing: {place}:{line} uses it.")
