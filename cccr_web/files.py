"""Create and replace files and folders on the disk, each in one step.

Each is written under a temporary name in the same folder and then renamed. So every reader,
even one that starts after a crash, finds it complete or not at all. These functions raise
``OSError``, which ``writing`` explains.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import os
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError

_LIBC: Final = ctypes.CDLL(None, use_errno=True)

_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1
_RENAME_EXCHANGE: Final = 2


def create(file: Path, body: bytes, *, mode: int = 0o666) -> None:
    """Write a new file. Raises ``FileExistsError`` if it exists.

    The umask limits ``mode``, but the owner can always read and write the file.
    """
    with _temporary(file) as partial:
        _write(partial, body, mode)
        try:
            _rename(partial, file, _RENAME_NOREPLACE)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.ENOSYS}:
                raise
            # Network file systems do not know the flag, but have hard links, which never
            # replace a file either. vfat on a USB stick has no links, but knows the flag.
            os.link(partial, file)
    _sync_folder(file.parent)


def create_all(files: Mapping[Path, bytes]) -> None:
    """Write new files, or none of them. Raises ``FileExistsError`` if one exists.

    A call that was killed may have written some. If their content is the same, the next call
    writes the others.
    """
    left = {file: body for file, body in files.items() if not _holds(file, body)}
    for file in left or files:
        if os.path.lexists(file):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    made: list[Path] = []
    try:
        for file, body in left.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            create(file, body)
            made.append(file)
    except OSError:
        for file in made:
            file.unlink(missing_ok=True)
        raise


def _holds(file: Path, body: bytes) -> bool:
    return file.is_file() and file.read_bytes() == body


def replace(file: Path, body: bytes, *, owner: os.stat_result | None = None) -> None:
    """Write ``file``, whether it exists or not.

    With ``owner``, the new file belongs to that user and group.
    """
    with _temporary(file) as partial:
        _write(partial, body)
        if owner is not None:
            os.chown(partial, owner.st_uid, owner.st_gid)
        partial.replace(file)
    _sync_folder(file.parent)


def replace_folder(folder: Path, contents: Mapping[str, bytes], keep: Iterable[str] = ()) -> None:
    """Write a folder of files (relative path → content), and remove the one it replaces.

    The files and folders of the old one at the paths to ``keep`` are in both until then.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(folder) as partial:
        partial.mkdir()
        for below in {*map(os.path.dirname, contents)}:
            (partial / below).mkdir(parents=True, exist_ok=True)
        for path, body in contents.items():
            _write(partial / path, body, flush=False)
        for path in keep:
            _link(folder / path, partial / path)
        _flush_all(partial)
        if folder.exists():
            # Exchange them, so the folder always exists.
            _rename(partial, folder, _RENAME_EXCHANGE)
        else:
            partial.rename(folder)
        _sync_folder(folder.parent)


def rename(old: Path, new: Path) -> None:
    """Give a file or a folder another name in the same folder, which survives a power cut."""
    old.rename(new)
    _sync_folder(new.parent)


def read_input(file: Path, most: int) -> bytes:
    """Return what is in a file that a person has named; at most ``most`` bytes.

    Raises ``CccrError``.
    """
    try:
        with file.open("rb") as opened:
            body = opened.read(most + 1)
    except OSError as error:
        raise CccrError(f"{file} cannot be read: {error.strerror}.", "Check the path.") from error
    if len(body) > most:
        raise CccrError(f"{file} has more than {most // 1_000_000} MB.", "Make it smaller.")
    return body


@contextlib.contextmanager
def writing(path: Path, remedy: str) -> Iterator[None]:
    """Raise ``CccrError`` with this remedy if the block cannot write ``path``."""
    try:
        yield
    except OSError as error:
        raise CccrError(f"{path} cannot be written: {error.strerror}.", remedy) from error


def exposed_mode(file: Path, found: os.stat_result) -> int:
    """Return the mode bits with which users other than the owner can use a file."""
    exposed = stat.S_IMODE(found.st_mode) & 0o077
    # systemd grants access to a credential by an ACL, which shows in the group bits.
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials is not None and file.parent == Path(credentials):
        exposed &= 0o007
    return exposed


def remove_partial(target: Path) -> None:
    """Remove what killed processes have left next to ``target``, as each replacement does."""
    own = threading.get_native_id()
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
        id_ = left.name.removeprefix(f".{target.name}.").removesuffix(".partial")
        if id_ == str(own) or (id_.isdecimal() and not Path("/proc", id_).exists()):
            _remove(left)


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Yield a temporary name next to ``target``; at the end remove what still has it.

    What killed processes have left next to ``target`` is removed first.
    """
    remove_partial(target)
    # The id of a thread is not the id of any other thread or process.
    own = threading.get_native_id()
    partial = target.with_name(f".{target.name}.{own}.partial")
    try:
        yield partial
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()


def _link(old: Path, new: Path) -> None:
    """Give what is at ``old`` a second name, or copy it where there are no hard links."""
    new.parent.mkdir(parents=True, exist_ok=True)
    if old.is_dir() and not old.is_symlink():
        shutil.copytree(
            old, new, symlinks=True, copy_function=lambda *pair: _link(*map(Path, pair))
        )
        return
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError:
        shutil.copy2(old, new, follow_symlinks=False)


def _write(file: Path, body: bytes, mode: int = 0o666, *, flush: bool = True) -> None:
    """Write a file under a name that is not in use, and flush it to the disk."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as out:
        os.fchmod(handle, stat.S_IMODE(os.fstat(handle).st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        out.write(body)
        out.flush()
        if flush:
            os.fsync(handle)


def _flush_all(folder: Path) -> None:
    """Flush the file system of a folder to the disk: thousands of files at once (syncfs(2))."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(handle)


def _rename(old: Path, new: Path, flag: int) -> None:
    """Rename as renameat2(2) does, which Python's ``os`` lacks."""
    if _LIBC.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flag) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(old), None, str(new))


def _sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to the disk, so that a new name survives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot flush a folder (fsync(2)).
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)
