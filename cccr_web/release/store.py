"""How a release comes from a folder or a ZIP, and how it goes to a folder."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError, MissingFileError, ReleaseError
from cccr_web.release import manifest, metadata
from cccr_web.release.apart import verify_manifest
from cccr_web.release.archive import Archive
from cccr_web.release.folder import Folder, Reader, shown
from cccr_web.release.metadata import Metadata
from cccr_web.release.model import File, Release
from cccr_web.release.signature import PublicKey
from cccr_web.release.signing import verify_facts

# In bytes. Far above what the site will ever hold, far below what a server can bear.
MAX_FILE: Final = 256 * 1024 * 1024
MAX_TOTAL: Final = 512 * 1024 * 1024
MAX_SIGNATURE: Final = 64 * 1024

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def load(path: Path, key: PublicKey | None = None) -> Release:
    """Read the release in the folder or ZIP at ``path`` into memory, as an allow-list.

    Every listed file must be there with its hash, as a regular file reached
    through no link; anything that is not listed is refused. With a ``key`` its
    signatures are checked before all else, and only ``SHA256SUMS.*`` that it
    vouches for may stand beside the list. Each file is read once: a change on
    the disk after that is not seen. Raises ``ReleaseError`` that names the file.
    """
    with _open(path) as reader:
        sums = reader.read(manifest.NAME, manifest.MAX_BYTES)
        signatures = dict(_signatures(reader))
        comment = verify_manifest(sums, signatures, key) if key else ""
        listed = manifest.parse_manifest(sums)
        files = {name: File.of(body) for name, body in {manifest.NAME: sums, **signatures}.items()}
        files.update(_listed_files(reader, listed))
        for stranger in _strangers(reader, files):
            raise ReleaseError(f"{shown(stranger)} is not listed in {manifest.NAME}.")
    if metadata.NAME not in files:
        raise ReleaseError(f"{manifest.NAME} does not list {metadata.NAME}.")
    facts = Metadata.from_json(files[metadata.NAME].body)
    if key:
        verify_facts(comment, facts, signatures, key)
    return Release(dict(sorted(files.items())), facts)


def differences(path: Path, release: Release) -> Iterator[str]:
    """Yield a sentence for each file at ``path`` that is not as it is in ``release``."""
    try:
        with _open(path) as reader:
            for name, file in release.files.items():
                try:
                    same = reader.read(name, MAX_FILE) == file.body
                except ReleaseError as error:
                    yield str(error)
                else:
                    if not same:
                        yield f"{name} is not the file that is served."
            for stranger in _strangers(reader, release.files):
                yield f"{shown(stranger)} is not among the files that are served."
    except ReleaseError as error:
        yield str(error)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Reader]:
    if path.is_file() and not path.is_symlink():
        with Folder.open(path.parent) as around:
            packed = around.read(path.name, MAX_TOTAL)
        yield Archive(packed, path.name)
    else:
        with Folder.open(path) as folder:
            yield folder


def _signatures(reader: Reader) -> Iterator[tuple[str, bytes]]:
    for name in manifest.SIGNATURES:
        with contextlib.suppress(MissingFileError):
            yield name, reader.read(name, MAX_SIGNATURE)


def _listed_files(reader: Reader, listed: dict[str, str]) -> Iterator[tuple[str, File]]:
    left = MAX_TOTAL
    by_hash = {sha256: path for path, sha256 in listed.items()}
    for path, sha256 in listed.items():
        file = File.of(reader.read(path, min(MAX_FILE, left)))
        if file.sha256 != sha256:
            other = by_hash.get(file.sha256)
            instead = f" It is {other}." if other else ""
            raise ReleaseError(f"{path} is not the file that {manifest.NAME} lists.{instead}")
        left -= len(file.body)
        yield path, file


def _strangers(reader: Reader, files: Mapping[str, File]) -> Iterator[str]:
    try:
        yield from reader.strangers(files)
    except OSError as error:
        raise ReleaseError(f"The folder changes while it is read: {error.strerror}.") from error


def write(release: Release, folder: Path) -> None:
    """Write the release as ``folder``, whole or not at all.

    It is written beside its place and moved there in one step; a release that
    stands there is exchanged for it. Raises ``CccrError`` if something else does.
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
        raise CccrError(
            f"{folder} could not be written: {error.strerror}.",
            "Check the disk and the permissions.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_to_replace_anything_but_a_release(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise CccrError(f"{folder} is no folder.", "Choose another name.")
    # Many a folder of downloads holds some SHA256SUMS.
    release = all((folder / name).is_file() for name in (manifest.NAME, metadata.NAME))
    if folder.is_dir() and any(folder.iterdir()) and not release:
        raise CccrError(
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
