"""Port 80: it leads to the same address by https, and to no other name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cccr_web.doctor.answers import BESIDE
from cccr_web.doctor.result import Result, ok, some, wrong
from cccr_web.doctor.way import Way
from cccr_web.release import Release
from cccr_web.serve import bare_headers, onion_policy
from cccr_web.watch import Reply, UnreachableError, header_differences

NAME: Final = "redirect"
_TARGET: Final = "/a/page.html?a=b"
_STRANGER: Final = "another.example"
# Browsers take it over https only (RFC 6797, section 8.1).
_HSTS: Final = "strict-transport-security"


def check_redirect(release: Release, way: Way) -> Iterator[Result]:
    """Ask for an address of ours, and for one of somebody else's; ``way`` is that of http."""
    domain = way.address.host
    try:
        reply = way.ask(_TARGET, host=domain)
    except UnreachableError as error:
        yield wrong(NAME, f"Port 80 does not answer: {error}.", "systemctl status nginx")
        return
    problems = list(_problems(reply, f"https://{domain}{_TARGET}"))
    # Without HSTS the clearnet's policy is the onion's.
    wanted = {
        name: value
        for name, value in bare_headers(onion_policy(release.metadata))
        if name.lower() not in BESIDE
    }
    found = [
        f"{each.kind} {each.detail}"
        for each in header_differences("", reply, wanted, {*BESIDE, _HSTS})
    ]
    if found:
        problems.append(some(found, 1))
    try:
        led = way.ask("/", host=_STRANGER).header("location") or ""
    except UnreachableError:
        led = ""
    if _STRANGER in led:
        problems.append(f"it leads to {_STRANGER} whoever asks for that")
    if problems:
        yield wrong(NAME, f"Port 80: {some(problems)}.", "See nginx’s server of port 80.")
    else:
        yield ok(NAME, f"Port 80 leads to https://{domain}, path and query kept.")


def _problems(reply: Reply, wanted: str) -> Iterator[str]:
    if reply.status not in {301, 308}:
        yield f"it answers with {reply.status}, not 301"
    elif reply.header("location") != wanted:
        yield f"it leads to {reply.header('location')}, not {wanted}"
