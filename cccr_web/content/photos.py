"""``translations/photos.toml``: who took each photo, and who allowed its publication.

Only the records are read here; ``render/photos.py`` makes the published photos.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cccr_web.content.source_tree import (
    Problem,
    SourceTree,
    is_left_by_system,
    open_regular,
)
from cccr_web.languages import WRITTEN

FILE = "photos.toml"
# The first bytes of a file, or why it cannot be read.
_Start = bytes | OSError
FOLDER = "photos"

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.(jpg|png)")
_RECORD = re.compile(r'\s*\["([^"]*)"\]')
_KEY = re.compile(r"\s*([A-Za-z_]+(?:\.[A-Za-z_]+)?)\s*=")

_REQUIRED = ("author", "licence", "permission")

_ENDINGS = {"JPEG": "jpg", "PNG": "png"}

# The first bytes of each format that cameras, phones and programs write.
_MAGIC = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("GIF", re.compile(rb"GIF8")),
    ("WebP", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("AVIF", re.compile(rb"....ftypavi[fs]", re.DOTALL)),
    ("HEIC", re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.DOTALL)),
    ("TIFF", re.compile(rb"II\*\0|MM\0\*")),
    ("BMP", re.compile(rb"BM")),
    ("PDF", re.compile(rb"%PDF")),
    ("SVG", re.compile(rb"\s*<(\?xml|svg)")),
)
_LONGEST_START = 64


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
    if not (tree.folder / FILE).exists():
        return {}, [*_without_record(_files(tree.folder), {}, tree)]
    text, values, problems = tree.toml(FILE)
    if values is None:
        return {}, problems
    lines = _lines(text)
    files = _files(tree.folder)
    photos: dict[str, Photo] = {}
    wrong = list(_without_record(files, values, tree))
    for name, record in values.items():
        line = lines.get((name, ""), 1)
        found = [
            *_wrong_name(name, values),
            *_wrong_file(name, files),
            *_wrong_record(name, record),
        ]
        wrong += [
            Problem(tree.name(FILE), lines.get((name, key), line), what) for key, what in found
        ]
        if not found:
            photos[name] = Photo(name=name, line=line, **record)
    return ({} if wrong else photos), problems + wrong


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


def _files(tree: Path) -> dict[str, _Start]:
    """Return the first bytes of each file in the folder of photos, by name."""
    folder = tree / FOLDER
    found: dict[str, _Start] = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not is_left_by_system(file.name):
            try:
                with open_regular(file) as opened:
                    found[file.name] = opened.read(_LONGEST_START)
            except OSError as error:
                found[file.name] = error
    return found


def _without_record(
    files: Mapping[str, _Start], values: Mapping[str, Any], tree: SourceTree
) -> Iterator[Problem]:
    """Yield what is already wrong with each photo that has no record yet."""
    meant = {_tidy(name) for name in values.keys() - files.keys()}
    for name in files.keys() - values.keys():
        if _tidy(name) in meant:
            continue
        place = tree.name(f"{FOLDER}/{name}")
        yield Problem(place, 1, f"This photo has no record in {FILE}: add one.")
        for _, message in (*_wrong_name(name, values), *_wrong_file(name, files)):
            yield Problem(place, 1, message)


def _tidy(name: str) -> str:
    """Return a name as it should be."""
    stem, _, ending = name.lower().rpartition(".")
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "photo"
    return f"{stem}.{'jpg' if ending in {'jpeg', 'jpe'} else ending}"


def _wrong_name(name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if _NAME.fullmatch(name) is None:
        example = f", such as {_tidy(name)}" if _NAME.fullmatch(_tidy(name)) else ""
        yield (
            "",
            (
                f"“{name}” must be lower-case letters, digits and hyphens, ending in .jpg or .png"
                f"{example}."
            ),
        )
    stem, _, ending = name.partition(".")
    if ending == "png" and f"{stem}.jpg" in values:
        yield "", f"“{name}” and “{stem}.jpg” would have the same URL: rename one of them."


def _wrong_file(name: str, files: Mapping[str, _Start]) -> Iterator[tuple[str, str]]:
    if name not in files:
        alike = next((file for file in files if _tidy(file) == _tidy(name)), None)
        if alike is None:
            yield "", f"“{name}” is not in {FOLDER}/: put it there, or remove the record."
        else:
            yield "", f"“{name}” is “{alike}” in {FOLDER}/: rename the file."
            yield from _wrong_content(alike, files[alike])
        return
    yield from _wrong_content(name, files[name])


def _wrong_content(name: str, start: _Start) -> Iterator[tuple[str, str]]:
    if isinstance(start, OSError):
        yield "", f"“{name}” cannot be read: {start.strerror}."
        return
    yield from (("", message) for message in wrong_format(name, start))
    format_, ending = _format(start), _tidy(name).rpartition(".")[2]
    right = _ENDINGS.get(format_ or "", ending)
    if ending in _ENDINGS.values() and ending != right:
        yield "", f"“{name}” is in the format {format_}: its name must end in .{right}."


def _format(start: bytes) -> str | None:
    """Judge a file by its first bytes, because many programs do not look at its name."""
    return next((kind for kind, magic in _MAGIC if magic.match(start)), None)


def wrong_format(name: str, start: bytes) -> Iterator[str]:
    """Yield what is wrong with the format of a file that starts with ``start``, and what to do."""
    format_ = _format(start)
    if format_ is None:
        yield f"“{name}” is not a photo in a known format: save it as JPEG or PNG."
    elif format_ == "HEIC":
        yield (
            f"“{name}” is in the format HEIC, as iPhones write it: convert it to JPEG. On a phone "
            "or a Mac, open it and export it as JPEG; on Debian, install libheif-examples and run "
            f"“heif-convert {shlex.quote(name)} {Path(_tidy(name)).stem}.jpg”."
        )
    elif format_ not in _ENDINGS:
        yield f"“{name}” is in the format {format_}: save it as JPEG or PNG."


def file_name(name: str, start: bytes) -> str:
    """Return the name to give a JPEG or PNG that is called ``name`` and starts with ``start``."""
    return f"{Path(_tidy(name)).stem}.{_ENDINGS[_format(start) or 'JPEG']}"


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
