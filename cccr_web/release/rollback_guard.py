"""Protect a server against rollback: no older release or key may be served again.

The state folder is outside every release. It holds ``highest-sequence``, which is the sequence
and the manifest's SHA-256 of the newest release that was served, ``policy``, which is the number
and the fingerprint of the newest policy, and ``last-good``, a copy of that release in case the
release itself is broken at a start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.facts import CLOCK_TOLERANCE
from cccr_web.release import manifest, metadata
from cccr_web.release.model import Release
from cccr_web.release.policy import SigningPolicy, Trusted
from cccr_web.release.record import NAME as RECORD
from cccr_web.release.record import record_of
from cccr_web.release.signed_manifest import Verify, verify_signatures
from cccr_web.release.store import load, write

_HIGHEST: Final = "highest-sequence"
_POLICY: Final = "policy"
_LAST_GOOD: Final = "last-good"
_LINE = re.compile(r"([1-9][0-9]{0,17}) ([0-9a-f]{64})\n")
_POLICY_LINE = re.compile(r"([1-9][0-9]{0,9}) ([0-9A-F]{4}(?: [0-9A-F]{4}){7})\n")


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
            "Raise the sequence in site.toml for each release.",
        )


@dataclass(frozen=True, slots=True)
class RollbackGuard:
    """The state folder of a server."""

    folder: Path

    def check(self, release: Release) -> None:
        """Raise ``ReleaseError`` for a release older than the newest recorded one.

        Its ``releases.txt``, if it has one, must name the recorded one.
        """
        sequence, sha256 = self._highest()
        reject_older(release, sequence, sha256, "which was served before")
        known = {line.sequence: line.sha256 for line in record_of(release)}
        if known and sequence < release.metadata.sequence and known.get(sequence, "") != sha256:
            raise ReleaseError(
                f"{RECORD} lacks release {sequence}, which was served before, or has another one.",
                "Make it again with: cccr-web history record",
                path=RECORD,
            )

    def is_newest(self, release: Release) -> bool:
        """Whether ``release`` is the newest recorded one. Raises ``CccrError``."""
        return self._highest() == (release.metadata.sequence, release.manifest_sha256)

    def record(self, release: Release) -> None:
        """Record that this release is served. Raises ``CccrError`` if that cannot be written.

        The recorded sequence never falls, even if an older, last good release is served.
        Nothing is written if it is recorded already, so a full disk prevents no restart.
        """
        if release.metadata.sequence >= self._highest()[0] and not self.is_newest(release):
            self._write_highest(release)

    def check_policies(self, policies: Sequence[SigningPolicy]) -> None:
        """Raise ``ReleaseError`` for policies older than the newest recorded one, or a fork of it.

        They are those from the pinned one to the one that signs the release (``policies_of``). A
        key alone is older than any policy.
        """
        newest, (number, fingerprint) = policies[-1].number, self._highest_policy()
        if newest < number:
            what = f"Policy {newest}" if newest else "A single key"
            raise ReleaseError(
                f"{what} is older than policy {number}, which is recorded in {self.folder}.",
                f"Pass the newest policy. To return to one key, make a policy of one with a "
                f"number above {number}: cccr-web key change",
            )
        for policy in policies:
            if policy.number == number and number and policy.fingerprint != fingerprint:
                raise ReleaseError(
                    f"Policy {number} differs from the one recorded in {self.folder}: its "
                    f"fingerprint is {policy.fingerprint}, not {fingerprint}.",
                    "Raise policy_number in site.toml for each change.",
                )

    def record_policy(self, policy: SigningPolicy) -> None:
        """Record the policy from which no server may go back. Raises ``CccrError``."""
        if policy.number > self._highest_policy()[0]:
            self._write(_POLICY, f"{policy.number} {policy.fingerprint}\n")

    def _highest_policy(self) -> tuple[int, str]:
        text = self._read(_POLICY)
        if text is None:
            return 0, ""
        match = _POLICY_LINE.fullmatch(text)
        if match is None:
            raise self._damaged(_POLICY)
        return int(match[1]), match[2]

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
        self._write_highest(release)
        return before

    def _write_highest(self, release: Release) -> None:
        self._write(_HIGHEST, f"{release.metadata.sequence} {release.manifest_sha256}\n")

    def _write(self, name: str, text: str) -> None:
        file, remedy = self.folder / name, "Set another --state, or make this folder writable."
        with files.writing(file, remedy):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # root writes for the server's own user.
            owner = self.folder.stat() if os.geteuid() == 0 else None
            files.replace(file, text.encode("ascii"), owner=owner)

    def save_last_good(
        self, release: Release, key: Trusted, *, verify: Verify = verify_signatures
    ) -> None:
        """Copy the release from memory unless it is copied already. Raises ``CccrError``."""
        try:
            if self.load_last_good(key, verify=verify).manifest_sha256 == release.manifest_sha256:
                return
        except ReleaseError:
            pass  # There is no copy, or it is damaged.
        write(release, self.folder / _LAST_GOOD)

    def load_last_good(self, key: Trusted, *, verify: Verify = verify_signatures) -> Release:
        """Return the copy. Raises ``ReleaseError`` if there is none, or if it is not intact."""
        return load(self.folder / _LAST_GOOD, key, verify=verify)

    def _highest(self) -> tuple[int, str]:
        text = self._read(_HIGHEST)
        if text is None:
            return 0, ""
        match = _LINE.fullmatch(text)
        if match is None:
            raise self._damaged(_HIGHEST)
        return int(match[1]), match[2]

    def _read(self, name: str) -> str | None:
        file = self.folder / name
        try:
            return file.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CccrError(
                f"{file} cannot be read: {error.strerror}.", "Check its permissions and the disk."
            ) from error
        except ValueError as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> CccrError:
        return CccrError(
            f"{self.folder / name} is damaged.", "Remove it only if you know what damaged it."
        )
