"""``mirror`` and ``headers``: what other web servers need to serve a release."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options

if TYPE_CHECKING:
    from cccr_web.serve import Listener


@click.command(epilog=options.example("mirror mirror --release cccr-web.zip --public-key cccr.pub"))
@click.argument("folder", type=options.FOLDER)
@click.option(
    "--release", required=True, type=options.RELEASE, help="The release: a folder or ZIP."
)
@options.public_key()
@click.option("--onion", is_flag=True, help="Write the headers for an onion, not the clearnet.")
def mirror(folder: Path, release: Path, public_key: str | None, *, onion: bool) -> None:
    """Write a release to FOLDER for a static host.

    The host serves FOLDER/site, which is the release. FOLDER/headers holds nginx.conf and
    Caddyfile to include in its configuration, and _headers and _redirects for hosts that
    read these files from the site. FOLDER/redirects holds pages such as zh/index.html: copy
    them into FOLDER/site for a host that cannot redirect. An expired release is rejected.
    Without --public-key, the files are checked only against SHA256SUMS.
    """
    from cccr_web.errors import counted
    from cccr_web.mirror import write_mirror
    from cccr_web.notices import reject_expired_notices
    from cccr_web.release import load, read_public_key, reject_expired

    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(release)):
        raise click.UsageError(f"{folder} is in the release itself: choose another folder.")
    key = read_public_key(public_key) if public_key else None
    checked = load(release, key)
    reject_expired(checked)
    if key:
        reject_expired_notices(checked, key)
    write_mirror(checked, folder, "onion" if onion else "clearnet")
    signature = f"signed by {key.fingerprint}" if key else "not checked against a key"
    files = counted(len(checked.files), "file")
    click.echo(
        f"Release {checked.metadata.sequence}, {files}, {signature}, "
        f"is in {folder / 'site'}; the headers are in {folder / 'headers'}. "
        f"The release {checked.metadata.expiry()}."
    )


@click.command(epilog=options.example("headers --release current --public-key cccr.pub clearnet"))
@click.option(
    "--release", type=options.RELEASE, required=True, help="The served release: a folder or ZIP."
)
@options.public_key()
@click.option(
    "--format", "rule_format", metavar="NAME", default="text", help="The format, as listed above."
)
@options.hsts_preload
@click.argument("listener", type=click.Choice(["clearnet", "onion"]))
def headers(
    release: Path,
    public_key: str | None,
    rule_format: str,
    listener: Listener,
    *,
    hsts_preload: bool,
) -> None:
    """Print the headers that other servers must send.

    A reverse proxy must add them to its own error responses (400, 429, 502), which have no
    page. They are the same for every release.

    The format "text" prints them as lines "Name: value", and "json" as an object.
    "nginx-proxy-http" and "nginx-proxy-server" print rules for nginx as a reverse proxy,
    for the http block and for a server block. "nginx-proxy-tags" and
    "nginx-proxy-languages" print the entries of two maps: from Accept-Language to a
    language tag, and from the tag to the language of "/".

    A static host that serves the release's files itself needs the headers of every file:
    "nginx", "caddy", "netlify" (_headers) and "netlify-redirects" (_redirects). Without
    --public-key, the files are checked only against SHA256SUMS.
    """
    from cccr_web.mirror import FORMATS, header_rules
    from cccr_web.release import load, read_public_key

    if rule_format not in FORMATS:
        raise click.UsageError(f"--format {rule_format} is not one of {', '.join(FORMATS)}.")
    loaded = load(release, read_public_key(public_key) if public_key else None)
    rules = header_rules(loaded, listener, [rule_format], hsts_preload=hsts_preload)
    click.echo(rules[rule_format], nl=False)
