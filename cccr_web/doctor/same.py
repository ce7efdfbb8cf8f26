"""Whether a road hands out the signed release: every byte of it, and every header."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cccr_web.doctor.case import Case
from cccr_web.doctor.result import Result, ok, some, wrong
from cccr_web.doctor.way import Way
from cccr_web.release import Release
from cccr_web.watch import Kind, Limits, Watcher

_HEADERS = {Kind.EXTRA_HEADER, Kind.MISSING_HEADER, Kind.CHANGED_HEADER}


def check_same(
    case: Case,
    release: Release,
    way: Way,
    onions: tuple[str, ...],
    progress: Callable[[int, int], None],
) -> Iterator[Result]:
    """Compare what ``cccr-web watch`` compares. ``onions`` are those that the clearnet names."""
    watcher = Watcher(case.key, way.road, release, (), Limits(whole=case.seconds), onions)
    (seen,) = watcher.look([way.address], progress).seen
    bytes_of, headers_of = f"{way.name} bytes", f"{way.name} headers"
    found = [
        f"{each.path or seen.address}: {each.kind} ({each.detail})"
        for each in seen.differences
        if each.kind not in _HEADERS
    ]
    if found:
        yield wrong(
            bytes_of,
            f"Not what was signed: {some(found)}.",
            "Restart the server; if it stays so, treat this machine as broken into.",
        )
    else:
        yield ok(
            bytes_of,
            f"{seen.files} files at {seen.address}, each as it was signed, "
            f"in {seen.seconds:.0f} s.",
        )
    other = [
        f"{each.path}: {each.kind} ({each.detail})"
        for each in seen.differences
        if each.kind in _HEADERS
    ]
    if other:
        yield wrong(
            headers_of,
            f"Not the headers of the policy: {some(other)}.",
            "See what stands before the server: “cccr-web headers” prints what it must send.",
        )
    elif seen.files:
        yield ok(headers_of, "Each file comes with the whole header policy and nothing else.")
    else:
        yield wrong(headers_of, "No answer came to be looked at.", "See the line above.")
