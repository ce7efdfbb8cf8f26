"""``watch``: compare what every address serves with the signed release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli import options
from cccr_web.cli.terminal import Progress, write_file
from cccr_web.listen import Tcp

if TYPE_CHECKING:
    from cccr_web.release import Release, Trusted
    from cccr_web.watch import Address, CheckSettings, Difference, Report, SiteResult


@click.command(epilog=options.example("watch --public-key cccr.pub https://cccr.example"))
@click.argument(
    "addresses",
    nargs=-1,
    required=True,
    metavar="URL...",
    type=options.ADDRESS,
)
@options.trusted(required=True)
@options.socks
@click.option(
    "--release",
    type=options.RELEASE,
    help="The release to compare with, if not the newest signed one found.",
)
@click.option(
    "--mirrors",
    is_flag=True,
    help="Check every address in the mirrors.txt of --release, or else of the first URL, too.",
)
@options.repeatable(
    "--allow-header",
    "allowed",
    metavar="NAME",
    help="A header that an address may add, such as CF-RAY.",
)
@click.option(
    "--state",
    type=options.FOLDER,
    help="A folder in which to remember what was seen at each address, and to compare with.",
)
@click.option(
    "--compare",
    type=options.FILE,
    help="The file “seen” of another watcher's --state, to compare with as well.",
)
@options.time_limit()
@options.report_file
@options.json_output
def watch(
    addresses: tuple[Any, ...],
    key: Trusted,
    socks: Tcp | None,
    release: Path | None,
    allowed: tuple[str, ...],
    state: Path | None,
    compare: Path | None,
    seconds: float,
    report: Path | None,
    *,
    mirrors: bool,
    as_json: bool,
) -> None:
    """Compare every file at each URL with the signed release.

    Exits with 1 if any file differs, the release has expired, or SHA256SUMS.latest has lapsed or
    names a newer release.

    Runs on any machine and needs only the public key. Every URL must serve the newest
    signed release found at any of them, with the headers of our own server. Redirects are
    not followed. With --state, it also reports a release that differs from the one seen before
    under its number, that is older than one seen before, or that leaves one out of its
    releases.txt. URLs must use https with a valid certificate; http is allowed only for .onion
    and this machine.

    With --json, the result is an object with the keys format (1), same (whether all is well),
    release (sequence, time, expires, expired, days_left and sha256sums of the newest; or null),
    problem (kind, detail and remedy of what is wrong with it; or null) and addresses, a list of
    objects: address, release (its sequence), latest (release, date, lapses and lapsed, of its
    SHA256SUMS.latest; or null), files (how many), seconds, and differences, a list of objects with
    path, kind, detail and remedy.
    """
    from cccr_web.release import load
    from cccr_web.watch import (
        CheckSettings,
        Memory,
        RequestLimits,
        Route,
        check_sites,
        read_sightings,
    )

    if compare is not None and state is None:
        raise click.UsageError("--compare needs --state.")
    options.require_socks(socks, addresses)
    others = read_sightings(compare) if compare else ()
    settings = CheckSettings(
        key,
        RequestLimits(seconds),
        Route(socks),
        frozenset(name.lower() for name in allowed),
    )
    reference = load(release, key) if release else None
    if mirrors:
        addresses = tuple(dict.fromkeys((*addresses, *_mirrors(reference, addresses[0], settings))))
        options.require_socks(socks, addresses)
    with Progress() as progress:
        progress.show("fetching the signed list of each address", terminal_only=True)
        result = check_sites(
            addresses,
            settings,
            reference,
            lambda done, total: progress.show(f"file {done} of {total}", terminal_only=True),
        ).with_freshness()
    if state is not None:
        result = Memory(state, others).judge(result, key)
    write_file(report, result.to_json(), "--report")
    click.echo(result.to_json() if as_json else "\n".join(_table(result)))
    if not result.good:
        raise click.exceptions.Exit(1)


def _mirrors(reference: Release | None, first: Address, settings: CheckSettings) -> list[Address]:
    """Return the addresses in the ``mirrors.txt`` of a release, or of the one at an address."""
    from cccr_web.errors import CccrError
    from cccr_web.notices import MIRRORS, read_mirrors
    from cccr_web.watch import Address, RemoteFolder

    if reference is None:
        with RemoteFolder.open(first, settings) as remote:
            reference = remote.read_signed(settings.key, MIRRORS)
    if MIRRORS not in reference.files:
        raise CccrError(f"The release has no {MIRRORS}.", "Leave --mirrors out.")
    return [Address.parse(url) for url in read_mirrors(reference.files[MIRRORS].body).urls]


def ask_addresses(urls: Iterable[str], release: Release, settings: CheckSettings) -> dict[str, str]:
    """Ask each address for its signed list: return the ones without the release, and why."""
    from cccr_web.watch import Address, check_manifests

    listed = [Address.parse(url) for url in urls]
    asked = [each for each in listed if settings.route.proxy or not each.is_onion]
    found = {
        str(each): f"{each}: not asked, because it needs --socks."
        for each in listed
        if each not in asked
    }
    for result in check_manifests(asked, settings, release):
        if result.differences:
            detail = result.differences[0].detail
            found[result.address] = f"{result.address} does not serve it yet: {detail}."
    return found


def _table(report: Report) -> Iterator[str]:
    """Yield a line for each address, then each distinct difference once."""
    from cccr_web.release import LATEST

    if report.reference is None:
        yield "No release with a good signature was found."
    else:
        facts = report.reference.metadata
        expiry = facts.expiry()
        said = ""
        if expiry.has_passed or expiry.is_near:
            said = f", which {expiry}".replace("expired", "EXPIRED")
        yield f"Compared with release {facts.sequence} of {facts.time:%Y-%m-%d}{said}."
    width = max(len(site.address) for site in report.sites)
    yield f"{'address':{width}}  release  files  differences  seconds"
    for site in report.sites:
        release = "-" if site.sequence is None else str(site.sequence)
        yield (
            f"{site.address:{width}}  {release:>7}  {site.files:>5}  "
            f"{len(site.differences):>11}  {site.seconds:>7.1f}"
        )
    for site in report.sites:
        yield from _differences(site)
    without = [site.address for site in report.sites if site.signed and not site.latest]
    if without:
        yield f"No {LATEST}, so a newer release may exist: {', '.join(without)}"
    yield "No differences." if report.same else "There are DIFFERENCES."


def _differences(site: SiteResult) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Difference]] = {}
    for found in site.differences:
        groups.setdefault((found.kind, found.detail), []).append(found)
    for (kind, detail), alike in groups.items():
        others = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        path = alike[0].path
        yield f"{kind}: {site.address}{path}{others}: {detail}"
