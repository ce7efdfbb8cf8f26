"""Files, sockets and folders that not everybody may reach: their owners and permissions."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cccr_web.doctor.result import Result, ok, wrong

NAME: Final = "permissions"

# What is meant where nothing else is said: a key is its owner's, a socket also its group's.
_FILE, _SOCKET, _FOLDER = 0o600, 0o660, 0o750
# Users of services: Debian's, and those that systemd makes up (DynamicUser=).
_SERVICES: Final = (range(1000), range(61184, 65520))


@dataclass(frozen=True, slots=True)
class Private:
    """A path; the most that its mode may allow, and its owner, where that was said."""

    path: Path
    mode: int | None = None
    owner: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``PATH``, ``PATH=MODE`` or ``PATH=OWNER:MODE``. Raises ``ValueError``."""
        path, said, meant = text.rpartition("=")
        if not said:
            return cls(Path(text))
        owner, _, mode = meant.rpartition(":")
        try:
            bits = int(mode, 8)
        except ValueError:
            bits = -1
        if not 0 <= bits <= 0o777 or not path:
            raise ValueError(f"“{text}” is not PATH, PATH=0640 or PATH=OWNER:0640.")
        return cls(Path(path), bits, owner or None)


def check_private(private: Iterable[Private]) -> Iterator[Result]:
    """Judge each path."""
    for each in private:
        problem = _problem(each)
        yield problem or ok(NAME, f"{each.path}: {_described(each.path)}.")


def _described(path: Path) -> str:
    found = path.stat()
    return f"mode {stat.S_IMODE(found.st_mode):04o}, of {_user(found.st_uid)}"


def _problem(private: Private) -> Result | None:
    path = private.path
    try:
        found = path.stat()
    except OSError as error:
        return wrong(
            NAME,
            f"{path} cannot be looked at: {error.strerror}.",
            "Give the path of something that is there, and run this as root.",
        )
    mode = stat.S_IMODE(found.st_mode)
    meant = _meant(found.st_mode) if private.mode is None else private.mode
    if stat.S_ISSOCK(found.st_mode):
        # To connect needs the right to write (unix(7)); that to read means nothing.
        mode &= 0o222
        meant &= 0o222
    if mode & ~meant:
        return wrong(
            NAME,
            f"{path} is open to more than it should be ({_described(path)}).",
            f"chmod {stat.S_IMODE(found.st_mode) & meant:04o} {path}; "
            "if it is a key, ask who may have read it.",
        )
    if not _is_right_owner(found, private.owner):
        expected = private.owner or "root or of a service"
        return wrong(
            NAME,
            f"{path} is of {_user(found.st_uid)}, and should be of {expected}.",
            f"chown {private.owner or 'root'} {path}",
        )
    return _open_parent(path)


def _meant(mode: int) -> int:
    if stat.S_ISSOCK(mode):
        return _SOCKET
    return _FOLDER if stat.S_ISDIR(mode) else _FILE


def _is_right_owner(found: os.stat_result, owner: str | None) -> bool:
    if owner is not None:
        return _user(found.st_uid) == owner
    if found.st_uid in {0, os.geteuid()}:
        return True
    return not stat.S_ISREG(found.st_mode) and any(found.st_uid in users for users in _SERVICES)


def _open_parent(path: Path) -> Result | None:
    """Find a folder above in which anybody could put something else in its place."""
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return wrong(
                NAME,
                f"{path} can be replaced by anybody, as all may write into {folder}.",
                f"chmod o-w {folder}",
            )
    return None


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
