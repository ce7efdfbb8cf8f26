"""The interface strings: gettext catalogues, read from their ``.po`` files.

Message ids are names (``nav.label``), so templates and code contain no text for readers;
English is a catalogue like the others.
"""

from __future__ import annotations

import codecs
import functools
import hashlib
import io
import json
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

from cccr_web.content.characters import explain
from cccr_web.content.scripts import Convert
from cccr_web.content.source_tree import Problem, Recall, SourceTree
from cccr_web.languages import WRITTEN, Language

_PART = re.compile(
    r"\s*(?P<keyword>msgctxt|msgid_plural|msgid|msgstr(?:\[[0-9]+\])?|(?=\"))\s*(?P<string>.*)"
)
_IN_QUOTES = re.compile(r'".*"\s*')
_CHARSET = re.compile(r"charset=([^\s;\\\"]+)", re.IGNORECASE)
_FIELD = re.compile(r'(?:^"|\\n)([A-Za-z-]+):', re.MULTILINE)
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")
# What a per cent sign can be: any other one would end a build.
_FORMAT = re.compile(rf"%%|{_PLACEHOLDER.pattern}")

# The functions that return a message.
_KEYWORDS = {name: DEFAULT_KEYWORDS[name] for name in ("gettext", "ngettext")}

# The types of files that use message ids: code and templates.
_KINDS = ("html", "py", "xml")


def catalogue_file(tree: Path, locale: str) -> Path:
    """Return the file of the catalogue of ``locale`` below ``tree``."""
    return tree / locale / "LC_MESSAGES" / "messages.po"


def load_translations(
    tree: SourceTree, locale: str, convert: Convert = str, convert_key: str = ""
) -> Translations:
    """Return the catalogue of ``locale``, converted and compiled in memory.

    Without ``.mo`` files, none can be stale or missing from a package. ``convert_key`` is what
    ``convert`` depends on.
    """
    text = tree.text(catalogue_file(tree.folder, locale))

    def make() -> bytes:
        return _compile(text, locale, convert)

    compiled = (
        tree.recall(("catalogue", locale, convert_key, text), make) if tree.recall else make()
    )
    return Translations(io.BytesIO(compiled))


def _compile(text: str, locale: str, convert: Convert) -> bytes:
    compiled = io.BytesIO()
    catalogue = read_po(io.StringIO(text), locale=locale)
    for message in catalogue:
        if message.id and isinstance(message.string, str):
            message.string = convert(message.string)
    # By default it is written in the encoding that its header names.
    catalogue.charset = "utf-8"
    write_mo(compiled, catalogue)
    return compiled.getvalue()


def used_messages(
    code: Collection[Path], recall: Recall | None = None
) -> dict[str, tuple[Path, int]]:
    """Return every message id used in the folders of ``code``, and where it is first used."""
    files = [
        (str(file.relative_to(folder.parent)), file)
        for folder in code
        for file in sorted(file for kind in _KINDS for file in folder.rglob(f"*.{kind}"))
    ]
    if recall is None:
        found = _find_messages(files)
    else:
        key = [f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for name, file in files]
        found = json.loads(
            recall(("messages", *key), lambda: json.dumps(_find_messages(files)).encode())
        )
    return {message: (Path(name), line) for message, (name, line) in found.items()}


def _find_messages(files: Collection[tuple[str, Path]]) -> dict[str, tuple[str, int]]:
    used: dict[str, tuple[str, int]] = {}
    for name, file in files:
        for line, message in _messages_in(file.read_bytes(), python=file.suffix == ".py"):
            used.setdefault(message, (name, line))
    return used


@functools.cache  # for a process that checks several trees with the same templates
def _messages_in(source: bytes, *, python: bool) -> tuple[tuple[int, str], ...]:
    if b"gettext" not in source:
        return ()  # Babel would take a second to find nothing in all our code.
    method: Any = extract_python if python else babel_extract
    found = extract(method, io.BytesIO(source), _KEYWORDS, options={"encoding": "utf-8"})
    return tuple((line, one if isinstance(one, str) else one[0]) for line, one, _, _ in found)


