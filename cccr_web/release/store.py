"""A release in memory, and how it comes from and goes to a folder."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cccr_web.errors import BuildError, ReleaseError
from cccr_web.release import manifest, metadata
from cccr_web.release.metadata import Metadata

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of one file and their SHA-256 in hexadecimal digits."""

    body: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """Everything that readers can get: path → file, the manifest included."""

    files: Mapping[str, File]
    metadata: Metadata


def make_release(files: Mapping[str, bytes], facts: Metadata) -> Release:
    """Add ``RELEASE.json`` and the manifest to ``files`` and return the whole."""
    listed = {**files, metadata.NAME: facts.to_json()}
    whole = {**listed, manifest.NAME: manifest.format_manifest(listed)}
    return Release(
        {path: File(body, manifest.digest(body)) for path, body in sorted(whole.items())}, facts
    )


def load(folder: Path) -> Release:
    """Read the release in ``folder`` into memory, and nothing that it does not list.

    Every listed file must be there with its hash, as a regular file reached
    through no link; a file that is not listed is refused. Raises ``ReleaseError``.
    """
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise ReleaseError(
            f"{folder} is no release: {error.strerror}.", "Make one with: cccr-web build --out DIR"
        ) from error
    try:
        files = {manifest.NAME: _file(_read(top, manifest.NAME))}
        listed = manifest.parse_manifest(files[manifest.NAME].body)
        for path, sha256 in listed.items():
            file = _file(_read(top, path))
            if file.sha256 != sha256:
                raise ReleaseError(f"{path} is not the file that {manifest.NAME} lists.")
            files[path] = file
        for path in _walk(top):
            if path not in files:
                raise ReleaseError(f"{path} is not listed in {manifest.NAME}.")
    finally:
        os.close(top)
    if metadata.NAME not in files:
        raise ReleaseError(f"{manifest.NAME} does not list {metadata.NAME}.")
    return Release(files, Metadata.from_json(files[metadata.NAME].body))


def _file(body: bytes) -> File:
    return File(body, manifest.digest(body))


def _read(top: int, path: str) -> bytes:
    """Read a file below the open folder ``top`` without following any link."""
    *folders, name = path.split("/")
    opened: list[int] = []
    here = top
    try:
        for folder in folders:
            here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            opened.append(here)
        # O_NONBLOCK: a named pipe must not hold us up before we see what it is.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
        opened.append(file)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise ReleaseError(f"{path} is no regular file.")
        with os.fdopen(os.dup(file), "rb") as source:
            return source.read()
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}.") from error
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _walk(top: int) -> Iterator[str]:
    """Yield the path of everything below ``top`` that is not a folder, links included."""
    for root, folders, names, descriptor in os.fwalk(dir_fd=top):
        here = root.removeprefix(".").removeprefix("/")
        for name in names:
            yield f"{here}/{name}".removeprefix("/")
        for name in folders:
            if stat.S_ISLNK(os.lstat(name, dir_fd=descriptor).st_mode):
                yield f"{here}/{name}".removeprefix("/")


def write(release: Release, folder: Path) -> None:
    """Write the release as ``folder``, whole or not at all.

    It is written beside its place and moved there in one step; a release that
    stands there is exchanged for it. Raises ``BuildError`` if something else does.
    """
    _refuse_to_replace_anything_but_a_release(folder)
    partial = folder.parent / f".{folder.name}.{os.getpid()}.partial"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(folder)
        for path, file in release.files.items():
            target = partial / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                out.write(file.body)
                out.flush()
                os.fsync(out.fileno())
        if folder.exists():
            _exchange(partial, folder)
        else:
            partial.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise BuildError(f"{folder} could not be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_to_replace_anything_but_a_release(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BuildError(f"{folder} is no folder.", "Choose another name.")
    # Many a folder of downloads holds some SHA256SUMS.
    release = all((folder / name).is_file() for name in (manifest.NAME, metadata.NAME))
    if folder.is_dir() and any(folder.iterdir()) and not release:
        raise BuildError(
            f"{folder} holds something else than a release.", "Choose another or an empty folder."
        )


def _remove_left_overs(folder: Path) -> None:
    """Remove what builds that were killed have left beside ``folder``."""
    for partial in folder.parent.glob(f".{glob.escape(folder.name)}.*.partial"):
        pid = partial.name.removeprefix(f".{folder.name}.").removesuffix(".partial")
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(partial, ignore_errors=True)


def _exchange(one: Path, other: Path) -> None:
    """Exchange two folders in one step (renameat2(2)), so that a name is never without one."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    if done != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
