"""The source files in ``translations/``, and the problems in them that a writer has to fix.

The same rules hold for the bytes and characters of every kind of file. The other rules read
a text as ``SourceTree.source`` returns it: corrected, so that a mistake in a character is not
reported again as something else.
"""

from __future__ import annotations

import functools
import io
import re
import sys
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from cccr_web.content.characters import clean, explain, find
from cccr_web.errors import CccrError

ReadFile = TypeVar("ReadFile")

# The lines that a merge leaves; “=======” alone can be Markdown's underline of a heading.
_CONFLICT: Final = re.compile(r"^(<{7}|>{7}|\|{7})( .*)?$", re.MULTILINE)

# What “cccr-web new” leaves for the writer.
_PLACEHOLDER: Final = re.compile(r"\{\{[^{}\n]*\}\}")

_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|([bfre]))")
_ESCAPED: Final = {"b": "\b", "f": "\f", "r": "\r", "e": "\x1b"}

# What TOML allows outside quotation marks is ASCII.
_QUOTED: Final = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#.*")
_STRAIGHT: Final = {**dict.fromkeys("“”„‟＂", '"'), **dict.fromkeys("‘’‚‛＇", "'")}

# What macOS, Windows and editors put into any folder that somebody opens.
_LEFT_BY_SYSTEM: Final = re.compile(r"\..*|Thumbs\.db|desktop\.ini|~\$.*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A message about one line (from 1) of a file, under its ``SourceTree.name``."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        # One line, whatever the name of the file.
        return f"{self.file}:{self.line}: {self.message}".replace("\n", "\\n")


def content_error(problems: Sequence[Problem]) -> CccrError:
    """Return the error that lists ``problems``, sorted by file and line; each says what to do."""
    return CccrError("\n".join(str(problem) for problem in sorted(set(problems))))


def unreadable(name: Path, error: OSError) -> Problem:
    """Return the problem of a file that the system does not let us read."""
    return Problem(name, 1, f"The file cannot be read: {error.strerror}.")


def is_left_by_system(name: str) -> bool:
    """Whether a file of this name was made by a program for itself, and can be ignored."""
    return _LEFT_BY_SYSTEM.fullmatch(name) is not None


# Returns what the second argument returns, now or before; it depends on nothing but the first.
Recall = Callable[[Sequence[str], Callable[[], bytes]], bytes]


class SourceTree:
    """The folder ``translations/``; a file is read once, however many rules need it.

    ``recall`` remembers what texts contain, if anything does. What was read from a file in an
    ``earlier`` tree is read from it again only if its bytes differ.
    """

    def __init__(
        self, folder: Path, recall: Recall | None = None, *, earlier: SourceTree | None = None
    ) -> None:
        self.folder = folder
        self.recall = recall
        # Kept with the tree, so that another build reads the files again.
        self.read = functools.cache(Path.read_bytes)
        self.known: dict[Path, tuple[bytes, Any]] = {} if earlier is None else earlier.known

    def parsed(self, file: Path, parse: Callable[[], ReadFile]) -> ReadFile:
        """Return what ``parse`` makes of ``file``, which must depend on nothing else."""
        try:
            body = self.read(file)
        except OSError:
            # Its own error says what is wrong.
            return parse()
        name = file.relative_to(self.folder)
        known = self.known.get(name)
        if known is None or known[0] != body:
            known = self.known[name] = body, parse()
        found: ReadFile = known[1]
        return found

    def name(self, file: Path | str) -> Path:
        """Return the name of a file in messages: from the parent of the folder."""
        return self.folder.name / (self.folder / file).relative_to(self.folder)

    def text(self, file: Path, errors: str = "strict") -> str:
        """Return the text of ``file``, as ``Path.read_text`` does."""
        # Some editors on Windows start a file with a byte order mark.
        with io.TextIOWrapper(io.BytesIO(self.read(file)), "utf-8-sig", errors) as text:
            return text.read()

    def source(self, file: Path, name: Path) -> tuple[str | None, list[Problem]]:
        """Return the corrected text of ``file``, and its problems under ``name``.

        The text is ``None`` if there is none to go on with.
        """
        try:
            text = self.text(file)
        except FileNotFoundError:
            return None, [Problem(name, 1, "The file is missing.")]
        except OSError as error:
            return None, [unreadable(name, error)]
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            where = f"byte {error.start + 1}"
            return None, [
                Problem(name, line, f"The file is not UTF-8 ({where}): save it as UTF-8.")
            ]
        if conflict := _CONFLICT.search(text):
            message = (
                f"“{conflict[1]}” is left from a merge: keep one version, and delete the "
                "lines with <<<<<<<, ======= and >>>>>>>."
            )
            return None, [Problem(name, text.count("\n", 0, conflict.start()) + 1, message)]
        problems = [Problem(name, line, message) for line, message in explain(text)]
        for found in _PLACEHOLDER.finditer(text):
            message = f"“{found[0]}” is a placeholder: replace it, with its braces."
            problems.append(Problem(name, text.count("\n", 0, found.start()) + 1, message))
        return clean(text), problems

    def toml(self, file: str) -> tuple[str, dict[str, Any] | None, list[Problem]]:
        """Return the text of a file in the folder, its values, and its problems.

        The values are ``None`` if the file cannot be read.
        """
        name = self.name(file)
        text, problems = self.source(self.folder / file, name)
        if text is None:
            return "", None, problems
        values, found = parse_toml(text, name)
        return text, values, problems + found


def parse_toml(
    text: str, name: Path, lines_before: int = 0
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return the values of a text that starts after ``lines_before`` lines of its file."""
    lines = text.split("\n")
    try:
        values = tomllib.loads(text)
        escaped = [*_escaped(values)]
    except tomllib.TOMLDecodeError as error:
        line, message = _invalid(error, lines)
        return None, [Problem(name, line + lines_before, message)]
    except (ValueError, RecursionError):  # Python's own limits
        longest = max(range(len(lines)), key=lambda at: len(lines[at]))
        message = "Not valid TOML: a number is too long, or too much is nested: shorten this line."
        return None, [Problem(name, longest + 1 + lines_before, message)]
    problems = []
    for char, message in escaped:
        line = next((n for n, line in enumerate(lines, 1) if char in _unescape(line)), 1)
        problems.append(Problem(name, line + lines_before, message))
    return _corrected(values) if problems else values, problems


def _invalid(error: tomllib.TOMLDecodeError, lines: list[str]) -> tuple[int, str]:
    """Return the line and the message of an error, and what to type."""
    where = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
    suspects = [int(where[1])] if where else [*range(1, len(lines) + 1)]
    for number in suspects:
        bare = _QUOTED.sub("", lines[number - 1])
        wrong = next((char for char in bare if not char.isascii()), None)
        if wrong is None:
            continue
        typed = _STRAIGHT.get(wrong) or unicodedata.normalize("NFKC", wrong)
        if wrong in _STRAIGHT:
            return number, f"The quotation mark {wrong} is curly: type a straight one, {typed}."
        if typed.isascii():
            return number, f"“{wrong}” is a full-width character: type “{typed}”."
        return number, f'“{wrong}” is outside quotation marks: put the text between two “"”.'
    detail = re.sub(r" \(at .*\)$", "", str(error))
    column = f" (column {where[2]})" if where else ""
    return int(where[1]) if where else len(lines), f"Not valid TOML: {detail}{column}."


def _escaped(value: Any) -> Iterator[tuple[str, str]]:
    """Yield each forbidden character that is written as an escape, and the message."""
    if isinstance(value, str):
        for found in find(value):
            _, message = next(explain(found.char, escaped=True))
            yield found.char, message
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _escaped(key)
            yield from _escaped(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _escaped(inner)


def _corrected(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {_corrected(key): _corrected(inner) for key, inner in value.items()}
    return [_corrected(inner) for inner in value] if isinstance(value, list) else value


def _unescape(line: str) -> str:
    def char(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if not code:
            return _ESCAPED[match[4]]
        # In single quotes, a backslash begins no escape, and any digits can follow it.
        return chr(int(code, 16)) if int(code, 16) <= sys.maxunicode else match[0]

    return _ESCAPE.sub(char, line)
