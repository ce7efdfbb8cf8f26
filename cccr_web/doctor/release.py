"""The signed release: its signature, sequence and dates, and whether the site serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from cccr_web.doctor.model import CheckResult, Target, not_applicable, ok, summarise, wrong
from cccr_web.doctor.probe import Probe
from cccr_web.errors import CccrError
from cccr_web.notices import CANARY, read_notice
from cccr_web.release import Expiry, Release, RollbackGuard, load, reject_future
from cccr_web.watch import RequestLimits, Settings, check_sites

HEADERS_REMEDY: Final = (
    "Check the reverse proxy in front of the server: “cccr-web headers” prints the right headers."
)


def check_release(target: Target) -> tuple[Release | None, list[CheckResult]]:
    """Load and check the release; it is ``None`` unless the key signed it and it is complete."""
    try:
        # Only the path itself may be a link, as for the server.
        release = load(target.release.resolve(), target.key)
        reject_future(release)
    except (CccrError, OSError) as error:
        return None, [
            wrong(
                "release",
                f"{target.release}: {error}",
                "Restore the last good release, or build and sign a new one.",
            )
        ]
    return release, [_sequence(target, release), _expiry(release), _canary(target, release)]


def _sequence(target: Target, release: Release) -> CheckResult:
    facts = release.metadata
    for state in target.states:
        try:
            RollbackGuard(state).check(release)
        except CccrError as error:
            return wrong(
                "release",
                f"{error.problem} This is recorded in {state}.",
                "Serve the newest release. To roll back, sign the older texts with a higher "
                "sequence.",
            )
    return ok(
        "release",
        f"Release {facts.sequence} of {facts.time:%Y-%m-%d}: {len(release.files)} files, "
        "all as signed.",
    )


def _expiry(release: Release) -> CheckResult:
    expiry = release.metadata.expiry()
    sentence = f"The release {expiry}."
    if expiry.has_passed or expiry.is_near:
        return wrong("expiry", sentence, "Build and sign a new release with a higher sequence.")
    return ok("expiry", sentence)


def _canary(target: Target, release: Release) -> CheckResult:
    file = release.files.get(CANARY)
    if file is None:
        return not_applicable("canary", f"The release has no {CANARY}.")
    remedy = "Write one with “cccr-web canary”. Then build and sign a new release."
    try:
        notice = read_notice(CANARY, file.body, target.key)
    except CccrError as error:
        return wrong("canary", error.problem, remedy)
    expiry = Expiry(notice.until or datetime.now(UTC))
    last = f"{expiry.time - timedelta(days=1):%Y-%m-%d}"
    if expiry.has_passed:
        return wrong("canary", f"The next canary was due on {last}.", remedy)
    return ok(
        "canary",
        f"The canary is dated {notice.issued}. The next is due on {last} ({expiry.left}).",
    )


def check_served_files(
    target: Target,
    release: Release,
    probe: Probe,
    onions: tuple[str, ...],
    progress: Callable[[int, int], None],
) -> Iterator[CheckResult]:
    """Compare every byte and header as ``cccr-web watch`` does.

    ``onions`` are those that the clearnet names in addition to the release's.
    """
    limits = RequestLimits(timeout=target.seconds)
    settings = Settings(target.key, probe.route, limits, onions=onions)
    (site,) = check_sites([probe.address], settings, release, progress).sites
    bytes_name, headers_name = f"{probe.name} bytes", f"{probe.name} headers"
    files, headers = (
        [
            f"{found.path or site.address}: {found.kind} ({found.detail})"
            for found in site.differences
            if found.kind.is_header == is_header
        ]
        for is_header in (False, True)
    )
    if files:
        yield wrong(
            bytes_name,
            f"Different from the signed release: {summarise(files)}.",
            "Restart the server. If that does not help, treat this machine as compromised.",
        )
    else:
        yield ok(
            bytes_name,
            f"{site.files} files at {site.address}, all as signed, in {site.seconds:.0f} s.",
        )
    if headers:
        sentence = f"Different from the header policy: {summarise(headers)}."
        yield wrong(headers_name, sentence, HEADERS_REMEDY)
    elif site.files:
        yield ok(headers_name, "Every file has exactly the headers of the policy.")
    else:
        yield wrong(headers_name, "No response arrived to check.", f"Fix “{bytes_name}” first.")
