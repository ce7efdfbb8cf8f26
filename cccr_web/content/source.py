"""The source files in ``translations/``, each read from the disk once."""

from __future__ import annotations

import functools
import io
import tomllib
from pathlib import Path
from typing import Any

from cccr_web.content.problem import Problem, not_utf8, toml_line


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
