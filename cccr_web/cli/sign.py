"""``sign`` and ``verify``: a release under the organisation's key."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli.keys import FILE, passphrase_option, unlock
from cccr_web.cli.site import FOLDER
from cccr_web.cli.terminal import example
from cccr_web.errors import CccrError

if TYPE_CHECKING:
    from cccr_web.release import Release


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
@click.option("--deployable", is_flag=True, help="Reject an expired release, as a deploy must.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@example("cccr-web verify --json cccr-web.zip --public-key cccr.pub")
def verify(release: Path, public_key: str, *, deployable: bool, as_json: bool) -> None:
    """Check every byte of a release, a folder or a ZIP, against the organisation's key.

    With --json the object has the keys sequence, time, expires, fingerprint, signed
    (the signature files in the release), sha256 (of SHA256SUMS) and files (how many).
    If the check fails, it has only the key error, and the exit status is 1.
    """
    try:
        checked = _verified(release, public_key, deployable=deployable)
    except CccrError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}))
        raise
    click.echo(_to_json(checked) if as_json else _to_sentence(checked))


def _verified(path: Path, public_key: str, *, deployable: bool) -> Release:
    from cccr_web.release import load, read_public_key, refuse_expired, refuse_future

    release = load(path, read_public_key(public_key))
    refuse_future(release)
    if deployable:
        refuse_expired(release)
    return release


def _to_json(release: Release) -> str:
    from cccr_web.release import SIGNATURES, format_time

    facts = release.metadata
    return json.dumps(
        {
            "sequence": facts.sequence,
            "time": format_time(facts.time),
            "expires": format_time(facts.expires),
            "fingerprint": facts.fingerprint,
            "signed": [name for name in SIGNATURES if name in release.files],
            "sha256": release.manifest_sha256,
            "files": len(release.files),
        }
    )


def _to_sentence(release: Release) -> str:
    facts = release.metadata
    validity = "expired on" if facts.expires < datetime.now(UTC) else "valid until"
    return (
        f"OK: release {facts.sequence} of {facts.time:%Y-%m-%d}, {len(release.files)} files, "
        f"{validity} {facts.expires:%Y-%m-%d}, signed by {facts.fingerprint}."
    )
