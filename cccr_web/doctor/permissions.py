"""Files, sockets and folders with restricted access: their owners and permissions."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from cccr_web.doctor.model import CheckResult, PrivatePath, not_checked, ok, wrong

_NAME: Final = "permissions"

# The default modes: only the owner uses a key; a socket's group may connect as well.
_FILE, _SOCKET, _FOLDER = 0o600, 0o660, 0o750
# Users of services: Debian's, and those that systemd allocates (DynamicUser=).
_SERVICES: Final = (range(1000), range(61184, 65520))


def check_permissions(
    private: Iterable[PrivatePath], causes: Mapping[Path, str] | None = None
) -> Iterator[CheckResult]:
    """Check each path. ``causes`` are the checks that found why some of them are missing."""
    for each in private:
        cause = (causes or {}).get(each.path)
        yield _problem(each, cause) or ok(_NAME, f"{each.path}: {_description(each.path.stat())}.")


def _description(found: os.stat_result) -> str:
    return f"mode {stat.S_IMODE(found.st_mode):04o}, owner {_user(found.st_uid)}"


def _problem(private: PrivatePath, cause: str | None) -> CheckResult | None:
    path = private.path
    try:
        found = path.stat()
    except FileNotFoundError:
        if cause:
            return not_checked(_NAME, cause)
        return wrong(
            _NAME,
            f"{path} does not exist.",
            "If a program creates it, start that program. Otherwise correct the path.",
        )
    except OSError as error:
        return wrong(
            _NAME,
            f"{path} cannot be checked: {error.strerror}.",
            "Run this as root.",
        )
    mode = stat.S_IMODE(found.st_mode)
    allowed = _default_mode(found.st_mode) if private.mode is None else private.mode
    # To connect to a socket takes write permission; read permission has no effect (unix(7)).
    relevant = 0o222 if stat.S_ISSOCK(found.st_mode) else 0o7777
    if mode & ~allowed & relevant:
        return wrong(
            _NAME,
            f"{path} is accessible to too many users ({_description(found)}).",
            f"chmod {mode & allowed:04o} {path}. If it is a key, find out who may have read it.",
        )
    if not _is_right_owner(found, private.owner):
        expected = private.owner or "root or a service's user"
        return wrong(
            _NAME,
            f"{path} belongs to {_user(found.st_uid)}, not to {expected}.",
            f"chown {private.owner or 'root'} {path}",
        )
    return _writable_parent(path)


def _default_mode(mode: int) -> int:
    if stat.S_ISSOCK(mode):
        return _SOCKET
    return _FOLDER if stat.S_ISDIR(mode) else _FILE


def _is_right_owner(found: os.stat_result, owner: str | None) -> bool:
    if owner is not None:
        return _user(found.st_uid) == owner
    if found.st_uid in {0, os.geteuid()}:
        return True
    return not stat.S_ISREG(found.st_mode) and any(found.st_uid in users for users in _SERVICES)


def _writable_parent(path: Path) -> CheckResult | None:
    """Find a parent folder in which every user could replace the path."""
    for folder in Path(os.path.realpath(path)).parents:
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return wrong(
                _NAME,
                f"Every user can replace {path}, because {folder} is writable by all.",
                f"chmod o-w {folder}",
            )
    return None


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
