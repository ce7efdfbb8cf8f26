"""Read the files of a release from a folder, following no link and reading each once."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from cccr_web.errors import MissingFileError, ReleaseError

# Without it GitHub Pages leaves out .well-known. Mirrors have it, empty; no release lists it.
NO_JEKYLL: Final = ".nojekyll"

_BLOCK: Final = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# O_NONBLOCK: opening a named pipe must not block before its type is known.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def printable(path: str) -> str:
    """Escape a name that may come from an attacker, for terminals and logs."""
    return path if path.isascii() and path.isprintable() else ascii(path)


def too_long(path: str, limit: int) -> ReleaseError:
    """Return the error of a file that exceeds its limit."""
    return ReleaseError(f"{printable(path)} has more than {limit:,} bytes.", path=path)


class ReleaseFolder:
    """A folder that stays open: a folder that later takes its name is not read."""

    def __init__(self, top: int) -> None:
        self._top = top

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[ReleaseFolder]:
        """Hold the folder open. Raises ``ReleaseError``."""
        try:
            top = os.open(path, _FOLDER)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            raise ReleaseError(
                f"{path} is not a release: {error.strerror}.",
                "Make one with: cccr-web build --out FOLDER"
                if missing
                else "Check its permissions and the disk.",
            ) from error
        try:
            yield cls(top)
        finally:
            os.close(top)

    def read(self, path: str, limit: int) -> bytes:
        """Read a regular file. Its bytes are read once: what is checked is what is served."""
        *folders, name = path.split("/")
        with contextlib.ExitStack() as opened:
            here = self._top
            try:
                for folder in folders:
                    here = os.open(folder, _FOLDER, dir_fd=here)
                    opened.callback(os.close, here)
                descriptor = os.open(name, _FILE, dir_fd=here)
                opened.callback(os.close, descriptor)
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ReleaseError(f"{path} is not a regular file.", path=path)
                if status.st_size > limit:
                    raise too_long(path, limit)
                body = _read_all(descriptor, status.st_size, limit)
            except OSError as error:
                kind = MissingFileError if isinstance(error, FileNotFoundError) else ReleaseError
                raise kind(f"{path} cannot be read: {_reason(error)}.", path=path) from error
        if len(body) > limit:
            raise too_long(path, limit)
        return body

    def unlisted(self, listed: Collection[str]) -> Iterator[str]:
        """Yield what is not listed in this folder and below, links and folders included."""
        folders = {
            path[:index] for path in listed for index, char in enumerate(path) if char == "/"
        }
        try:
            for path in _unlisted(self._top, "", listed, folders):
                if path != NO_JEKYLL or self.read(path, 0):
                    yield path
        except OSError as error:
            raise ReleaseError(
                f"The folder changed while it was read: {error.strerror}."
            ) from error


def _reason(error: OSError) -> str:
    # O_NOFOLLOW has found a link where a file, or a folder above it, should be.
    return "it is a link" if error.errno == errno.ELOOP else str(error.strerror)


def _read_all(descriptor: int, expected: int, limit: int) -> bytes:
    """Read to the end, but never much more than ``limit``: the file may grow meanwhile.

    A file that does not grow is in memory once.
    """
    pieces: list[bytes] = []
    length, size = 0, expected + 1
    while length <= limit and (piece := os.read(descriptor, size)):
        pieces.append(piece)
        length += len(piece)
        size = min(limit + 1 - length, _BLOCK)
    return b"".join(pieces)


def _unlisted(
    here: int, prefix: str, listed: Collection[str], folders: Collection[str]
) -> Iterator[str]:
    with os.scandir(here) as entries:
        for entry in entries:
            path = prefix + entry.name
            if path in folders:
                # Only as deep as listed files are: the depth cannot be an attacker's choice.
                below = os.open(entry.name, _FOLDER, dir_fd=here)
                try:
                    yield from _unlisted(below, f"{path}/", listed, folders)
                finally:
                    os.close(below)
            elif path not in listed:
                yield path
