"""The source files in ``translations/``, and the problems in them that a writer has to fix."""

from __future__ import annotations

import functools
import io
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


class SourceTree:
    """The folder ``translations/``; a file is read once, however many rules need it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Kept with the tree, so that another build reads the files again.
        self.read = functools.cache(Path.read_bytes)

    def text(self, file: Path, errors: str = "strict") -> str:
        """Return the text of ``file``, as ``Path.read_text`` does."""
        # Some editors on Windows start a file with a byte order mark.
        with io.TextIOWrapper(io.BytesIO(self.read(file)), "utf-8-sig", errors) as text:
            return text.read()

    def toml(self, name: Path) -> tuple[str, dict[str, Any], list[Problem]]:
        """Return the text of a file in the folder, its values, and its problems under ``name``."""
        try:
            text = self.text(self.folder / name.name)
            return text, tomllib.loads(text), []
        except FileNotFoundError:
            problem = Problem(name, 1, "The file is missing.")
        except UnicodeDecodeError as error:
            problem = not_utf8(name, error)
        except tomllib.TOMLDecodeError as error:
            problem = Problem(name, toml_line(error), f"Not valid TOML: {error}.")
        return "", {}, [problem]
