"""The result of checking sites, and its JSON form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from cccr_web.release import LATEST, Latest, Release, latest_of
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

    @property
    def latest(self) -> Latest | None:
        """What says there which release is the newest."""
        return latest_of(self.signed) if self.signed else None


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

    def with_freshness(self) -> Report:
        """Return the report in which addresses also differ that may not have the newest release."""
        sites = (
            replace(site, differences=tuple(sorted({*site.differences, *_freshness(site)})))
            for site in self.sites
        )
        return replace(self, sites=tuple(sites))

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


def _freshness(site: SiteResult) -> Iterator[Difference]:
    latest = site.latest
    if latest and latest.sequence > (site.sequence or 0):
        detail = f"release {site.sequence}, but it names release {latest.sequence}"
        yield Difference(f"/{LATEST}", DifferenceKind.FREEZE, detail)
    if latest and latest.expiry.has_passed:
        detail = f"of {latest.issued}, lapsed on {latest.lapses}"
        yield Difference(f"/{LATEST}", DifferenceKind.LAPSED, detail)


def _latest(latest: Latest | None) -> dict[str, Any] | None:
    if latest is None:
        return None
    return {
        "release": latest.sequence,
        "date": str(latest.issued),
        "lapses": str(latest.lapses),
        "lapsed": latest.expiry.has_passed,
    }


def _site(site: SiteResult) -> dict[str, Any]:
    return {
        "address": site.address,
        "release": site.sequence,
        "latest": _latest(site.latest),
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
