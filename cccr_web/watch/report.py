"""The result of checking sites, and its JSON form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from cccr_web.release import Release
from cccr_web.watch.differences import Difference, DifferenceKind

_FORMAT = 1

NEW_RELEASE_REMEDY: Final = "Build and sign a new release with a higher sequence, and publish it."


@dataclass(frozen=True, slots=True)
class SiteResult:
    """One address: the sequence of its signed release, and how many files were compared.

    ``signed`` is that release, of which only the files have bytes that were read to verify it.
    """

    address: str
    sequence: int | None
    files: int
    seconds: float
    differences: tuple[Difference, ...]
    signed: Release | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All addresses, and the signed release that they were compared with, if there was one."""

    reference: Release | None
    sites: tuple[SiteResult, ...]

    @property
    def same(self) -> bool:
        """Whether every address serves exactly the release."""
        return self.reference is not None and not any(site.differences for site in self.sites)

    @property
    def good(self) -> bool:
        """Whether they do, and the release has not expired."""
        return (
            self.same
            and self.reference is not None
            and not self.reference.metadata.expiry().has_passed
        )

    def to_json(self) -> str:
        """Return the report as JSON, with its keys in a fixed order."""
        values = {
            "format": _FORMAT,
            "same": self.same,
            "release": _release(self.reference) if self.reference else None,
            "problem": _problem(self.reference),
            "addresses": [_site(site) for site in self.sites],
        }
        return json.dumps(values, indent=2, ensure_ascii=False)


def _release(release: Release) -> dict[str, Any]:
    facts = release.metadata
    return {
        "sequence": facts.sequence,
        "time": facts.time.isoformat(),
        "expires": facts.expires.isoformat(),
        "expired": facts.expiry().has_passed,
        "days_left": facts.expiry().days_left,
        "sha256sums": release.manifest_sha256,
    }


def _problem(release: Release | None) -> dict[str, str] | None:
    """Return why readers need another release, if they do."""
    if release is None:
        kind = DifferenceKind.BAD_SIGNATURE
        sentence = "No address has a release with a good signature."
        return {"kind": kind.value, "detail": sentence, "remedy": kind.remedy}
    expiry = release.metadata.expiry()
    if expiry.has_passed or expiry.is_near:
        kind_ = "expired" if expiry.has_passed else "expires"
        return {"kind": kind_, "detail": f"It {expiry}.", "remedy": NEW_RELEASE_REMEDY}
    return None


def _site(site: SiteResult) -> dict[str, Any]:
    return {
        "address": site.address,
        "release": site.sequence,
        "files": site.files,
        "seconds": round(site.seconds, 2),
        "differences": [
            {
                "path": found.path,
                "kind": found.kind.value,
                "detail": found.detail,
                "remedy": found.kind.remedy,
            }
            for found in site.differences
        ],
    }
