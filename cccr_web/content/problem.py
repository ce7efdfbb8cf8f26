"""One thing that a writer has to mend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cccr_web.errors import CccrError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong, in which file (relative to ``translations/``'s parent) and line (from 1)."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def not_utf8(file: Path, error: UnicodeDecodeError) -> Problem:
    """Return the problem of a file that is in another encoding."""
    return Problem(file, 1, f"The file is not UTF-8 (byte {error.start + 1}).")


class ContentError(CccrError):
    """The tree of texts cannot be published; ``problems`` says why, sorted by file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))
