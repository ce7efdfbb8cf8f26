"""Fetch a mirror from any address of the site, and only the files that have changed.

A file of the release comes from the copy that is there, from what an interrupted download has
left, from the release's ZIP, or else from the network: each is accepted for its hash alone. The
ZIP holds all other files and differs in each release, so a new release costs about six requests.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.mirror.folder import check_successor, write_mirror
from cccr_web.notices import check_notices, reject_expired_notices
from cccr_web.release import (
    ARCHIVE,
    Archive,
    File,
    Read,
    Release,
    ReleaseFolder,
    read_files,
    read_signed_manifest,
    reject_future,
)
from cccr_web.serve import Listener
from cccr_web.watch import Address, CheckSettings, RemoteFolder

# Next to site/, so that no host serves it: complete files, each named by its hash.
_FETCHED: Final = ".fetched"
_REMEDY: Final = "Check the disk and the permissions."


@dataclass(frozen=True, slots=True)
class FetchedMirror:
    """A release, how many of its files came from the network, and whether anything changed."""

    release: Release
    fetched: int
    changed: bool


def fetch_mirror(
    address: Address,
    folder: Path,
    settings: CheckSettings,
    listener: Listener = "clearnet",
    progress: Callable[[str], None] = lambda _path: None,
) -> FetchedMirror:
    """Make ``folder`` a mirror of the release at ``address``, or leave it as it is.

    ``listener`` is the mirror's own; ``progress`` gets the path of each file that is fetched.
    Raises ``CccrError``, also for a release that has expired, that is dated in the future, or
    that is older than the one in ``folder``.
    """
    with _locked(folder), RemoteFolder.open(address, settings) as remote:

        def fetch(path: str, limit: int) -> bytes:
            progress(path)
            return remote.read(path, limit)

        signed = read_signed_manifest(fetch, settings.key)
        _reject_untimely(signed, address)
        check_successor(signed, folder / "site")
        with _Files(signed, folder, fetch) as local:
            release = read_files(signed, local.read)
        check_notices(release, settings.key)
        reject_expired_notices(release, settings.key)
        changed = write_mirror(release, folder, listener)
        shutil.rmtree(folder / _FETCHED, ignore_errors=True)
        return FetchedMirror(release, remote.count, changed)


def _reject_untimely(release: Release, address: Address) -> None:
    reject_future(release)
    expiry = release.metadata.expiry()
    if expiry.has_passed:
        raise ReleaseError(
            f"Release {release.metadata.sequence} at {address} {expiry}.",
            "Use another address of the site, and check this machine's clock.",
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Make the folder if there is none, and let no second command fetch into it."""
    with files.writing(folder, _REMEDY):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise CccrError(
            f"Another command fetches into {folder}.", "Try again when it has ended."
        ) from error
    try:
        yield
    finally:
        os.close(handle)


class _Files:
    """The bytes of the files that ``release`` lists, from the nearest place that has them."""

    def __init__(self, release: Release, folder: Path, fetch: Read) -> None:
        self._release = release
        self._site = folder / "site"
        self._fetched = folder / _FETCHED
        self._fetch = fetch
        self._local: list[Read] = []
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with files.writing(self._fetched, _REMEDY):
            self._fetched.mkdir(exist_ok=True)
            wanted = {file.sha256 for file in self._release.files.values()}
            for left in self._fetched.iterdir():
                if left.name not in wanted:
                    left.unlink()
        with contextlib.suppress(ReleaseError):  # there is no copy yet
            copy = self._open.enter_context(ReleaseFolder.open(self._site))
            self._local.append(copy.read)
        if self._release.metadata.has_policy:  # it was read with the list
            self._local.append(Archive(self._release.files[ARCHIVE].body, ARCHIVE).read)
        fetched = self._open.enter_context(ReleaseFolder.open(self._fetched))
        self._local.append(
            lambda path, limit: fetched.read(self._release.files[path].sha256, limit)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def read(self, path: str, limit: int) -> bytes:
        """Return what has the hash of the file ``path``, or else what the network has there."""
        body = self._find(path, limit)
        if path == ARCHIVE:
            with contextlib.suppress(ReleaseError):  # one that is not as we pack it
                self._local.append(Archive(body, ARCHIVE).read)
        return body

    def _find(self, path: str, limit: int) -> bytes:
        sha256 = self._release.files[path].sha256
        for read in self._local:
            with contextlib.suppress(ReleaseError):  # it is missing, or longer than it may be
                body = read(path, limit)
                if File.of(body).sha256 == sha256:
                    return body
        body = self._fetch(path, limit)
        if File.of(body).sha256 == sha256:
            with files.writing(self._fetched, _REMEDY):
                files.replace(self._fetched / sha256, body)
        return body
