"""``sign``, ``verify`` and ``history``: what is done with a release after it is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.cli.keys import unlock
from cccr_web.cli.site import build_with_progress, translations_option
from cccr_web.cli.terminal import working
from cccr_web.errors import CccrError, counted

if TYPE_CHECKING:
    from cccr_web.release import Release, SigningKey, SigningPolicy, Trusted

# How many files one message names.
_MOST_NAMED = 5


@click.command(epilog=options.example("sign ../release --key cccr.key"))
@click.argument("release", type=options.RELEASE)
@options.signer
@click.option(
    "--previous",
    type=options.RELEASE,
    help="Your own copy of the release before, to compare releases.txt with.",
)
@options.passphrase_file
@options.openpgp_key
@click.option(
    "--without-build",
    is_flag=True,
    help="Sign a signing request without comparing it with a build of your own.",
)
@options.neutral_titles
@translations_option
def sign(
    release: Path,
    key_file: Path | None,
    ssh_key: Path | None,
    previous: Path | None,
    passphrase_file: Path | None,
    openpgp_key: str | None,
    translations: Path | None,
    *,
    without_build: bool,
    neutral_titles: bool,
) -> None:
    """Sign RELEASE, a folder or a signing request. Minisign and OpenSSH can verify it.

    A release with a policy gets one more signature each time, by the signer in the policy who
    has the key; the command says whose are missing. A release that has expired is signed with a
    warning.

    A signing request is a small file, which "publish" writes for the other signers. Before it is
    signed, the release is built from your own texts, and every file must be the same.
    """
    from cccr_web.release import RECORD

    is_request = release.is_file()
    if not is_request and (without_build or translations or neutral_titles):
        raise click.UsageError("Only a signing request is compared with a build of your own.")
    keys = Keys(unlock(key_file, passphrase_file) if key_file else None, ssh_key, openpgp_key)
    if is_request:
        signed, said = _sign_request(
            release,
            keys,
            previous,
            None
            if without_build
            else lambda: build_with_progress(translations, None, neutral_titles=neutral_titles),
        )
    else:
        signed, said = _sign_folder(release, keys, previous)
    if previous is None:
        click.echo(f"{RECORD} was not compared with an earlier release: pass --previous.")
    facts = signed.metadata
    click.echo(
        f"Release {facts.sequence} of {facts.time:%Y-%m-%d} {said} and {facts.expiry()}: "
        f"{facts.fingerprint}"
    )
    _warn_if_expired(signed)


@dataclass(frozen=True, slots=True)
class Keys:
    """What somebody signs with: either of the first two; ``openpgp`` only with the first."""

    key: SigningKey | None
    ssh: Path | None
    openpgp: str | None

    def sign(self, release: Release, policy: SigningPolicy) -> dict[str, bytes]:
        """Return the signature of a release under a policy, by file name."""
        from cccr_web.release import MANIFEST, sign_with_ssh_keygen

        if self.openpgp is not None:
            raise click.UsageError("A release with a policy has no OpenPGP signature.")
        sums = release.files[MANIFEST].body
        policy.signed_by(sums, release.signatures)
        if self.key is not None:
            return policy.sign(sums, self.key)
        return policy.match(sums, sign_with_ssh_keygen(sums, self.ssh)) if self.ssh else {}


def _compare(release: Release, previous: Path | None) -> None:
    from cccr_web.release import compare_record, load

    if previous is not None:
        with working(f"reading {previous}"):
            compare_record(release, load(previous))


def _sign_folder(folder: Path, keys: Keys, previous: Path | None) -> tuple[Release, str]:
    from cccr_web.release import load, reject_future, write

    with working(f"reading {folder}"):
        release = load(folder)
    reject_future(release)
    _compare(release, previous)
    signed, said = sign_release(release, keys)
    with working(f"writing {folder}"):
        write(signed, folder)
    return signed, said


def sign_release(release: Release, keys: Keys) -> tuple[Release, str]:
    """Return the release with one more signature, and what it has then. Raises ``CccrError``."""
    from cccr_web.notices import check_notices
    from cccr_web.release import MANIFEST, Signer, add_signature, release_policy

    policy = release_policy(release)
    if policy is None:
        if keys.key is None:
            raise click.UsageError("A release without a policy is signed with --key.")
        check_notices(release, keys.key.public, datetime.now(UTC))
        with working("signing, and packing the ZIP"):
            return Signer(keys.key, keys.openpgp).sign(release), "is signed"
    check_notices(release, policy, datetime.now(UTC))
    signature = keys.sign(release, policy)
    with working("packing the ZIP"):
        signed = add_signature(release, signature)
    names = policy.signed_by(release.files[MANIFEST].body, signed.signatures)
    return signed, policy.describe_progress(names)


def _sign_request(
    file: Path, keys: Keys, previous: Path | None, build: Callable[[], Release] | None
) -> tuple[Release, str]:
    from cccr_web.notices import check_notices
    from cccr_web.release import (
        MANIFEST,
        read_request,
        reject_future,
        with_signatures,
        write_request,
    )

    request, policy = read_request(file)
    reject_future(request)
    _compare(request, previous)
    if build is None:
        click.echo("Not compared with a build of your own: you sign what you cannot see.", err=True)
    else:
        own = build()
        _reject_other_build(own, request)
        check_notices(own, policy, datetime.now(UTC))
    signed = with_signatures(request, keys.sign(request, policy))
    write_request(signed, file)
    names = policy.signed_by(request.files[MANIFEST].body, signed.signatures)
    return signed, policy.describe_progress(names)


def _reject_other_build(own: Release, request: Release) -> None:
    """Raise ``CccrError`` unless the request lists exactly the files of our own build."""
    sequence = request.metadata.sequence
    if own.metadata.sequence != sequence:
        raise CccrError(
            f"Your site.toml has the sequence {own.metadata.sequence}, and the request is for "
            f"release {sequence}. Nothing was signed.",
            "Get the texts with which the request was made, and site.toml, too.",
        )
    ours, theirs = (
        {path: one.sha256 for path, one in release.listed.items()} for release in (own, request)
    )
    differing = sorted(
        path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)
    )
    if differing:
        named = ", ".join(differing[:_MOST_NAMED])
        raise CccrError(
            f"Your own build differs from the request in {counted(len(differing), 'file')}, "
            f"such as {named}. Nothing was signed.",
            "Get the same texts and the same version of cccr-web, and find out what differs.",
        )


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
        checked = verified(release, key, deployable=deployable)
    except CccrError as error:
        if as_json:
            click.echo(json.dumps({"error": str(error)}))
        raise
    click.echo(_to_json(checked) if as_json else f"OK: {describe_verified(checked)}")
    if not as_json and checked.metadata.fingerprint != key.fingerprint:
        click.echo(f"keys.txt leads to it from {key.fingerprint}.")
    _warn_if_expired(checked)


def verified(path: Path, key: Trusted, *, deployable: bool) -> Release:
    """Return the release at ``path``, of which everything was verified. Raises ``CccrError``."""
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


def describe_verified(release: Release) -> str:
    """Return the facts of a verified release."""
    facts = release.metadata
    files = counted(len(release.files), "file")
    return (
        f"release {facts.sequence} of {facts.time:%Y-%m-%d}, {files}, "
        f"{facts.expiry()}, signed by {facts.fingerprint}."
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

    older, guard = verified(release, key, deployable=True), RollbackGuard(state)
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
        previous = load(release)
    with files.writing(out, "Choose another place."):
        text = record_after(previous, out.read_bytes() if out.exists() else b"")
        out.parent.mkdir(parents=True, exist_ok=True)
        files.replace(out, text)
    click.echo(text.decode().splitlines()[-1])
