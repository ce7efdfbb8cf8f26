"""Where the server's release comes from, and the checks that it must pass."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from cccr_web.errors import CccrError, ReleaseError, counted
from cccr_web.notices import (
    check_notices,
    expired_notices,
    reject_expired_notices,
)
from cccr_web.release import (
    MAX_TOTAL,
    Release,
    RollbackGuard,
    Trusted,
    Verify,
    differences,
    load,
    policies_of,
    reject_future,
    verify_signatures,
)

Made = TypeVar("Made")

_log = logging.getLogger(__name__)

# How many of the files that have changed on the disk are named at once.
_MOST_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Source:
    """The path of a release: a folder, or a symbolic link that an admin changes.

    ``key`` is the organisation's key or policy, stored outside every release; without it the
    files are only checked against their list. ``guard`` records the served releases and the
    policy, with a key only. ``verify`` verifies the signatures. ``limit`` is the most bytes that
    a release may have.
    """

    path: Path
    key: Trusted | None = None
    guard: RollbackGuard | None = None
    verify: Verify = verify_signatures
    limit: int = MAX_TOTAL

    def load(self) -> Release:
        """Load and check the release that is at the path now. Raises ``CccrError``."""
        release = load(self._folder(), self.key, verify=self.verify, limit=self.limit)
        reject_future(release)
        if self.key:
            check_notices(release, self.key)
            # A list that expires while it is served must not take the site down at a restart.
            if not (self.guard and self.guard.is_newest(release)):
                reject_expired_notices(release, self.key)
        if self.key and self.guard:
            self.guard.check(release)
            self.guard.check_policies(policies_of(release, self.key))
        return release

    def open(self, make: Callable[[Release], Made]) -> tuple[Release, Made]:
        """Return the release to start with, and the result of ``make`` for it; accept it.

        This is the release at the path, or else the last good one. Raises the ``CccrError``
        of the path if neither can be served.
        """
        try:
            release = self.load()
            made = make(release)
            self.accept(release)
        except CccrError as error:
            good = self._last_good()
            if good is None:
                raise
            made = make(good)
            _log.error(
                "%s Rejected: serving the last good release, %d.", error, good.metadata.sequence
            )
        else:
            return release, made
        try:
            self.accept(good)
        except CccrError as error:
            # It was recorded when it was served first.
            _log.error("%s", error)
        return good, made

    def accept(self, release: Release) -> None:
        """Record that older releases and keys must be rejected from now on.

        Raises ``CccrError``.
        """
        if self.key and self.guard:
            self.guard.record(release)
            self.guard.record_policy(policies_of(release, self.key)[-1])

    def keep(self, release: Release) -> None:
        """Store a copy, for a start at which the path holds no valid release."""
        if self.key and self.guard:
            try:
                self.guard.save_last_good(release, self.key, verify=self.verify)
            except CccrError as error:
                _log.error("The copy of the last good release could not be stored: %s", error)

    def problems(self, release: Release) -> Iterator[str]:
        """Yield a sentence for each file that has changed on the disk, and each expired date.

        Where another release is, every file has changed: only some are named.
        """
        try:
            changed = list(differences(self._folder(), release))
        except ReleaseError as error:
            changed = [str(error)]
        yield from (f"On the disk: {sentence}" for sentence in changed[:_MOST_NAMED])
        if len(changed) > _MOST_NAMED:
            yield f"On the disk: {counted(len(changed) - _MOST_NAMED, 'more file')} changed."
        expiry = release.metadata.expiry()
        if expiry.has_passed:
            yield f"Release {release.metadata.sequence} {expiry}."
        try:
            yield from expired_notices(release, self.key) if self.key else ()
        except CccrError as error:
            yield str(error)

    def _last_good(self) -> Release | None:
        if not (self.key and self.guard):
            return None
        try:
            release = self.guard.load_last_good(self.key, verify=self.verify)
        except CccrError:
            return None
        try:
            self.guard.check_policies(policies_of(release, self.key))
        except ReleaseError:
            return None
        except CccrError:
            pass  # The record cannot be read, which “accept” reports.
        return release

    def _folder(self) -> Path:
        # Only the path itself may be a symbolic link; links inside the release are rejected.
        try:
            return Path(os.path.realpath(self.path))
        except OSError as error:
            raise ReleaseError(
                f"{self.path} cannot be read: {error.strerror}.", "Check the disk."
            ) from error
