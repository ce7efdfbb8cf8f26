"""``translations/names.toml``: the names that no conversion of characters may touch.

Converting a name from Simplified to Traditional characters is a guess: 余 stays 余 in one
name and becomes 餘 in another. So each name is listed with the form that its owner uses,
which is the very same where nothing else is known.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cccr_web.content.problem import Problem, not_utf8

FILE = Path("translations/names.toml")

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]+")
_KEY = re.compile(r'\s*"([^"]*)"\s*=')


def read_names(tree: Path) -> tuple[dict[str, str], list[Problem]]:
    """Read ``names.toml`` below ``tree``; each problem has its line."""
    try:
        text = (tree / FILE.name).read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError:
        return {}, [Problem(FILE, 1, "The file is missing.")]
    except UnicodeDecodeError as error:
        return {}, [not_utf8(FILE, error)]
    except tomllib.TOMLDecodeError as error:
        # A name that stands twice is found here too.
        where = re.search(r"at line (\d+)", str(error))
        return {}, [Problem(FILE, int(where[1]) if where else 1, f"Not TOML: {error}.")]
    lines = _lines(text)
    problems = [Problem(FILE, lines.get(name, 1), what) for name, what in _wrong(values)]
    return ({} if problems else values), problems


def _lines(text: str) -> dict[str, int]:
    """Return the line of each name, counted from 1."""
    found = ((number, _KEY.match(line)) for number, line in enumerate(text.splitlines(), start=1))
    return {match[1]: number for number, match in found if match}


def _wrong(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each name that is wrong, and why."""
    for name, form in values.items():
        if _HAN.fullmatch(name) is None or len(name) < 2:
            yield name, f"“{name}” is no name of two Chinese characters or more."
        elif not isinstance(form, str) or _HAN.fullmatch(form) is None or len(form) != len(name):
            yield name, f"“{name}” needs a form of {len(name)} Chinese characters, in quotes."
    for before, name in itertools.pairwise(filter(_HAN.fullmatch, values)):
        if name < before:
            yield name, f"“{name}” must stand before “{before}”: sort the names by their code."
