"""The release that is to be served: its signature, its number, its dates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cccr_web.doctor.case import Case
from cccr_web.doctor.result import Result, not_applicable, ok, wrong
from cccr_web.errors import CccrError
from cccr_web.notices import read_notice
from cccr_web.release import Release, RollbackGuard, load, reject_future

_SOON: Final = timedelta(days=14)
_CANARY: Final = "canary.txt"


def check_release(case: Case) -> tuple[Release | None, list[Result]]:
    """Load the release, and judge it; ``None`` if it is not as the key has signed it."""
    try:
        # Only the path itself may be a link, as for the server.
        release = load(case.release.resolve(), case.key)
        reject_future(release)
    except (CccrError, OSError) as error:
        return None, [
            wrong(
                "release",
                f"{case.release}: {error}",
                "Put the last good release there, or build and sign it anew.",
            )
        ]
    return release, [*_number(case, release), _expiry(release), _canary(case, release)]


def _number(case: Case, release: Release) -> Iterator[Result]:
    facts = release.metadata
    for state in case.states:
        try:
            RollbackGuard(state).check(release)
        except CccrError as error:
            yield wrong(
                "release",
                f"{error.problem} So says {state}.",
                "Serve the newest release; to go back, sign the older texts with a higher number.",
            )
            return
    count = len(release.files)
    yield ok(
        "release",
        f"Release {facts.sequence} of {facts.time:%Y-%m-%d}: {count} files, "
        "as the key signed them.",
    )


def _expiry(release: Release) -> Result:
    expires, now = release.metadata.expires, datetime.now(UTC)
    remedy = "Build and sign a new release with a higher number."
    if expires <= now:
        return wrong("expiry", f"The release has expired on {expires:%Y-%m-%d}.", remedy)
    days = (expires - now).days
    if expires - now < _SOON:
        return wrong(
            "expiry", f"The release expires on {expires:%Y-%m-%d}, in {days} days.", remedy
        )
    return ok("expiry", f"The release is good until {expires:%Y-%m-%d}, {days} days from now.")


def _canary(case: Case, release: Release) -> Result:
    file = release.files.get(_CANARY)
    if file is None:
        return not_applicable("canary", f"The release has no {_CANARY}.")
    remedy = "Make it with: cccr-web canary. Then build and sign a new release."
    try:
        notice = read_notice(_CANARY, file.body, case.key)
    except CccrError as error:
        return wrong("canary", error.problem, remedy)
    if notice.until is None or notice.until <= datetime.now(UTC):
        return wrong("canary", f"The next canary was due before {notice.until:%Y-%m-%d}.", remedy)
    return ok("canary", f"The canary is of {notice.issued}, good until {notice.until:%Y-%m-%d}.")
