"""Problems that a writer has to fix."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cccr_web.errors import CccrError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A message about one line (from 1) of a file, named from the parent of ``translations/``."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def content_error(problems: Sequence[Problem]) -> CccrError:
    """Return the error that lists ``problems``, sorted by file and line; each says what to do."""
    return CccrError("\n".join(str(problem) for problem in sorted(set(problems))))


def not_utf8(file: Path, error: UnicodeDecodeError) -> Problem:
    """Return the problem of a file in another encoding."""
    return Problem(file, 1, f"The file is not UTF-8 (byte {error.start + 1}).")


def toml_line(error: tomllib.TOMLDecodeError) -> int:
    """Return the line that ``error`` names; 1 if it names none."""
    where = re.search(r"at line (\d+)", str(error))
    return int(where[1]) if where else 1
