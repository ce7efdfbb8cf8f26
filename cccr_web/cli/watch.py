"""``watch``: compare what every address hands out with what was signed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli.site import ParsedParam
from cccr_web.cli.terminal import Progress, example
from cccr_web.listen import Tcp, parse_listen

if TYPE_CHECKING:
    from cccr_web.watch import Difference, Report, Seen


def _read_address(text: str) -> Any:
    from cccr_web.watch import Address

    return Address.parse(text)


def _read_proxy(text: str) -> Tcp:
    where = parse_listen(text)
    if isinstance(where, Tcp):
        return where
    raise ValueError(f"“{text}”: give HOST:PORT, such as 127.0.0.1:9050.")


@click.command()
@click.argument("addresses", nargs=-1, required=True, type=ParsedParam("URL", _read_address))
@click.option("--public-key", required=True, help="The organisation's key: a file, or RW… itself.")
@click.option(
    "--socks",
    type=ParsedParam("HOST:PORT", _read_proxy),
    help="Tor's SocksPort, for onions: 127.0.0.1:9050. It resolves their names.",
)
@click.option(
    "--release",
    type=click.Path(path_type=Path),
    help="Compare with this release, not with the newest signed one that is found.",
)
@click.option(
    "--allow-header",
    "allowed",
    multiple=True,
    help="A header that an address may add, such as a host's CF-RAY. May be repeated.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=600.0,
    show_default=True,
    help="Seconds for one address.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@example("cccr-web watch --public-key cccr.pub --socks 127.0.0.1:9050 https://cccr.example")
def watch(
    addresses: tuple[Any, ...],
    public_key: str,
    socks: Tcp | None,
    release: Path | None,
    allowed: tuple[str, ...],
    time_limit: float,
    *,
    as_json: bool,
) -> None:
    """Fetch every signed file from each URL and compare it, byte for byte. Exit 1 if any differs.

    From any machine, with nothing but the public key. The newest release with a
    good signature at any URL is what all must hand out, with the headers of our own
    server; redirects are not followed. URLs are https, with the certificate checked;
    http only for .onion and this machine.
    """
    from cccr_web.errors import CccrError
    from cccr_web.release import load, read_public_key
    from cccr_web.watch import Limits, Road, Watcher

    if socks is None and any(address.is_onion for address in addresses):
        raise CccrError("An onion is reached through tor only.", "Give --socks 127.0.0.1:9050.")
    key = read_public_key(public_key)
    watcher = Watcher(
        key,
        Road(socks),
        load(release, key) if release else None,
        frozenset(name.lower() for name in allowed),
        Limits(whole=time_limit),
    )
    with Progress() as progress:
        progress.show("fetching the signed list of each address", terminal_only=True)
        report = watcher.look(
            addresses,
            lambda done, total: progress.show(f"file {done} of {total}", terminal_only=True),
        )
    click.echo(report.to_json() if as_json else "\n".join(_table(report)))
    if not report.same:
        raise click.exceptions.Exit(1)


def _table(report: Report) -> Iterator[str]:
    """Yield the lines for people: a line each address, then each kind of difference once."""
    if report.reference is None:
        yield "No release with a good signature was found."
    else:
        facts = report.reference.metadata
        over = ", which has EXPIRED" if report.has_expired(datetime.now(UTC)) else ""
        yield f"Compared with release {facts.sequence} of {facts.time:%Y-%m-%d}{over}."
    width = max(len(seen.address) for seen in report.seen)
    yield f"{'address':{width}}  release  files  differences  seconds"
    for seen in report.seen:
        release = "-" if seen.sequence is None else str(seen.sequence)
        yield (
            f"{seen.address:{width}}  {release:>7}  {seen.files:>5}  "
            f"{len(seen.differences):>11}  {seen.seconds:>7.1f}"
        )
    for seen in report.seen:
        yield from _differences(seen)
    yield "All the same." if report.same else "NOT all the same."


def _differences(seen: Seen) -> Iterator[str]:
    groups: dict[tuple[str, str], list[Difference]] = {}
    for found in seen.differences:
        groups.setdefault((found.kind, found.detail), []).append(found)
    for (kind, detail), alike in groups.items():
        others = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        path = alike[0].path
        yield f"{kind}: {seen.address}{path}{others}: {detail}"
