"""``mirror``: write a release to a folder that any static host can serve."""

from __future__ import annotations

from pathlib import Path

import click

from cccr_web.cli.site import FOLDER
from cccr_web.cli.terminal import example


@click.command()
@click.argument("folder", type=FOLDER)
@click.option(
    "--release", required=True, type=click.Path(path_type=Path), help="A release: folder or ZIP."
)
@click.option(
    "--public-key", help="The organisation's public key: a file, or the key itself (RW…)."
)
@click.option(
    "--onion", is_flag=True, help="Write the headers for an onion instead of the clearnet."
)
@example("cccr-web mirror /srv/cccr --release cccr-web.zip --public-key cccr.pub")
def mirror(folder: Path, release: Path, public_key: str | None, *, onion: bool) -> None:
    """Write the release to FOLDER/site, and the headers for common hosts to FOLDER/headers.

    The host serves FOLDER/site. FOLDER/headers holds nginx.conf and Caddyfile to include,
    and _headers and _redirects for hosts that read these files from the site. An expired
    release is rejected. Without --public-key the files are only checked against their list.
    """
    from cccr_web.mirror import write_mirror
    from cccr_web.release import load, read_public_key, reject_expired

    key = read_public_key(public_key) if public_key else None
    checked = load(release, key)
    reject_expired(checked)
    write_mirror(checked, folder, "onion" if onion else "clearnet")
    signature = f"signed by {key.fingerprint}" if key else "not checked against a key"
    click.echo(
        f"Release {checked.metadata.sequence}, {len(checked.files)} files, {signature}, "
        f"is in {folder / 'site'}; the headers are in {folder / 'headers'}."
    )
