"""Protect a server against rollback: no older release may be served again.

The state folder is outside every release. It holds ``highest-sequence``, which is the
sequence and the manifest's SHA-256 of the newest release that was served, and
``last-good``, a copy of that release in case the release itself is broken at a start.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.facts import CLOCK_TOLERANCE
from cccr_web.release import manifest, metadata
from cccr_web.release.folder import ReleaseFolder
from cccr_web.release.keys import PublicKey
from cccr_web.release.model import Release
from cccr_web.release.signed_manifest import Verify, verify_signatures
from cccr_web.release.store import MAX_FILE, load, write

_HIGHEST: Final = "highest-sequence"
_LAST_GOOD: Final = "last-good"
_LINE = re.compile(r"([1-9][0-9]{0,17}) ([0-9a-f]{64})\n")


def reject_future(release: Release, now: datetime | None = None) -> None:
    """Raise ``ReleaseError`` for a release dated more than a day ahead."""
    time = release.metadata.time
    if time > (now or datetime.now(UTC)) + CLOCK_TOLERANCE:
        raise ReleaseError(f"{metadata.NAME} is dated {time:%Y-%m-%d}, which is in the future.")


def reject_expired(release: Release, now: datetime | None = None) -> None:
    """Raise ``ReleaseError`` for an expired release.

    A server keeps serving a release that expires, but nobody should deploy one.
    """
    expiry = release.metadata.expiry(now)
    if expiry.has_passed:
        raise ReleaseError(
            f"Release {release.metadata.sequence} {expiry}.",
            "Build and sign it again, with a text changed or SOURCE_DATE_EPOCH set to today.",
        )


def reject_older(release: Release, sequence: int, sha256: str, where: str) -> None:
    """Raise ``ReleaseError`` unless ``release`` may follow another one.

    The other has this sequence and this SHA-256 of its manifest; ``where`` says where it is.
    """
    ours = release.metadata.sequence
    if ours < sequence:
        raise ReleaseError(f"Release {ours} is older than release {sequence}, {where}.")
    if ours == sequence and release.manifest_sha256 != sha256:
        raise ReleaseError(
            f"{manifest.NAME} differs from that of release {ours}, {where}.",
            "Raise the sequence in translations/site.toml for each release.",
        )


@dataclass(frozen=True, slots=True)
class RollbackGuard:
    """The state folder of a server."""

    folder: Path

    def check(self, release: Release) -> None:
        """Raise ``ReleaseError`` for a release older than the newest recorded one."""
        reject_older(release, *self._highest(), "which was served before")

    def record(self, release: Release) -> None:
        """Record that this release is served. Raises ``CccrError`` if that cannot be written.

        The recorded sequence never falls, even if an older, last good release is served.
        """
        if release.metadata.sequence < self._highest()[0]:
            return
        self._write(release)

    def allow_rollback(self, release: Release) -> int:
        """Record this release even if it is older; return the sequence recorded before.

        For an admin who rolls back on purpose. Raises ``CccrError`` if nothing was
        recorded before, or if this cannot be written.
        """
        before = self._highest()[0]
        if not before:
            raise CccrError(
                f"{self.folder} holds no record of a release.",
                "Use the server's own state folder.",
            )
        self._write(release)
        return before

    def _write(self, release: Release) -> None:
        file, remedy = self.folder / _HIGHEST, "Set another --state, or make this folder writable."
        line = f"{release.metadata.sequence} {release.manifest_sha256}\n"
        with files.writing(file, remedy):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # root writes for the server's own user.
            owner = self.folder.stat() if os.geteuid() == 0 else None
            files.replace(file, line.encode("ascii"), owner=owner)

    def save_last_good(
        self, release: Release, key: PublicKey, *, verify: Verify = verify_signatures
    ) -> None:
        """Copy the release from memory unless it is copied already. Raises ``CccrError``."""
        try:
            if self.load_last_good(key, verify=verify).manifest_sha256 == release.manifest_sha256:
                return
        except ReleaseError:
            pass  # There is no copy, or it is damaged.
        write(release, self.folder / _LAST_GOOD)

    def load_last_good(self, key: PublicKey, *, verify: Verify = verify_signatures) -> Release:
        """Return the copy. Raises ``ReleaseError`` if there is none, or if it is not intact."""
        return load(self.folder / _LAST_GOOD, key, verify=verify)

    def last_good_file(self, path: str) -> bytes:
        """Return one file of the copy without verifying it, or nothing."""
        folder = self.folder / _LAST_GOOD
        with contextlib.suppress(ReleaseError), ReleaseFolder.open(folder) as copy:
            return copy.read(path, MAX_FILE)
        return b""

    def _highest(self) -> tuple[int, str]:
        file = self.folder / _HIGHEST
        try:
            text = file.read_text(encoding="ascii")
        except FileNotFoundError:
            return 0, ""
        except (OSError, ValueError) as error:
            raise CccrError(f"{file} cannot be read: {error}.", "Fix its permissions.") from error
        match = _LINE.fullmatch(text)
        if match is None:
            raise CccrError(f"{file} is damaged.", "Remove it only if you know what damaged it.")
        return int(match[1]), match[2]
