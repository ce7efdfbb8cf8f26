"""What ``watch --state`` has seen: a release that changes, goes back or vanishes is noticed.

The state folder holds ``seen``, with a line for each release at each address: when it was seen
first, the address, the sequence, and the SHA-256 of its list. It also holds the newest policy, as
a server's does. The memory of a watcher in another place can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cccr_web import files
from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import (
    KEYS,
    RECORD,
    Release,
    RollbackGuard,
    Trusted,
    format_time,
    policies_of,
    record_of,
)
from cccr_web.watch.differences import Difference, DifferenceKind
from cccr_web.watch.report import Report

_SEEN: Final = "seen"
_MAX_BYTES: Final = 16 * 1024 * 1024
_LINE: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z) (\S{1,300}) ([1-9][0-9]{0,9}) ([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A verified release at an address, and when it was seen there first (RFC 3339)."""

    time: str
    address: str
    sequence: int
    sha256: str

    def __str__(self) -> str:
        return f"{self.time} {self.address} {self.sequence} {self.sha256}"

    @property
    def where(self) -> str:
        """Where and when, as a part of a sentence."""
        return f"seen at {self.address} on {self.time[:10]}"


@dataclass(frozen=True, slots=True)
class Memory:
    """The state folder of a watcher, and what another one has seen."""

    folder: Path
    others: tuple[Sighting, ...] = ()

    def judge(self, report: Report, key: Trusted) -> Report:
        """Return the report with what differs from the memory, and remember what was seen.

        Raises ``CccrError`` if the folder cannot be read or written.
        """
        ours = read_sightings(self.folder / _SEEN) if (self.folder / _SEEN).exists() else ()
        known, guard = (*ours, *self.others), RollbackGuard(self.folder)
        sites, new = [], []
        for site in report.sites:
            found = set(site.differences) | set(_forks(ours, known, site.address))
            if site.signed is not None:
                fault = _policy_fault(site.signed, key, guard)
                # What revoked signers have signed must not count as the newest.
                if fault is None:
                    found.update(_differences(site.address, site.signed, known))
                    new.append(_sighting(site.address, site.signed))
                else:
                    found.add(fault)
            sites.append(replace(site, differences=tuple(sorted(found))))
        self._remember(ours, new)
        return replace(report, sites=tuple(sites))

    def _remember(self, ours: Sequence[Sighting], new: Iterable[Sighting]) -> None:
        seen = {replace(each, time=""): each for each in (*new, *ours)}
        # Earlier sightings are later in the list above, so their time stays.
        lines = sorted(map(str, seen.values()))
        if len(seen) == len(ours):
            return
        with files.writing(self.folder / _SEEN, "Set another --state."):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.replace(self.folder / _SEEN, "".join(f"{line}\n" for line in lines).encode())


def read_sightings(file: Path) -> tuple[Sighting, ...]:
    """Read the file ``seen`` of a state folder, or a copy. Raises ``CccrError``."""
    remedy = f"Use the file “{_SEEN}” of a watcher's state folder, or remove it to start over."
    try:
        with file.open("rb") as source:
            text = source.read(_MAX_BYTES)
    except OSError as error:
        raise CccrError(f"{file} cannot be read: {error.strerror}.", remedy) from error
    matches = [_LINE.fullmatch(line) for line in text.decode("ascii", "replace").split("\n")[:-1]]
    found = [Sighting(each[1], each[2], int(each[3]), each[4]) for each in matches if each]
    if len(found) < len(matches) or (text and not text.endswith(b"\n")):
        raise CccrError(f"{file} is damaged.", remedy)
    return tuple(found)


def _sighting(address: str, release: Release) -> Sighting:
    now = format_time(datetime.now(UTC))
    return Sighting(now, address, release.metadata.sequence, release.manifest_sha256)


def _differences(address: str, release: Release, known: Sequence[Sighting]) -> Iterator[Difference]:
    """Compare the release at an address with all that was seen before, here and elsewhere."""
    ours = release.metadata.sequence
    recorded = {line.sequence: line.sha256 for line in record_of(release)}
    newest = max(known, key=lambda each: (each.sequence, each.address == address), default=None)
    if newest and newest.sequence > ours:
        here = [each for each in known if each.address == address and each.sequence > ours]
        kind = DifferenceKind.ROLLBACK if here else DifferenceKind.FREEZE
        last = max(here, key=lambda each: each.sequence, default=newest)
        yield Difference("", kind, f"release {ours}, but {last.sequence} was {last.where}")
    for each in known:
        if each.sequence == ours and each.sha256 != release.manifest_sha256:
            yield _fork(each, release.manifest_sha256)
        elif each.sequence < ours and recorded.get(each.sequence) != each.sha256:
            yield Difference(
                f"/{RECORD}",
                DifferenceKind.UNRECORDED,
                f"lacks release {each.sequence} as it was {each.where}",
            )


def _forks(
    ours: Sequence[Sighting], known: Sequence[Sighting], address: str
) -> Iterator[Difference]:
    """Compare what was seen at an address before with what was seen anywhere."""
    for each in ours:
        for other in known if each.address == address else ():
            if each.sequence == other.sequence and each.sha256 != other.sha256:
                yield _fork(other, each.sha256)


def _fork(other: Sighting, sha256: str) -> Difference:
    detail = f"list {sha256[:16]}… of release {other.sequence}, but {other.sha256[:16]}… was "
    return Difference("", DifferenceKind.FORK, detail + other.where)


def _policy_fault(release: Release, key: Trusted, guard: RollbackGuard) -> Difference | None:
    """Compare the policy of a release with the newest that was seen, or remember a newer one."""
    policies = policies_of(release, key)
    try:
        guard.check_policies(policies)
    except ReleaseError as error:
        return Difference(f"/{KEYS}", DifferenceKind.BAD_SIGNATURE, error.problem)
    guard.record_policy(policies[-1])
    return None