def check_catalogues(
    tree: SourceTree, code: Collection[Path], judge: Callable[[Language, str], str | None]
) -> Iterator[Problem]:
    """Yield a problem for each string that is missing, empty, fuzzy, malformed or unused.

    ``judge`` returns what is wrong with the text of a string in a language, or ``None``.
    """
    used = used_messages(code, tree.recall)
    model: dict[str, set[str]] = {}
    for language in WRITTEN:
        file = catalogue_file(tree.folder, language.locale)
        name = tree.name(file)
        text, problems = tree.source(file, name)
        yield from problems
        if text is None:
            continue
        if tree.read(file).startswith(codecs.BOM_UTF8):
            yield Problem(
                name,
                1,
                "The catalogue starts with a byte order mark: save it as UTF-8 without one.",
            )
        malformed = [Problem(name, line, message) for line, message in _malformed(text)]
        yield from malformed
        if malformed:
            continue
        yield from (Problem(name, line, message) for line, message in _left_behind(text))
        yield from _check_header(text, name)
        try:
            catalogue = read_po(io.StringIO(text), locale=language.locale, abort_invalid=True)
        except PoFileError as error:
            yield Problem(name, error.lineno + 1, f"Not a valid catalogue: {error}.")
            continue
        lines = _lines(text)
        yield from _check_catalogue(catalogue, name, lines, used)
        for message in catalogue:
            if isinstance(message.id, str) and isinstance(message.string, str):
                line = lines.get(message.id, 1)
                for _, wrong in explain(message.string, escaped=True):
                    # Only a carriage return has an escape in a catalogue.
                    below = text.split("\n")[line - 1 :]
                    offset = next(n for n, words in enumerate(below) if "\\r" in words)
                    yield Problem(name, line + offset, wrong)
                objection = judge(language, message.string) if message.id else None
                if objection is not None:
                    yield Problem(name, line, f"“{message.id}”: {objection}")
                names = set(_PLACEHOLDER.findall(message.string))
                if names != model.setdefault(message.id, names):
                    yield Problem(
                        name,
                        line,
                        f"“{message.id}” has the placeholders {sorted(names)} here, but "
                        f"{sorted(model[message.id])} in {WRITTEN[0].tag}.",
                    )
                elif "%" in _FORMAT.sub("", message.string):
                    wrong = f"“{message.id}” has a “%” that begins no placeholder: write %%."
                    yield Problem(name, line, wrong)


def _malformed(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the message of what Babel would skip or cut off silently.

    After the first line that breaks the order of an entry, the rest is not judged.
    """
    before, at = "", 1
    for number, line in enumerate(text.split("\n"), start=1):
        part = _PART.match(line)
        if not line.strip() or line.startswith("#"):
            continue
        if part is None:
            yield number, "This line is not part of a catalogue: an entry has a msgid and a msgstr."
            return
        if not _IN_QUOTES.fullmatch(part["string"]):
            yield number, "The string must be in quotation marks."
        keyword = part["keyword"].split("[")[0]
        if (keyword and keyword == before) or (keyword == "msgstr" and not before):
            missing = "msgid" if keyword == "msgstr" else "msgstr"
            message = f"This {keyword} has no {missing} of its own: add it, or delete the line."
            yield (number if keyword == "msgstr" else at), message
            return
        if keyword and not ("[" in part["keyword"] and before == "msgid_plural"):
            before, at = keyword, number


def _left_behind(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the message of what programs that merge catalogues leave in them."""
    first: dict[str, int] = {}
    context = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if "#-#-#-#-#" in line:
            yield number, "“#-#-#-#-#” is left from a merge: keep one of the translations."
        elif line.startswith("#~ msgid "):
            yield number, "“#~” marks a string that is no longer used: delete the entry."
        elif line.startswith("#|"):
            yield number, "“#|” marks what a string was before a merge: delete the line."
        elif line.startswith("msgctxt "):
            context = line
        elif line.startswith("msgid "):
            id_ = line.removeprefix('msgid "').removesuffix('"')
            seen = first.setdefault(context + line, number)
            context = ""
            if seen != number:
                what = f"“{id_}”" if id_ else "The header"
                yield number, f"{what} is already in line {seen}: keep one of the two."


def _check_header(text: str, name: Path) -> Iterator[Problem]:
    """Check the header, by which every program decodes the catalogue."""
    header = "".join(re.split(r"^(?=msgid )", text, flags=re.MULTILINE)[:2])
    is_header = re.search(r'^msgid ""$', header, re.MULTILINE) is not None
    fields = [*_FIELD.finditer(header)] if is_header else []
    first = {field[1].lower(): field for field in reversed(fields)}
    second = next((field for field in fields if first[field[1].lower()] != field), None)
    charsets = [*_CHARSET.finditer(header)] if is_header else []
    wrong = next((one for one in charsets if one[1].lower() not in {"utf-8", "utf8"}), None)
    if second is not None:
        # Programs differ in which of two they use.
        line = header.count("\n", 0, second.start(1)) + 1
        yield Problem(name, line, f"The header has a second “{second[1]}”: keep one of the two.")
    elif not charsets:
        yield Problem(
            name,
            1,
            "The header does not say how the file is encoded: add the line "
            '"Content-Type: text/plain; charset=UTF-8\\n" below its msgstr.',
        )
    elif wrong is not None:
        line = header.count("\n", 0, wrong.start()) + 1
        yield Problem(name, line, f"The charset is “{wrong[1]}”: write charset=UTF-8.")
    if is_header and re.search(r"^#,.*\bfuzzy\b", header, re.MULTILINE):
        line = header[: header.index("fuzzy")].count("\n") + 1
        yield Problem(name, line, "The header is marked fuzzy: remove the mark.")


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
