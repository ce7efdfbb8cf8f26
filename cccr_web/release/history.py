"""What a server remembers from one start to the next: no older release may come back.

The state folder lies outside every release and holds ``highest-sequence`` (the
number and the manifest's SHA-256 of the newest release that was served) and
``last-good``, a copy of it, for a start at which the release itself is broken.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release.model import Release
from cccr_web.release.signature import PublicKey
from cccr_web.release.store import load, write

_HIGHEST: Final = "highest-sequence"
_LAST_GOOD: Final = "last-good"
_LINE = re.compile(r"([1-9][0-9]{0,17}) ([0-9a-f]{64})\n")

# Clocks differ, and a release may be dated by the day in another time zone.
_AHEAD = timedelta(days=1)


def refuse_future(release: Release, now: datetime | None = None) -> None:
    """Raise ``ReleaseError`` for a release dated more than a day ahead."""
    time = release.metadata.time
    if time > (now or datetime.now(UTC)) + _AHEAD:
        raise ReleaseError(f"RELEASE.json is dated {time:%Y-%m-%d}, which is still to come.")


def refuse_expired(release: Release, now: datetime | None = None) -> None:
    """Raise ``ReleaseError`` for a release that should not be put anywhere any more.

    A server goes on with one that expires while it is served; a deploy begins with none.
    """
    expires = release.metadata.expires
    if expires < (now or datetime.now(UTC)):
        raise ReleaseError(
            f"Release {release.metadata.sequence} has expired on {expires:%Y-%m-%d}.",
            "Build and sign it again, with a text changed or SOURCE_DATE_EPOCH set to today.",
        )


@dataclass(frozen=True, slots=True)
class History:
    """The state folder."""

    folder: Path

    def admit(self, release: Release) -> None:
        """Raise ``ReleaseError`` for a release older than the newest that was recorded."""
        sequence, sha256 = self._highest()
        ours = release.metadata.sequence
        if ours < sequence:
            raise ReleaseError(f"RELEASE.json says release {ours}, older than {sequence} before.")
        if ours == sequence and release.manifest_sha256 != sha256:
            raise ReleaseError(
                f"SHA256SUMS is another than release {ours} had before.",
                "Raise the sequence in translations/site.toml for each release.",
            )

    def record(self, release: Release) -> None:
        """Remember that this release was served. Raises ``CccrError`` if that cannot be.

        The last good release may be older than the newest: what is remembered never falls.
        """
        if release.metadata.sequence < self._highest()[0]:
            return
        self._remember(release)

    def allow(self, release: Release) -> int:
        """Let an older release be served again; return what was the newest before.

        For an admin who goes back on purpose. Raises ``CccrError`` if it cannot be
        written, or if there is nothing remembered that could fall.
        """
        before = self._highest()[0]
        if not before:
            raise CccrError(
                f"{self.folder} remembers no release.", "Give the folder that the server has."
            )
        self._remember(release)
        return before

    def _remember(self, release: Release) -> None:
        line = f"{release.metadata.sequence} {release.manifest_sha256}\n"
        partial = self.folder / f".{_HIGHEST}.partial"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with partial.open("w", encoding="ascii") as out:
                out.write(line)
                out.flush()
                os.fsync(out.fileno())
                if os.geteuid() == 0:  # root writes for the server's own user
                    owner = self.folder.stat()
                    os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
            partial.replace(self.folder / _HIGHEST)
        except OSError as error:
            raise CccrError(
                f"{self.folder / _HIGHEST} cannot be written: {error.strerror}.",
                "Give another folder by --state, or make this one writable.",
            ) from error

    def keep(self, release: Release, key: PublicKey | None) -> None:
        """Copy the release from memory, if the copy is not of it yet. Raises ``CccrError``."""
        try:
            if self.last_good(key).manifest_sha256 == release.manifest_sha256:
                return
        except ReleaseError:
            pass  # there is none, or it is damaged: write it anew
        try:
            write(release, self.folder / _LAST_GOOD)
        except OSError as error:
            raise CccrError(
                f"{self.folder} cannot be written: {error.strerror}.",
                "Check the disk and the permissions.",
            ) from error

    def last_good(self, key: PublicKey | None) -> Release:
        """Return the copy. Raises ``ReleaseError`` if there is none that can be trusted."""
        return load(self.folder / _LAST_GOOD, key)

    def _highest(self) -> tuple[int, str]:
        file = self.folder / _HIGHEST
        try:
            text = file.read_text(encoding="ascii")
        except FileNotFoundError:
            return 0, ""
        except (OSError, ValueError) as error:
            raise CccrError(f"{file} cannot be read: {error}.", "Mend its permissions.") from error
        match = _LINE.fullmatch(text)
        if match is None:
            raise CccrError(f"{file} is damaged.", "Remove it only if you know what wrote to it.")
        return int(match[1]), match[2]
