"""Paths with restricted access (``doctor/permissions.py``)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cccr_web.doctor import CheckResult, CheckVerdict, PrivatePath
from cccr_web.doctor.permissions import _user, check_permissions


def permission(*private: PrivatePath) -> CheckResult:
    """Return the result for one path."""
    (result,) = check_permissions(private)
    return result


@pytest.mark.parametrize(
    ("mode", "meant", "verdict"),
    [
        (0o600, "", "ok"),
        (0o400, "", "ok"),
        (0o644, "", "wrong"),
        (0o640, "", "wrong"),
        (0o640, "=0640", "ok"),
        (0o640, f"={_user(os.geteuid())}:0640", "ok"),
        (0o640, "=somebody-else:0640", "wrong"),
        (0o660, "=0640", "wrong"),
    ],
)
def test_a_key_that_others_may_read_is_wrong_unless_allowed(
    folder: Path, mode: int, meant: str, verdict: str
) -> None:
    """A key that other users may read is wrong, unless its given mode allows that."""
    path = folder / "a.key"
    path.touch()
    path.chmod(mode)
    result = permission(PrivatePath.parse(f"{path}{meant}"))
    assert result.verdict.value == verdict, result
    if verdict == "wrong" and "else" not in meant:
        assert f"chmod {mode & (0o640 if meant else 0o600):04o} {path}" in result.remedy


@pytest.mark.parametrize(("mode", "verdict"), [(0o660, "ok"), (0o755, "ok"), (0o666, "wrong")])
def test_a_socket_open_to_everyone_is_wrong(folder: Path, mode: int, verdict: str) -> None:
    """A socket that every user may connect to is wrong; read permission does not matter."""
    path = folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(mode)
        result = permission(PrivatePath(path))
    assert result.verdict.value == verdict
    if verdict == "wrong":
        assert result.remedy.startswith(f"chmod 0660 {path}.")


def test_a_key_owned_by_an_ordinary_user_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that belongs to an ordinary user is wrong."""
    path = folder / "a.key"
    path.touch(mode=0o600)
    found = list(path.stat())
    found[4] = 54321
    # Only root can give a file away.
    monkeypatch.setattr(Path, "stat", lambda _path: os.stat_result(found))
    result = permission(PrivatePath(path))
    assert result.verdict is CheckVerdict.WRONG
    assert result.sentence == f"{path} belongs to 54321, not to root or a service's user."


def test_a_key_in_a_folder_writable_by_all_is_wrong(folder: Path) -> None:
    """A key in a folder writable by all is wrong, because every user can replace it."""
    (folder / "all").mkdir()
    path = folder / "all" / "a.key"
    path.touch(mode=0o600)
    (folder / "all").chmod(0o777)
    result = permission(PrivatePath(path))
    assert result.verdict is CheckVerdict.WRONG
    assert "Every user can replace" in result.sentence
    (folder / "all").chmod(0o1777)
    assert permission(PrivatePath(path)).verdict is CheckVerdict.OK


def test_a_missing_path_is_wrong(folder: Path) -> None:
    """A missing path cannot be checked and is wrong."""
    result = permission(PrivatePath(folder / "none"))
    assert result.verdict is CheckVerdict.WRONG
    assert result.sentence == f"{folder / 'none'} does not exist."


@pytest.mark.parametrize("text", ["/a=", "/a=x", "/a=1777", "=0600", "/a=root:"])
def test_a_malformed_private_path_is_rejected(text: str) -> None:
    """A path with a malformed mode or owner is rejected."""
    with pytest.raises(ValueError, match="is not PATH, PATH=0640"):
        PrivatePath.parse(text)
