"""``translations/photos.toml``: who took each photo, and who allowed its publication.

Only the records are read here; ``render`` reads the photos themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cccr_web.content.source import Problem, SourceTree
from cccr_web.languages import WRITTEN

FILE = Path("translations/photos.toml")
FOLDER = "photos"

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.(jpg|png)")
_RECORD = re.compile(r'\s*\["([^"]*)"\]')
_KEY = re.compile(r"\s*([A-Za-z_]+(?:\.[A-Za-z_]+)?)\s*=")

_REQUIRED = ("author", "licence", "permission")

# The first bytes of each file type.
_MAGIC = {"jpg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n\x1a\n"}


@dataclass(frozen=True, slots=True)
class Photo:
    """The record of one photo; ``alt`` is its alternative text by locale.

    ``line`` is where the record starts in ``photos.toml``.
    """

    name: str
    author: str
    licence: str
    permission: str
    alt: Mapping[str, str]
    line: int


def read_photos(tree: SourceTree) -> tuple[dict[str, Photo], list[Problem]]:
    """Read the records below ``tree`` and check that their files exist.

    ``photos.toml`` is optional.
    """
    if not (tree.folder / FILE.name).exists():
        return {}, [*_without_record(tree.folder, {})]
    text, values, problems = tree.toml(FILE)
    if problems:
        return {}, problems
    lines = _lines(text)
    problems += _without_record(tree.folder, values)
    photos: dict[str, Photo] = {}
    for name, record in values.items():
        line = lines.get((name, ""), 1)
        wrong = [*_wrong_name(name, values, tree.folder), *_wrong_record(name, record)]
        problems += [Problem(FILE, lines.get((name, key), line), what) for key, what in wrong]
        if not wrong:
            photos[name] = Photo(name=name, line=line, **record)
    return photos, problems


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Return the line of each record, and of each of its keys."""
    lines: dict[tuple[str, str], int] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if record := _RECORD.match(line):
            name = record[1]
            lines[name, ""] = number
        elif key := _KEY.match(line):
            lines[name, key[1]] = number
    return lines


def _without_record(tree: Path, values: Mapping[str, Any]) -> Iterator[Problem]:
    folder = tree / FOLDER
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.name not in values:
            yield Problem(
                Path(tree.name, FOLDER, file.name), 1, f"This photo has no record in {FILE}."
            )


def _wrong_name(name: str, values: Mapping[str, Any], tree: Path) -> Iterator[tuple[str, str]]:
    if _NAME.fullmatch(name) is None:
        yield (
            "",
            f"“{name}” must be lower-case letters, digits and hyphens, ending in .jpg or .png.",
        )
        return
    stem, _, ending = name.partition(".")
    if ending == "png" and f"{stem}.jpg" in values:
        yield "", f"“{name}” and “{stem}.jpg” would have the same URL."
    try:
        with (tree / FOLDER / name).open("rb") as file:
            begins = file.read(len(_MAGIC[ending]))
    except OSError as error:
        yield "", f"“{name}” cannot be read in {Path(tree.name, FOLDER)}: {error.strerror}."
    else:
        if begins != _MAGIC[ending]:
            yield "", f"“{name}” is not a {ending.upper()} file."


def _wrong_record(name: str, record: Any) -> Iterator[tuple[str, str]]:
    """Yield each missing or wrong key, and why it is wrong."""
    if not isinstance(record, dict):
        yield "", f"“{name}” must be a table: [“{name}”] with its keys below it."
        return
    for key in record.keys() - {*_REQUIRED, "alt"}:
        yield key, f"“{name}” has an unknown key “{key}”."
    for key in _REQUIRED:
        if not _is_text(record.get(key)):
            yield key, f"“{name}” needs “{key}”, a text in quotation marks."
    alt = record.get("alt")
    alt = alt if isinstance(alt, dict) else {}
    locales = [language.locale for language in WRITTEN]
    for locale in alt.keys() - {*locales}:
        yield f"alt.{locale}", f"“{name}” has an unknown key “alt.{locale}”."
    for locale in locales:
        if not _is_text(alt.get(locale)):
            yield f"alt.{locale}", f"“{name}” needs “alt.{locale}”, a text in quotation marks."


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
