"""``publish``: from the texts to every address of the site, one step after the other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.cli.keys import unlock
from cccr_web.cli.release import Keys, describe_verified, sign_release, verified
from cccr_web.cli.site import (
    check_texts,
    describe_build,
    describe_texts,
    open_cache,
    page_progress,
    release_limit,
    translations_option,
)
from cccr_web.cli.terminal import Progress, working
from cccr_web.cli.watch import ask_addresses
from cccr_web.config import find_tree, source_date
from cccr_web.errors import CccrError, counted
from cccr_web.listen import Tcp

if TYPE_CHECKING:
    from cccr_web.publish import Draft, Releases
    from cccr_web.release import Release, SigningKey, SigningPolicy
    from cccr_web.render import Cache, SiteFiles

# How many changes of a page are shown, and how many characters of each.
_MOST = 6
_WIDEST = 100
# In seconds, for each address.
_TIME_LIMIT = 60.0


@click.command(epilog=options.example("publish --key organisation.key"))
@click.option(
    "--to",
    "settings",
    type=options.FILE,
    metavar="SETTINGS",
    help="The settings of the servers; by default deploy/site.env, if it exists.",
)
@options.signing_key
@options.ssh_key
@options.passphrase_file
@options.openpgp_key
@click.option("--dry-run", is_flag=True, help="Stop before the question, and change nothing.")
@click.option(
    "--out",
    "folder",
    type=options.FOLDER,
    default=Path("releases"),
    help="The folder of all releases. Each is in a folder with its number.",
)
@click.option(
    "--previous",
    type=options.RELEASE,
    help="The last release, if it is not in that folder.",
)
@options.socks
@options.neutral_titles
@options.max_megabytes
@options.cache_folder
@translations_option
def publish(
    settings: Path | None,
    key_file: Path | None,
    ssh_key: Path | None,
    passphrase_file: Path | None,
    openpgp_key: str | None,
    folder: Path,
    previous: Path | None,
    socks: Tcp | None,
    max_megabytes: int | None,
    cache_folder: Path | None,
    translations: Path | None,
    *,
    dry_run: bool,
    neutral_titles: bool,
) -> None:
    """Publish the texts, from "check" to the last address. Each step prints a line.

    \b
    check      all texts, as "check" does
    sequence   the number of the release
    build      the release
    changes    what differs from the last release; then you are asked
    sign       the release is kept in --out, and site.toml gets its number
    verify     the release, as readers do
    deploy     to every server, as "deploy.sh release" does
    addresses  each is asked whether it serves the release, onions only with --socks

    Nothing is changed before the question. If a step fails, run the same command again: it
    continues there. It makes no further release until a text changes.

    If several people sign, it stops after your signature and writes a signing request, a small
    file for the others. When they have signed it, the same command continues. Without servers,
    it ends with "verify".
    """
    from cccr_web.publish import Releases, locked

    if key_file is not None and ssh_key is not None:
        raise click.UsageError("Pass either --key or --ssh-key.")
    limit = release_limit(max_megabytes)
    deploy = _deploy_command(settings)
    texts = translations or find_tree("translations")
    releases = Releases(folder, texts)
    with locked(texts):
        with open_cache(cache_folder) as cache:
            draft = _check(texts, cache, neutral_titles=neutral_titles)
            if dry_run:
                if _existing(draft, releases) is None:
                    _build(draft, releases, previous, limit)
                click.echo("Nothing was changed.")
                return
            policy = _policy(draft)
            # Before the build, so that a wrong passphrase costs nothing.
            key = _unlock(key_file, passphrase_file, policy) if key_file else None
            keys = Keys(key, ssh_key, openpgp_key)
            releases.finish_adding(draft.sequence)
            release = _existing(draft, releases)
            if release is None:
                if key is None and ssh_key is None:
                    raise click.UsageError("Pass --key or --ssh-key to sign the release.")
                release = _build(draft, releases, previous, limit)
                _ask(release)
                release = _sign(release, releases, keys)
                keys = Keys(None, None, None)
        if not _complete(release, releases, keys):
            return
        path = releases.path(release.metadata.sequence)
        checked = verified(path, policy, deployable=True)
        _say("verify", f"OK: {describe_verified(checked)}")
        if deploy:
            _deploy(path, deploy)
            _ask_addresses(checked, policy, socks)
        else:
            click.echo(f"Next, with servers: deploy/deploy.sh release {path}")


def _say(step: str, text: str) -> None:
    click.echo(f"{step:10} {text}")


def _deploy_command(settings: Path | None) -> list[str]:
    """Return ``deploy.sh`` with its settings, or nothing without servers. Raises ``CccrError``."""
    try:
        folder = find_tree("deploy")
    except CccrError as error:  # in a wheel
        if settings is None:
            return []
        raise CccrError(
            "deploy.sh is not installed with cccr-web.", "Run deploy/cccr-web in a checkout."
        ) from error
    if settings is None and not (folder / "site.env").exists():
        return []
    settings = settings or folder / "site.env"
    if not settings.is_file():
        raise CccrError(f"There are no settings in {settings}.", "Pass another file to --to.")
    return [str(folder / "deploy.sh"), "--settings", str(settings)]


def _check(texts: Path, cache: Cache | None, *, neutral_titles: bool) -> Draft:
    from cccr_web.publish import Draft
    from cccr_web.render import Cache, with_derived

    tree, content, notices = check_texts(texts, cache)
    _say("check", describe_texts(content))
    return Draft(
        tree=tree,
        templates=find_tree("templates"),
        content=with_derived(content, cache),
        notices=notices,
        neutral_titles=neutral_titles,
        time=source_date(os.environ),
        cache=cache or Cache(),
    )


def _policy(draft: Draft) -> SigningPolicy:
    policy = draft.notices.key
    if policy is None:
        raise CccrError(
            "site.toml names no key, so nobody could verify the release.",
            "Write the public key into it. “cccr-web key new” makes one.",
        )
    return policy


def _unlock(file: Path, passphrase_file: Path | None, policy: SigningPolicy) -> SigningKey:
    """Return the key in a file. Raises ``CccrError`` unless a signer has it."""
    key = unlock(file, passphrase_file)
    if key.public not in policy.minisign_keys:
        raise CccrError(
            f"site.toml does not name this key, {key.public.fingerprint}.",
            "Use the organisation's key, or correct public_key or public_keys there.",
        )
    return key


def _existing(draft: Draft, releases: Releases) -> Release | None:
    """Return the newest release if it is made of these texts, and site.toml wants no other."""
    with working("comparing the texts with the newest release"):
        release = releases.newest()
        if release is None or draft.sequence > release.metadata.sequence:
            return None
        if not draft.is_in(release):
            return None
    path = releases.path(release.metadata.sequence)
    if not release.signatures:
        raise CccrError(
            f"{path} is not signed.", f"Sign it with “cccr-web sign {path}”, or remove it."
        )
    _say("sequence", f"{release.metadata.sequence}: {path} is made of these texts")
    return release


def _build(draft: Draft, releases: Releases, previous: Path | None, limit: int) -> Release:
    """Build the next release, and show what differs from the last one."""
    from cccr_web.publish import is_signed
    from cccr_web.release import load, record_after, reject_expired

    before = load(previous) if previous else releases.newest_signed()
    newest = releases.newest()
    last = max((each.metadata.sequence for each in (before, newest) if each), default=0)
    record = record_after(before, draft.notices.record) if before else draft.notices.record
    site = draft.site(max(draft.sequence, last + 1), record)
    said = f"{site.facts.sequence}, after release {last}" if last else f"{site.facts.sequence}"
    if newest is not None and not is_signed(newest):
        said += ", which lacks signatures"
    _say("sequence", said)
    with Progress() as progress:
        release = site.release(page_progress(progress))
    draft.cache.keep_used()
    _say("build", describe_build(release, limit))
    reject_expired(release)
    _show_changes(before, release, site)
    return release


def _show_changes(before: Release | None, release: Release, site: SiteFiles) -> None:
    from cccr_web.preview import find_changes

    if before is None:
        _say("changes", "everything is new")
        return
    changes = [*find_changes({path: file.body for path, file in before.files.items()}, site)]
    paths = before.listed.keys() | release.listed.keys()
    files = sum(before.files.get(path) != release.files.get(path) for path in paths)
    _say(
        "changes",
        f"{counted(files, 'file')} since release {before.metadata.sequence}"
        + (":" if changes else "; no text, link, name or photo"),
    )
    for change in changes:
        click.echo(f"  {change.name}: {change.what}")
        _list("-", change.gone)
        _list("+", change.new)


def _list(sign: str, found: Sequence[tuple[str, str]]) -> None:
    for kind, value in found[:_MOST]:
        shown = value if len(value) <= _WIDEST else f"{value[:_WIDEST]}…"
        click.echo(f"    {sign} {kind}: {shown}")
    if len(found) > _MOST:
        click.echo(f"    {sign} and {len(found) - _MOST} more, which “preview --previous” shows")


def _ask(release: Release) -> None:
    sequence = release.metadata.sequence
    try:
        agreed = click.confirm(f"Sign and publish release {sequence}?", err=True)
    except click.Abort:  # the end of the input, or Ctrl-C
        agreed = False
    if not agreed:
        raise CccrError("Nothing was changed.", "To publish it, run the same command and type y.")


def _sign(release: Release, releases: Releases, keys: Keys) -> Release:
    """Sign a new release, and keep it."""
    signed, _ = sign_release(release, keys)
    with working(f"writing {releases.path(signed.metadata.sequence)}"):
        releases.add(signed)
    return signed


def _complete(release: Release, releases: Releases, keys: Keys) -> bool:
    """Return whether a release has all its signatures; add what the other signers have sent."""
    from cccr_web.publish import is_signed
    from cccr_web.release import MANIFEST, add_signature, release_policy, write_request

    sequence = release.metadata.sequence
    path, request = releases.path(sequence), releases.request(sequence)
    policy = release_policy(release)
    if policy is None:
        _say("sign", f"{path} is signed")
        return True
    found = releases.with_request(release)
    if not is_signed(found) and (keys.key or keys.ssh):
        found = add_signature(found, keys.sign(found, policy))
    if found.signatures != release.signatures:
        releases.replace(found)
    names = policy.signed_by(found.files[MANIFEST].body, found.signatures)
    _say("sign", f"{path} {policy.describe_progress(names)}")
    if is_signed(found):
        releases.forget_requests()
        return True
    releases.forget_requests(but=sequence)
    write_request(found, request)
    click.echo(
        f"Next: send {request} to them. They run “cccr-web sign {request.name} --key KEY”, and "
        "send it back. Put it in the same place, and run the same command again."
    )
    return False


def _deploy(path: Path, command: Sequence[str]) -> None:
    # Only our own lines are on stdout.
    done = subprocess.run([*command, "release", str(path.absolute())], stdout=2, check=False)
    if done.returncode != 0:
        raise CccrError(
            f"{path} was not deployed. The messages above say why.",
            "Then run the same command again: it continues there.",
        )
    _say("deploy", "every server serves it")


def _ask_addresses(release: Release, policy: SigningPolicy, socks: Tcp | None) -> None:
    """Report which addresses serve the release. Raises ``CccrError`` if one of ours does not."""
    from cccr_web.notices import MIRRORS, read_mirrors
    from cccr_web.watch import CheckSettings, RequestLimits, Route

    facts = release.metadata
    own = [f"http://{onion}" for onion in facts.onions]
    own += [facts.clearnet] if facts.clearnet else []
    mirrors = read_mirrors(release.files[MIRRORS].body).urls if MIRRORS in release.files else ()
    urls = dict.fromkeys((*own, *mirrors))
    settings = CheckSettings(policy, RequestLimits(_TIME_LIMIT), Route(socks))
    with working("asking every address"):
        lagging = ask_addresses(urls, release, settings)
    _say("addresses", f"{len(urls) - len(lagging)} of {len(urls)} serve release {facts.sequence}")
    for sentence in lagging.values():
        click.echo(f"  {sentence}")
    wrong = [url for url in own if url in lagging and (socks or not url.endswith(".onion"))]
    if wrong:
        raise CccrError(
            f"{' and '.join(wrong)} should serve release {facts.sequence}.",
            "Look for the reason with “cccr-web watch”, and run the same command again.",
        )
