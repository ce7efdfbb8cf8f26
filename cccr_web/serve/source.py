"""Where the server's release comes from, and what it takes to be admitted."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import (
    PublicKey,
    Release,
    RollbackGuard,
    Verify,
    differences,
    load,
    reject_future,
    verify_signatures,
)

Made = TypeVar("Made")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """A path that leads to a release: a folder, or a link to one that an admin changes.

    ``key`` is the organisation's, pinned outside every release; without it
    nothing is proven but that the files fit their list. ``guard`` records
    what was served; it is used with a key only. ``verify`` verifies the signatures.
    """

    path: Path
    key: PublicKey | None = None
    guard: RollbackGuard | None = None
    verify: Verify = verify_signatures

    def load(self) -> Release:
        """Return the release at the path now, if it may be served. Raises ``CccrError``."""
        release = load(self._place(), self.key, verify=self.verify)
        reject_future(release)
        if self.key and self.guard:
            self.guard.check(release)
        return release

    def open(self, make: Callable[[Release], Made]) -> tuple[Release, Made]:
        """Return the release to start with, and what ``make`` made of it.

        That is the one at the path, or else the last good one. Raises the path's
        own ``CccrError`` if neither can be served.
        """
        try:
            release = self.load()
            return release, make(release)
        except CccrError as error:
            good = self._last_good()
            if good is None:
                raise
            made = make(good)
            _log.error(
                "%s Refused: serving the last good release, %d.", error, good.metadata.sequence
            )
            return good, made

    def accept(self, release: Release) -> None:
        """Remember that no release older than this one may follow. Raises ``CccrError``."""
        if self.key and self.guard:
            self.guard.record(release)

    def keep(self, release: Release) -> None:
        """Put a copy aside, for a start at which the path leads to nothing good."""
        if self.key and self.guard:
            try:
                self.guard.save_last_good(release, self.key, verify=self.verify)
            except CccrError as error:
                _log.error("The last good release could not be put aside: %s", error)

    def troubles(self, release: Release) -> Iterator[str]:
        """Yield a sentence for each file that is no longer as it was, and for a lapsed date."""
        for difference in differences(self._place(), release):
            yield f"On the disk: {difference}"
        expires = release.metadata.expires
        if expires < datetime.now(UTC):
            yield f"Release {release.metadata.sequence} has expired on {expires:%Y-%m-%d}."

    def _last_good(self) -> Release | None:
        if not (self.key and self.guard):
            return None
        try:
            return self.guard.load_last_good(self.key, verify=self.verify)
        except ReleaseError:
            return None

    def _place(self) -> Path:
        # Only the path itself may be a link, one that the admin made; none inside is followed.
        return Path(os.path.realpath(self.path))
