"""``sign``, ``verify`` and ``history``: what is done with a release after it is built."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.cli.keys import unlock
from cccr_web.cli.terminal import working
from cccr_web.errors import CccrError, counted

if TYPE_CHECKING:
    from cccr_web.release import Release, SigningKey, SigningPolicy, Trusted


@click.command(epilog=options.example("sign ../release --key cccr.key"))
@click.argument("folder", type=options.FOLDER)
@options.signer
@click.option(
    "--previous",
    type=options.RELEASE,
    help="Your own copy of the release before, to compare releases.txt with.",
)
@options.passphrase_file
@options.openpgp_key
def sign(
    folder: Path,
    key_file: Path | None,
    ssh_key: Path | None,
    previous: Path | None,
    passphrase_file: Path | None,
    openpgp_key: str | None,
) -> None:
    """Sign the release in FOLDER. Minisign and OpenSSH can verify the signatures.

    A release with a policy gets one more signature each time, by the signer in the policy who
    has the key; the command says whose are missing. A release that has expired is signed with a
    warning.
    """
    from cccr_web.notices import check_notices
    from cccr_web.release import (
        RECORD,
        Signer,
        compare_record,
        load,
        reject_future,
        release_policy,
        write,
    )

    with working(f"reading {folder}"):
        release = load(folder)
    reject_future(release)
    if previous is not None:
        with working(f"reading {previous}"):
            compare_record(release, load(previous))
    key = unlock(key_file, passphrase_file) if key_file else None
    if policy := release_policy(release):
        if openpgp_key is not None:
            raise click.UsageError("A release with a policy has no OpenPGP signature.")
        check_notices(release, policy, datetime.now(UTC))
        signed, said = _add_signature(release, policy, key, ssh_key)
    elif key is None:
        raise click.UsageError("A release without a policy is signed with --key.")
    else:
        check_notices(release, key.public, datetime.now(UTC))
        with working("signing, and packing the ZIP"):
            signed, said = Signer(key, openpgp_key).sign(release), "is signed"
    with working(f"writing {folder}"):
        write(signed, folder)
    if previous is None:
        click.echo(f"{RECORD} was not compared with an earlier release: pass --previous.")
    facts = signed.metadata
    click.echo(
        f"Release {facts.sequence} of {facts.time:%Y-%m-%d} {said} and {facts.expiry()}: "
        f"{facts.fingerprint}"
    )
    _warn_if_expired(signed)


def _add_signature(
    release: Release, policy: SigningPolicy, key: SigningKey | None, ssh_key: Path | None
) -> tuple[Release, str]:
    """Return the release with one more signature, and what is missing after it."""
    from cccr_web.release import MANIFEST, add_signature, sign_with_ssh_keygen

    sums = release.files[MANIFEST].body
    policy.signed_by(sums, release.signatures)
    signature: dict[str, bytes] = {}
    if key is not None:
        signature = policy.sign(sums, key)
    elif ssh_key is not None:
        signature = policy.match(sums, sign_with_ssh_keygen(sums, ssh_key))
    with working("packing the ZIP"):
        signed = add_signature(release, signature)
    return signed, policy.describe_progress(policy.signed_by(sums, signed.signatures))


@click.command(epilog=options.example("verify --json cccr-web.zip --public-key cccr.pub"))
@click.argument("release", type=options.RELEASE)
@options.public_key()
@options.policy
@click.option("--deployable", is_flag=True, help="Also reject an expired release.")
@options.json_output
def verify(
    release: Path,
    public_key: str | None,
    policy: Path | None,
    *,
    deployable: bool,
    as_json: bool,
) -> None:
    """Verify every byte of RELEASE with a public key or a policy.

    RELEASE is a folder or ZIP. Exits with 1 if any check fails, also if mirrors.txt has expired;
    an expired release only causes a warning. If keys.txt in RELEASE leads from your key or policy
    to a newer one, that one must have signed. With --json, the result is an object with the keys
    sequence, time, expires, fingerprint, signed (the signature files in the release), sha256 (of
    SHA256SUMS), files (how many), days_left (negative after expiry) and onions (the onion
    addresses that the release names). After a failure, it has only the key error.
    """
    try:
        key = options.require_trusted(public_key, policy)
        checked = _verified(release, key, deployable=deployable)
    except CccrError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}))
        raise
    click.echo(_to_json(checked) if as_json else _to_sentence(checked, key))
    _warn_if_expired(checked)


def _verified(path: Path, key: Trusted, *, deployable: bool) -> Release:
    from cccr_web.notices import check_notices, reject_expired_notices
    from cccr_web.release import load, reject_expired, reject_future

    with working(f"verifying {path}"):
        release = load(path, key)
    reject_future(release)
    check_notices(release, key)
    reject_expired_notices(release, key)
    if deployable:
        reject_expired(release)
    return release


def _warn_if_expired(release: Release) -> None:
    from cccr_web.release import reject_expired

    try:
        reject_expired(release)
    except CccrError as error:
        click.echo(f"Warning: {error}", err=True)


def _to_json(release: Release) -> str:
    from cccr_web.release import format_time

    facts = release.metadata
    return json.dumps(
        {
            "sequence": facts.sequence,
            "time": format_time(facts.time),
            "expires": format_time(facts.expires),
            "fingerprint": facts.fingerprint,
            "signed": list(release.signatures),
            "sha256": release.manifest_sha256,
            "files": len(release.files),
            "days_left": facts.expiry().days_left,
            "onions": list(facts.onions),
        }
    )


def _to_sentence(release: Release, key: Trusted) -> str:
    facts = release.metadata
    files = counted(len(release.files), "file")
    led = "" if facts.fingerprint == key.fingerprint else ", to which keys.txt leads from yours"
    return (
        f"OK: release {facts.sequence} of {facts.time:%Y-%m-%d}, {files}, "
        f"{facts.expiry()}, signed by {facts.fingerprint}{led}."
    )


@click.group()
def history() -> None:
    """Control which older releases a server may serve."""


@history.command(epilog=options.example("history allow older --public-key cccr.pub --state state"))
@click.argument("release", type=options.RELEASE)
@options.trusted(required=True)
@click.option("--state", required=True, type=options.FOLDER, help="The server's state folder.")
def allow(release: Path, key: Trusted, state: Path) -> None:
    """Allow a server to go back to an older RELEASE.

    You need write access to the server's state folder. RELEASE is a folder or ZIP; it must be
    complete, signed by the newest policy, and not expired. The server loads it at its next SIGHUP
    or start.
    """
    from cccr_web.release import RollbackGuard, policies_of

    older, guard = _verified(release, key, deployable=True), RollbackGuard(state)
    guard.check_policies(policies_of(older, key))
    before = guard.allow_rollback(older)
    click.echo(f"The server may serve release {older.metadata.sequence} again, after {before}.")


@history.command(
    epilog=options.example("history record last-release --out translations/files/releases.txt")
)
@click.argument("release", type=options.RELEASE)
@options.notice_file
def record(release: Path, out: Path) -> None:
    """Write releases.txt for the release after RELEASE.

    It has the record of RELEASE and a line for RELEASE itself, which is a folder or ZIP.
    Every signer of the next release compares the file with “sign --previous”.
    """
    from cccr_web import files
    from cccr_web.release import load, record_after

    with working(f"reading {release}"):
        text = record_after(load(release))
    with files.writing(out, "Choose another place."):
        if out.exists() and not text.startswith(out.read_bytes()):
            raise CccrError(
                f"{out} holds lines that {release} lacks.",
                "Pass the newest release, or remove the file if it is wrong.",
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        files.replace(out, text)
    click.echo(text.decode().splitlines()[-1])
