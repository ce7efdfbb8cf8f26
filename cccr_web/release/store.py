"""Load a release from a folder or a ZIP, and write one to a folder."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError, MissingFileError, ReleaseError, SignatureError
from cccr_web.release import archive, manifest, metadata
from cccr_web.release.archive import Archive
from cccr_web.release.folder import ReleaseFolder, printable
from cccr_web.release.manifest import MAX_FILE, is_signature
from cccr_web.release.model import Release, bodies
from cccr_web.release.policy import Trusted
from cccr_web.release.policy_chain import NAME as KEYS
from cccr_web.release.policy_chain import follow
from cccr_web.release.signed_manifest import (
    Read,
    Verify,
    check_file,
    read_signed_manifest,
    signature_files,
    unknown_openpgp_signature,
    verify_signatures,
)

# In bytes: what every command and verify.py accept. A site's own limit is lower.
MAX_TOTAL: Final = 1024 * 1024 * 1024
MEGABYTE: Final = 1_000_000
# What signing adds, in bytes.
_SIGNATURES: Final = 100_000

# How many files one message names.
_MOST_NAMED: Final = 10


def load(
    path: Path,
    key: Trusted | None = None,
    *,
    verify: Verify = verify_signatures,
    limit: int = MAX_TOTAL,
) -> Release:
    """Read the release in the folder or ZIP at ``path`` into memory, as an allow-list.

    Every listed file must have its hash and be a regular file that no link leads to;
    a file that is not listed is an error. With a ``key``, its signatures are verified first
    (by ``verify``). Each file is read once: later changes on the disk are not seen. Together they
    may have ``limit`` bytes. Raises ``ReleaseError`` that names the file.
    """
    with _open(path) as reader:
        packed = isinstance(reader, Archive)
        try:
            release = read_signed_manifest(reader.read, key, verify, without_zip=packed)
        except SignatureError as error:
            raise _with_unknown_signatures(error, reader, key) from error
        if isinstance(reader, Archive):
            reader.check_time(release.metadata.time)
        whole = read_files(release, reader.read, limit)
        for extra in reader.unlisted(whole.files):
            if extra == manifest.OPENPGP:
                raise unknown_openpgp_signature()
            if is_signature(extra):
                raise SignatureError(f"{extra} is by no signer of the release.", path=extra)
            raise ReleaseError(f"{printable(extra)} is not listed in {manifest.NAME}.")
    return whole


def _with_unknown_signatures(
    error: SignatureError, reader: ReleaseFolder | Archive, key: Trusted | None
) -> SignatureError:
    """Return the error, which also names the signatures that nobody asked for."""
    known: tuple[str, ...] = manifest.SIGNATURES
    if key:
        with contextlib.suppress(ReleaseError):
            key = follow(key, reader.read(KEYS, MAX_FILE))[-1]
        known = (*signature_files(key), manifest.OPENPGP)
    others = sorted(name for name in reader.unlisted(known) if is_signature(name))
    if not others:
        return error
    named = ", ".join(others)
    problem = f"{error.problem} Signatures by unknown signers count for nothing: {named}."
    return SignatureError(problem, error.remedy, path=error.path)


def read_files(release: Release, read: Read, limit: int = MAX_TOTAL) -> Release:
    """Return a release of ``read_signed_manifest`` with the bytes of every file.

    Each file must have its hash. The manifest has no lengths, so the ZIP is read first, and then
    no file that is longer than the longest in it. Raises ``ReleaseError`` that names the file.
    """
    found = dict(release.files)
    left, longest = limit - sum(len(file.body) for file in found.values()), MAX_FILE
    others = [path for path, file in release.listed.items() if not file.body]
    if release.metadata.has_policy and archive.NAME in found:
        longest = Archive(found[archive.NAME].body, archive.NAME).longest
    for name in sorted(others, key=lambda name: (name != archive.NAME, name)):
        body = read(name, longest)
        found[name] = check_file(name, body, release.files)
        left -= len(body)
        if left < 0:
            raise _too_large("", limit)
        if name == archive.NAME:
            with contextlib.suppress(ReleaseError):  # one that is not as we pack it
                longest = Archive(body, name).longest
    return Release(found, release.metadata)


def reject_larger(release: Release, limit: int) -> None:
    """Raise ``ReleaseError`` if servers with this limit, in bytes, would reject a new release.

    There must be room for its signatures.
    """
    size = sum(len(file.body) for file in release.files.values()) + _SIGNATURES
    if size > limit:
        raise _too_large(f"{-(-size // MEGABYTE):,} MB, ", limit)


def _too_large(size: str, limit: int) -> ReleaseError:
    return ReleaseError(
        f"The release has {size}more than --max-megabytes allows: {limit // MEGABYTE:,}.",
        "Raise it for “build”, or CCCR_MAX_MEGABYTES, and MAX_MEGABYTES in site.env if the server "
        "has three times as much memory.",
    )


def differences(path: Path, release: Release) -> Iterator[str]:
    """Yield a sentence for each file at ``path`` that differs from the one in ``release``."""
    try:
        with _open(path) as reader:
            for name, file in release.files.items():
                try:
                    if reader.read(name, MAX_FILE) != file.body:
                        yield f"{name} is not the file that is served."
                except ReleaseError as error:
                    yield str(error)
            for extra in reader.unlisted(release.files):
                yield f"{printable(extra)} is not among the files that are served."
    except ReleaseError as error:
        yield str(error)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[ReleaseFolder | Archive]:
    try:
        is_file = stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        is_file = False  # opening it as a folder reports why
    if is_file:
        with ReleaseFolder.open(path.parent) as around:
            packed = around.read(path.name, MAX_TOTAL)
        yield Archive(packed, path.name)
    else:
        with ReleaseFolder.open(path) as folder:
            yield folder


def write(release: Release, folder: Path) -> None:
    """Write the release as ``folder``, whole or not at all.

    An existing release is replaced. Raises ``CccrError`` if ``folder`` holds anything else.
    """
    with files.writing(folder, "Check the disk and the permissions."):
        _check_replaceable(folder)
        files.replace_folder(folder, bodies(release.files))


def reject_loss(folder: Path) -> None:
    """Raise ``CccrError`` if ``folder`` holds a release with what no build can make again.

    That is a signature, or a file that is not as the release lists it.
    """
    remedy = "Choose another folder, or pass --replace."
    with files.writing(folder, "Check the disk and the permissions."):
        if any(is_signature(file.name) for file in folder.glob(f"{manifest.NAME}.*")):
            raise CccrError(f"{folder} holds a signed release.", remedy)
        if not (folder / manifest.NAME).exists():
            return
    with open_unverified(folder, remedy) as (opened, built):
        others = [*sorted(opened.unlisted(built.files)), *_changed(opened, built)]
    if others:
        named = ", ".join(map(printable, others[:_MOST_NAMED]))
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        raise CccrError(f"{folder} holds files that no build wrote: {named}{more}.", remedy)


def _changed(folder: ReleaseFolder, built: Release) -> Iterator[str]:
    for name, file in built.listed.items():
        with contextlib.suppress(MissingFileError):
            if manifest.digest(folder.read(name, MAX_FILE)) != file.sha256:
                yield name


@contextlib.contextmanager
def open_unverified(path: Path, remedy: str) -> Iterator[tuple[ReleaseFolder, Release]]:
    """Open a folder that is about to be replaced, with the release that its list describes.

    Neither the signatures nor the files are verified. Raises ``CccrError``, with ``remedy``,
    if the list or a file that is read meanwhile is damaged.
    """
    try:
        with ReleaseFolder.open(path) as folder:
            yield folder, read_signed_manifest(folder.read, None)
    except ReleaseError as error:
        raise CccrError(f"The release in {path} is damaged: {error}", remedy) from error


def _check_replaceable(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise CccrError(f"{folder} is not a folder.", "Choose another name.")
    # A folder of downloads often holds some SHA256SUMS.
    release = all((folder / name).is_file() for name in (manifest.NAME, metadata.NAME))
    if folder.is_dir() and any(folder.iterdir()) and not release:
        raise CccrError(
            f"{folder} holds something other than a release.", "Choose another or an empty folder."
        )
