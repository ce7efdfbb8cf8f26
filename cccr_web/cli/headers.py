"""``headers``: the header policy as configuration for other servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli.site import FOLDER, ParsedParam
from cccr_web.cli.terminal import example

if TYPE_CHECKING:
    from cccr_web.mirror import Listener


def _parse_format(text: str) -> str:
    from cccr_web.mirror import FORMATS

    if text not in FORMATS:
        raise ValueError(f"“{text}” is not one of {', '.join(FORMATS)}.")
    return text


@click.command()
@click.option("--release", type=FOLDER, required=True, help="The release that is served.")
@click.option(
    "--public-key", help="The organisation's public key: a file, or the key itself (RW…)."
)
@click.option(
    "--format",
    "rule_format",
    type=ParsedParam("NAME", _parse_format),
    default="text",
    show_default=True,
    help="The format of the rules; see above.",
)
@click.argument("listener", type=click.Choice(["clearnet", "onion"]))
@example("cccr-web headers --release current --public-key cccr.pub --format json clearnet")
def headers(release: Path, public_key: str | None, rule_format: str, listener: Listener) -> None:
    """Print the headers of a release for other servers.

    A reverse proxy must add the same headers to its own error responses (400, 429, 502).
    The format "text" prints a line "Name: value" for each of them, and "json" an object.
    "nginx-proxy-http" and "nginx-proxy-server" print rules for nginx as a reverse proxy,
    for the http block and for a server block.

    A static host that serves the release's files itself needs the headers of every file:
    "nginx", "caddy", "netlify" (_headers) and "netlify-redirects" (_redirects).
    """
    from cccr_web.mirror import header_rules
    from cccr_web.release import load, read_public_key

    loaded = load(release, read_public_key(public_key) if public_key else None)
    click.echo(header_rules(loaded, listener, [rule_format])[rule_format], nl=False)
