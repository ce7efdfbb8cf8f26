"""``sign`` and ``verify``: a release under the organisation's key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from cccr_web.cli.keys import FILE, passphrase_option, unlock
from cccr_web.cli.site import FOLDER
from cccr_web.cli.terminal import example


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--key", "key_file", required=True, type=FILE, help="The organisation's secret key.")
@passphrase_option
@click.option("--openpgp-key", help="Sign with this key of gpg's too.")
@example("cccr-web sign ../release --key cccr.key")
def sign(
    folder: Path, key_file: Path, passphrase_file: Path | None, openpgp_key: str | None
) -> None:
    """Sign the release in FOLDER, whole or not at all: minisign's form and OpenSSH's."""
    from cccr_web.notices import refuse_old_canary
    from cccr_web.release import Signer, load, write

    release = load(folder)
    key = unlock(key_file, passphrase_file)
    refuse_old_canary(release, key.public)
    signed = Signer(key, openpgp_key).sign(release)
    write(signed, folder)
    facts = signed.metadata
    click.echo(
        f"Release {facts.sequence} of {facts.time:%Y-%m-%d} is signed, "
        f"valid until {facts.expires:%Y-%m-%d}: {facts.fingerprint}"
    )


@click.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.option("--public-key", required=True, help="The organisation's key: a file, or RW… itself.")
@click.option("--deployable", is_flag=True, help="Refuse an expired one, as a deploy must.")
@example("cccr-web verify cccr-web.zip --public-key cccr.pub")
def verify(release: Path, public_key: str, *, deployable: bool) -> None:
    """Check every byte of a release, a folder or a ZIP, by the organisation's key."""
    from cccr_web.release import load, read_public_key, refuse_expired, refuse_future

    key = read_public_key(public_key)
    checked = load(release, key)
    refuse_future(checked)
    if deployable:
        refuse_expired(checked)
    facts = checked.metadata
    validity = "expired on" if facts.expires < datetime.now(UTC) else "valid until"
    click.echo(
        f"OK: release {facts.sequence} of {facts.time:%Y-%m-%d}, {len(checked.files)} files, "
        f"{validity} {facts.expires:%Y-%m-%d}, signed by {key.fingerprint}."
    )
