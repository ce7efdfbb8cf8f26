"""``headers``: the policy, for whatever stands before the server and answers by itself."""

from __future__ import annotations

from pathlib import Path

import click

from cccr_web.cli.site import FOLDER
from cccr_web.cli.terminal import example


@click.command()
@click.option("--release", type=FOLDER, required=True, help="The release that is served.")
@click.option("--public-key", help="The organisation's key: a file, or RW… itself.")
@click.argument("listener", type=click.Choice(["clearnet", "onion"]))
@example("cccr-web headers --release current --public-key cccr.pub clearnet")
def headers(release: Path, public_key: str | None, listener: str) -> None:
    """Print what goes with a response without a page, a line each: "Name: value".

    It is what the server itself sends with a refusal on that listener. A program before
    it, such as nginx, must send the same with what it answers by itself (400, 429, 502).
    """
    from cccr_web.release import load, read_public_key
    from cccr_web.serve import bare_headers, clearnet_policy, onion_policy

    facts = load(release, read_public_key(public_key) if public_key else None).metadata
    policy = onion_policy(facts) if listener == "onion" else clearnet_policy(facts, facts.onions)
    for name, value in bare_headers(policy):
        click.echo(f"{name}: {value}")
