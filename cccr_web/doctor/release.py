"""The signed release: its signature, sequence and dates, and whether the site serves it."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from cccr_web.doctor.model import (
    CheckResult,
    Target,
    not_applicable,
    not_checked,
    ok,
    summarise,
    wrong,
)
from cccr_web.doctor.probe import Probe
from cccr_web.errors import CccrError, counted
from cccr_web.notices import (
    CANARY,
    MIRRORS,
    SECURITY_TXT,
    Notice,
    read_notice,
)
from cccr_web.release import (
    KEYS,
    Expiry,
    Release,
    RollbackGuard,
    SigningPolicy,
    load,
    policies_of,
    reject_future,
)
from cccr_web.watch import (
    NEW_RELEASE_REMEDY,
    CheckSettings,
    Difference,
    DifferenceKind,
    RequestLimits,
    check_sites,
)

_OTHER_RELEASES: Final = {DifferenceKind.OLDER_RELEASE, DifferenceKind.NEWER_RELEASE}
HEADERS_REMEDY: Final = (
    "Check the reverse proxy in front of the server: “cccr-web headers” prints the right headers."
)


def check_release(target: Target) -> tuple[Release | None, list[CheckResult]]:
    """Load and check the release; it is ``None`` unless the key signed it and it is complete."""
    try:
        # Only the path itself may be a link, as for the server.
        release = load(Path(os.path.realpath(target.release)), target.key)
        reject_future(release)
    except (CccrError, OSError) as error:
        return None, [
            wrong(
                "release",
                f"{target.release}: {error}",
                "Restore the last good release, or build and sign a new one.",
            )
        ]
    return release, [
        _sequence(target, release),
        *_signers(policies_of(release, target.key)[-1], release),
        _expires("expiry", "The release", release.metadata.expiry(), NEW_RELEASE_REMEDY),
        _notice(target, release, CANARY, "canary"),
        _notice(target, release, MIRRORS, "mirrors"),
        _notice(target, release, KEYS, "key change"),
        _notice(target, release, SECURITY_TXT, "security-txt"),
    ]


def _sequence(target: Target, release: Release) -> CheckResult:
    facts = release.metadata
    for state in target.states:
        guard = RollbackGuard(state)
        try:
            guard.check(release)
            guard.check_policies(policies_of(release, target.key))
        except CccrError as error:
            return wrong(
                "release",
                f"{error.problem} This is recorded in {state}.",
                error.remedy
                or "Serve the newest release. To roll back, sign the older texts with a higher "
                "sequence.",
            )
    files = counted(len(release.files), "file")
    return ok(
        "release",
        f"Release {facts.sequence} of {facts.time:%Y-%m-%d}: {files}, all as signed.",
    )


def _signers(policy: SigningPolicy, release: Release) -> Iterator[CheckResult]:
    """Say who signed, and what one stolen key could do, unless there is only one key."""
    if policy.single_key:
        return
    names = {signer.file: signer.name for signer in policy.signers}
    signed = ", ".join(names[file] for file in release.signatures if file in names)
    sentence = f"Signed by {signed}; {policy.threshold} of {len(names)} must sign."
    if policy.threshold == 1:
        sentence += " So one stolen key is enough to sign a release."
    yield ok("signers", sentence)


def _expires(name: str, what: str, expiry: Expiry, remedy: str) -> CheckResult:
    if expiry.has_passed or expiry.is_near:
        return wrong(name, f"{what} {expiry}.", remedy)
    return ok(name, f"{what} {expiry}.")


def _notice(target: Target, release: Release, path: str, command: str) -> CheckResult:
    name = "canary" if path == CANARY else PurePosixPath(path).name
    file = release.files.get(path)
    if file is None:
        return not_applicable(name, f"The release has no {path}.")
    remedy = f"Write one with “cccr-web {command}”. Then build and sign a new release."
    try:
        policy = policies_of(release, target.key)[-1]
        notice = read_notice(path, file.body, policy)
    except CccrError as error:
        return wrong(name, error.problem, remedy)
    # No server accepts a release with such a notice (“check_notices”).
    fault = notice.fault(release.metadata.time, "the release is dated")
    if fault and notice.issued is not None:
        return wrong(name, f"{path}: {fault}", remedy)
    if notice.until is None:
        return ok(name, f"{path} does not expire.")
    if path == CANARY:
        return _canary(name, notice, Expiry(notice.until), remedy)
    return _expires(name, path, Expiry(notice.until), remedy)


def _canary(name: str, notice: Notice, expiry: Expiry, remedy: str) -> CheckResult:
    if expiry.has_passed:
        return wrong(name, f"The next canary was due on {notice.last_day}.", remedy)
    due = f"The next is due on {notice.last_day} ({expiry.left})."
    return ok(name, f"The canary is dated {notice.issued}. {due}")


def check_served_files(
    target: Target,
    release: Release,
    probe: Probe,
    onions: tuple[str, ...],
    progress: Callable[[int, int], None],
    cause: str | None = None,
) -> Generator[CheckResult, None, str | None]:
    """Compare every byte and header as ``cccr-web watch`` does.

    ``onions`` are those that the clearnet names in addition to the release's. ``cause`` is the
    check that found why nothing may answer, if any. Returns the check that found why other
    responses cannot be those of the release, if any.
    """
    limits = RequestLimits(target.seconds)
    settings = CheckSettings(target.key, limits, probe.route, onions=onions)
    (site,) = check_sites([probe.address], settings, release, progress).sites
    bytes_name, headers_name = f"{probe.name} bytes", f"{probe.name} headers"
    files = [found for found in site.differences if not found.kind.is_header]
    headers = [found for found in site.differences if found.kind.is_header]
    kinds = {found.kind for found in files}
    if kinds == {DifferenceKind.UNREACHABLE}:
        if cause is None:
            cause = bytes_name
            yield wrong(
                bytes_name,
                f"No response: {_summary(files, site.address)}.",
                "Check the programs that serve it: systemctl status nginx 'cccr-web-*'",
            )
        else:
            yield not_checked(bytes_name, cause)
        yield not_checked(headers_name, cause)
        return cause
    if files and kinds <= _OTHER_RELEASES:
        yield wrong(
            bytes_name,
            f"The server serves another signed release: {files[0].detail}.",
            "Reload it. If it rejects the release, its status says why: "
            "systemctl status 'cccr-web-*'",
        )
        cause = bytes_name
    elif files:
        yield wrong(
            bytes_name,
            f"Different from the signed release: {_summary(files, site.address)}.",
            "Restart the server. If that does not help, treat this machine as compromised.",
        )
    else:
        yield ok(
            bytes_name,
            f"{counted(site.files, 'file')} at {site.address}, all as signed, "
            f"in {site.seconds:.0f} s.",
        )
    if headers:
        sentence = f"Different from the header policy: {_summary(headers, site.address)}."
        yield wrong(headers_name, sentence, HEADERS_REMEDY)
    else:
        yield ok(headers_name, "Every file has exactly the headers of the policy.")
    return cause


def _summary(differences: list[Difference], address: str) -> str:
    return summarise(
        [f"{found.path or address}: {found.kind} ({found.detail})" for found in differences]
    )
