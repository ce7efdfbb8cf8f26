"""``releases.txt``: what was signed before, one line for each earlier release, oldest first.

    7 2026-11-22T00:00:00Z 0123…

A line is the sequence of a release, its time, and the SHA-256 of its ``SHA256SUMS``. Every release
repeats the record of the one before it and adds a line for that one, so whoever signs or keeps two
releases sees whether one between them was changed or left out. The first release has no record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from cccr_web.errors import ReleaseError
from cccr_web.facts import MAX_SEQUENCE
from cccr_web.release.metadata import format_time
from cccr_web.release.model import Release

NAME: Final = "releases.txt"
MAX_BYTES: Final = 1024 * 1024

_LINE: Final = re.compile(
    r"([1-9][0-9]{0,9}) ([0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z) ([0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class RecordLine:
    """An earlier release: its sequence, its time as RELEASE.json has it, and its list's hash."""

    sequence: int
    time: str
    sha256: str

    @classmethod
    def of(cls, release: Release) -> RecordLine:
        """Return the line of a release."""
        facts = release.metadata
        return cls(facts.sequence, format_time(facts.time), release.manifest_sha256)

    def __str__(self) -> str:
        return f"{self.sequence} {self.time} {self.sha256}"


def parse_record(text: bytes) -> tuple[RecordLine, ...]:
    """Read the file. Raises ``ReleaseError`` that names the line."""
    if not text.endswith(b"\n"):
        raise _wrong(text.count(b"\n") + 1, "has no end")
    lines = []
    for number, line in enumerate(text[:-1].decode("ascii", "replace").split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None or int(match[1]) > MAX_SEQUENCE:
            raise _wrong(number, "is not “SEQUENCE TIME SHA-256”")
        lines.append(RecordLine(int(match[1]), match[2], match[3]))
    for number, (one, other) in enumerate(pairwise(lines), start=2):
        if other.sequence <= one.sequence:
            raise _wrong(number, f"has the sequence {other.sequence} after {one.sequence}")
    return tuple(lines)


def record_of(release: Release) -> tuple[RecordLine, ...]:
    """Return the earlier releases that a release names. Raises ``ReleaseError``."""
    return parse_record(release.files[NAME].body) if NAME in release.files else ()


def check_record(release: Release) -> None:
    """Raise ``ReleaseError`` unless the record names only releases before this one."""
    for line in record_of(release)[-1:]:
        check_before(line, release.metadata.sequence)


def check_before(line: RecordLine, sequence: int) -> None:
    """Raise ``ReleaseError`` unless a line can be in the record of the release with a sequence."""
    if line.sequence >= sequence:
        raise ReleaseError(
            f"{NAME} names release {line.sequence}, which is not before release {sequence}.",
            "Raise the sequence in site.toml.",
            path=NAME,
        )


def record_after(previous: Release, kept: bytes = b"") -> bytes:
    """Return the record that the release after this one has.

    ``kept`` is the record so far. Raises ``ReleaseError`` unless the result begins with it.
    """
    lines = (*record_of(previous), RecordLine.of(previous))
    record = "".join(f"{line}\n" for line in lines).encode("ascii")
    if not record.startswith(kept):
        raise ReleaseError(
            f"{NAME} holds lines that release {previous.metadata.sequence} lacks.",
            "Pass the newest release, or remove the file if it is wrong.",
            path=NAME,
        )
    return record


def compare_record(release: Release, previous: Release) -> None:
    """Raise ``ReleaseError`` unless a release has the record that follows from the one before."""
    found, wanted = {*record_of(release)}, parse_record(record_after(previous))
    for line in wanted:
        if line not in found:
            raise ReleaseError(
                f"{NAME} lacks the line “{line}”, or has another one in its place.",
                "Make it again with: cccr-web history record",
                path=NAME,
            )
    for line in sorted(found - {*wanted}, key=lambda line: line.sequence):
        raise ReleaseError(
            f"{NAME} also names release {line.sequence}, which release "
            f"{previous.metadata.sequence} and its record do not.",
            f"Pass release {line.sequence} as --previous if it is the one before.",
            path=NAME,
        )


def _wrong(line: int, what: str) -> ReleaseError:
    return ReleaseError(
        f"{NAME}: line {line} {what}.", "Make it again with: cccr-web history record", path=NAME
    )
