"""What was seen, fit for a program that reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cccr_web.release import Release
from cccr_web.watch.difference import Difference

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """One address: which release its own signed list is of, how many files were compared."""

    address: str
    sequence: int | None
    files: int
    seconds: float
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All addresses, and the release that they were compared with, if any was trusted."""

    reference: Release | None
    seen: tuple[Seen, ...]

    @property
    def same(self) -> bool:
        """Whether every address hands out exactly the release."""
        return self.reference is not None and not any(seen.differences for seen in self.seen)

    def has_expired(self, now: datetime) -> bool:
        """Whether the release's time is over; every address may still agree on it."""
        return self.reference is not None and self.reference.metadata.expires < now

    def to_json(self) -> str:
        """Return the report as JSON, with its keys in one order."""
        values = {
            "format": FORMAT,
            "same": self.same,
            "release": _release(self.reference) if self.reference else None,
            "addresses": [_seen(seen) for seen in self.seen],
        }
        return json.dumps(values, indent=2, ensure_ascii=False)


def _release(release: Release) -> dict[str, Any]:
    facts = release.metadata
    return {
        "sequence": facts.sequence,
        "time": facts.time.isoformat(),
        "expires": facts.expires.isoformat(),
        "sha256sums": release.manifest_sha256,
    }


def _seen(seen: Seen) -> dict[str, Any]:
    return {
        "address": seen.address,
        "release": seen.sequence,
        "files": seen.files,
        "seconds": round(seen.seconds, 2),
        "differences": [
            {"path": found.path, "kind": found.kind.value, "detail": found.detail}
            for found in seen.differences
        ],
    }
