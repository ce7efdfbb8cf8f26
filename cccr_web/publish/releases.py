"""The folder of releases: one folder for each, named by its sequence.

A release gets more signatures there, and never changes otherwise. A new one appears in three
steps: it is written completely, under another name; the sequence in ``site.toml`` is raised; the
folder gets its name. If a run was killed before the last step, the next run does it. So there is
never a raised sequence without its release. Then ``releases.txt`` of the texts gets its lines, so
that every signer builds the same release.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.publish.sequence import raised
from cccr_web.release import (
    MANIFEST,
    RECORD,
    Release,
    add_signature,
    load,
    read_request,
    release_policy,
    write,
)
from cccr_web.render import NOTICE_FOLDER

_NUMBER = re.compile("[1-9][0-9]*")
_REQUEST = ".request.zip"
_NEXT = ".next"
_REMEDY = "Check the disk and the permissions."


@contextlib.contextmanager
def locked(texts: Path) -> Iterator[None]:
    """Hold the folder of texts, so that only one process publishes them. Raises ``CccrError``."""
    handle = os.open(texts, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CccrError("Another “cccr-web publish” is running.", "Wait until it ends.") from error
    else:
        yield
    finally:
        os.close(handle)


def is_signed(release: Release) -> bool:
    """Whether a release has all the signatures that it needs."""
    policy = release_policy(release)
    if policy is None:
        return bool(release.signatures)
    names = policy.signed_by(release.files[MANIFEST].body, release.signatures)
    return len(names) >= policy.threshold


class Releases:
    """The releases of one site, made of the texts in ``texts``."""

    def __init__(self, folder: Path, texts: Path) -> None:
        self._folder = folder
        self._site = texts / "site.toml"
        self._record = texts / NOTICE_FOLDER / RECORD
        self._loaded: dict[int, Release] = {}

    def path(self, sequence: int) -> Path:
        """Return the folder of a release."""
        return self._folder / str(sequence)

    def request(self, sequence: int) -> Path:
        """Return the file of its signing request."""
        return self._folder / f"{sequence}{_REQUEST}"

    def newest(self) -> Release | None:
        """Return the release of the highest number. Raises ``CccrError`` if it is damaged."""
        return next(self._newest_first(), None)

    def newest_signed(self) -> Release | None:
        """Return the newest one that has all its signatures."""
        return next(filter(is_signed, self._newest_first()), None)

    def _newest_first(self) -> Iterator[Release]:
        names = [one.name for one in self._folder.iterdir()] if self._folder.is_dir() else []
        for number in sorted(map(int, filter(_NUMBER.fullmatch, names)), reverse=True):
            release = self._loaded.get(number)
            if release is None:
                release = self._loaded[number] = load(self.path(number))
            if release.metadata.sequence != number:
                raise CccrError(
                    f"{self.path(number)} holds release {release.metadata.sequence}.",
                    "Give the folder its number, or move it away.",
                )
            yield release

    def finish_adding(self, sequence: int) -> None:
        """Do the last step of ``add`` if a run was killed before it, and remove what it has left.

        ``sequence`` is the one in ``site.toml``.
        """
        for left in self._folder.glob(".*.partial"):
            name = left.name.removeprefix(".").removesuffix(".partial").rpartition(".")[0]
            files.remove_partial(self._folder / name)
        staged = self._folder / _NEXT
        if staged.exists():
            with files.writing(self._folder, _REMEDY):
                try:
                    was_raised = load(staged).metadata.sequence == sequence
                except ReleaseError:
                    was_raised = False
                if was_raised and not self.path(sequence).exists():
                    self._name(sequence)
                else:
                    shutil.rmtree(staged)
        newest = self.newest()
        if newest is not None:
            self._keep_record(newest)

    def add(self, release: Release) -> None:
        """Keep a new, signed release, and raise the sequence in ``site.toml`` to its number."""
        sequence = release.metadata.sequence
        with files.writing(self._folder, _REMEDY):
            write(release, self._folder / _NEXT)
            before = self._site.read_bytes()
            files.replace(self._site, raised(before, sequence))
            try:
                self._name(sequence)
            except BaseException:
                files.replace(self._site, before)
                raise
        self._keep_record(release)

    def _keep_record(self, release: Release) -> None:
        record = release.files[RECORD].body if RECORD in release.files else b""
        with files.writing(self._record, _REMEDY):
            kept = self._record.read_bytes() if self._record.exists() else b""
            if record != kept and record.startswith(kept):
                self._record.parent.mkdir(exist_ok=True)
                files.replace(self._record, record)

    def replace(self, release: Release) -> None:
        """Replace a release by the same with more signatures."""
        write(release, self.path(release.metadata.sequence))

    def with_request(self, release: Release) -> Release:
        """Return a release with the signatures in its signing request, if there is one."""
        file = self.request(release.metadata.sequence)
        if not file.exists():
            return release
        request, _ = read_request(file)
        if request.manifest_sha256 != release.manifest_sha256:
            raise CccrError(
                f"{file} is for another release {request.metadata.sequence}.",
                "Replace it by the one that was sent back, or remove it.",
            )
        if request.signatures.items() <= release.signatures.items():
            return release
        return add_signature(release, request.signatures)

    def forget_requests(self, but: int | None = None) -> None:
        """Remove every signing request, except that of one release."""
        with files.writing(self._folder, _REMEDY):
            for file in self._folder.glob(f"*{_REQUEST}"):
                if but is None or file != self.request(but):
                    file.unlink()

    def _name(self, sequence: int) -> None:
        files.rename(self._folder / _NEXT, self.path(sequence))
