"""``mirror`` and ``headers``: what other web servers need to serve a release."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli import options
from cccr_web.cli.terminal import Progress, working
from cccr_web.cli.watch import ask_addresses
from cccr_web.listen import Tcp

if TYPE_CHECKING:
    from cccr_web.release import Release, Trusted
    from cccr_web.serve import Listener
    from cccr_web.watch import CheckSettings

_onion = click.option(
    "--onion", is_flag=True, help="Write the headers for an onion, not the clearnet."
)


@click.group()
def mirror() -> None:
    """Write, fetch or upload a static mirror of the site."""


@mirror.command(
    epilog=options.example("mirror write mirror --release cccr-web.zip --public-key cccr.pub")
)
@click.argument("folder", type=options.FOLDER)
@click.option(
    "--release", required=True, type=options.RELEASE, help="The release: a folder or ZIP."
)
@options.trusted()
@_onion
def write(folder: Path, release: Path, key: Trusted | None, *, onion: bool) -> None:
    """Write a release to FOLDER for a static host.

    The host serves FOLDER/site, which is the release. FOLDER/headers holds nginx.conf,
    apache.conf and Caddyfile to include in its configuration, and _headers and _redirects for
    hosts that read these files from the site. FOLDER/redirects holds pages such as
    zh/index.html: copy them into FOLDER/site for a host that cannot redirect. An expired
    release is rejected. Without a key or policy, the files are checked only against SHA256SUMS.
    """
    from cccr_web.mirror import write_mirror
    from cccr_web.notices import reject_expired_notices
    from cccr_web.release import load, reject_expired

    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(release)):
        raise click.UsageError(f"{folder} is in the release itself: choose another folder.")
    with working(f"verifying {release}"):
        checked = load(release, key)
    reject_expired(checked)
    if key:
        reject_expired_notices(checked, key)
    with working(f"writing {folder}"):
        write_mirror(checked, folder, "onion" if onion else "clearnet")
    signature = f"signed by {key.fingerprint}" if key else "not checked against a key"
    click.echo(f"{_described(checked, signature)}, is in {_places(checked, folder)}")


@mirror.command(
    epilog=options.example(
        "mirror fetch https://cccr.example --to /srv/cccr-mirror --public-key cccr.pub"
    )
)
@click.argument("address", metavar="URL", type=options.ADDRESS)
@click.option(
    "--to", "folder", metavar="FOLDER", required=True, type=options.FOLDER, help="The mirror."
)
@options.trusted(required=True)
@options.socks
@_onion
@options.time_limit()
def fetch(
    address: Any, folder: Path, key: Trusted, socks: Tcp | None, seconds: float, *, onion: bool
) -> None:
    """Fetch the release at URL, and make FOLDER a mirror of it.

    URL is any address or mirror of the site: https, .onion with --socks, or this machine. The
    release is verified before FOLDER changes. It is rejected if it has expired, is dated in the
    future, or is older than the one in FOLDER. See “mirror write” for the contents of FOLDER.

    Only what has changed is fetched. If the command is interrupted, FOLDER is unchanged, and the
    next run continues. So run it daily: it exits with 0 if FOLDER holds the release at URL.
    """
    from cccr_web.errors import counted
    from cccr_web.mirror import fetch_mirror
    from cccr_web.watch import CheckSettings, RequestLimits, Route

    options.require_socks(socks, [address])
    settings = CheckSettings(key, RequestLimits(seconds), Route(socks))
    with Progress() as progress:
        done = fetch_mirror(
            address,
            folder,
            settings,
            "onion" if onion else "clearnet",
            lambda path: progress.show(f"fetching {path}", terminal_only=True),
        )
    new = "is now" if done.changed else "was already"
    described = _described(done.release, f"signed by {done.release.metadata.fingerprint}")
    click.echo(
        f"{described}, {new} in {_places(done.release, folder)} "
        f"{counted(done.fetched, 'file')} fetched."
    )


@mirror.command(
    epilog=options.example(
        "mirror push --release release --public-key cccr.pub ssh://root@mirror.example/srv/mirror"
    )
)
@click.argument(
    "hosts",
    metavar="[TARGET]...",
    nargs=-1,
    type=options.ParsedParam("TARGET", "cccr_web.mirror:StaticHost.parse"),
)
@click.option(
    "--release", required=True, type=options.RELEASE, help="The release: a folder or ZIP."
)
@options.trusted(required=True)
@options.socks
@_onion
@options.time_limit(60)
def push(
    hosts: tuple[Any, ...],
    release: Path,
    key: Trusted,
    socks: Tcp | None,
    seconds: float,
    *,
    onion: bool,
) -> None:
    """Upload a release to each TARGET; report which mirrors lack it.

    TARGET is one of these:

    \b
    ssh://USER@HOST:PORT/PATH  a folder, by rsync
    NAME:PATH                  a host of rclone's configuration: S3, WebDAV …

    The release is verified, and one that has expired is rejected, as is one older than what
    TARGET has. Over ssh, the host serves PATH/current/site, with the header rules in
    PATH/current/headers: the link "current" switches in one step. rclone's hosts cannot
    switch: files are uploaded before the pages that link to them, and the signed list last.
    They get no header rules, but S3 stores each file's Content-Type and Cache-Control.

    Then each address in the release's mirrors.txt is asked for its signed list, onions only
    with --socks. Without TARGET, nothing else is done.
    """
    from cccr_web.notices import reject_expired_notices
    from cccr_web.release import load, reject_expired
    from cccr_web.watch import CheckSettings, RequestLimits, Route

    with working(f"verifying {release}"):
        checked = load(release, key)
    reject_expired(checked)
    reject_expired_notices(checked, key)
    for host in hosts:
        with Progress() as progress:
            progress.show(f"uploading to {host}")
            host.push(checked, "onion" if onion else "clearnet")
        described = _described(checked, f"signed by {key.fingerprint}")
        click.echo(" ".join(filter(None, [f"{described}, is now at {host}.", host.caveat])))
    settings = CheckSettings(key, RequestLimits(seconds), Route(socks))
    for line in _lagging(checked, settings):
        click.echo(line)


def _lagging(release: Release, settings: CheckSettings) -> Iterator[str]:
    """Yield a sentence for each address of ``mirrors.txt`` that does not serve the release."""
    from cccr_web.notices import MIRRORS, read_mirrors

    if MIRRORS not in release.files:
        yield f"The release has no {MIRRORS}, so no mirror was asked."
        return
    listed = read_mirrors(release.files[MIRRORS].body).urls
    lagging = ask_addresses(listed, release, settings)
    yield from lagging.values()
    good = len(listed) - len(lagging)
    sequence = release.metadata.sequence
    yield f"{MIRRORS}: {good} of {len(listed)} have release {sequence}."


def _described(release: Release, signature: str) -> str:
    from cccr_web.errors import counted

    files = counted(len(release.files), "file")
    return f"Release {release.metadata.sequence}, {files}, {signature}"


def _places(release: Release, folder: Path) -> str:
    return (
        f"{folder / 'site'}; the headers are in {folder / 'headers'}. "
        f"The release {release.metadata.expiry()}."
    )


@click.command(epilog=options.example("headers --release current --public-key cccr.pub clearnet"))
@click.option(
    "--release", type=options.RELEASE, required=True, help="The served release: a folder or ZIP."
)
@options.trusted()
@click.option(
    "--format",
    "rule_formats",
    metavar="NAME",
    default=["text"],
    multiple=True,
    help="The format, as listed above.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Write the files LISTENER.FORMAT to this folder, for each listener and --format.",
)
@options.hsts_preload
@click.argument("listeners", type=click.Choice(["clearnet", "onion"]), nargs=-1, required=True)
def headers(
    release: Path,
    key: Trusted | None,
    rule_formats: tuple[str, ...],
    out: Path | None,
    listeners: tuple[Listener, ...],
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
    "nginx", "apache", "caddy", "netlify-redirects" (_redirects) and "netlify" (_headers).
    Without a key or policy, the files are checked only against SHA256SUMS.
    """
    from cccr_web import files
    from cccr_web.mirror import FORMATS, header_rules
    from cccr_web.release import load

    for unknown in {*rule_formats} - {*FORMATS}:
        raise click.UsageError(f"--format {unknown} is not one of {', '.join(FORMATS)}.")
    if out is None and (len(rule_formats), len(listeners)) != (1, 1):
        raise click.UsageError("Several formats or listeners need a folder. Add --out FOLDER.")
    loaded = load(release, key)
    for listener in listeners:
        rules = header_rules(loaded, listener, rule_formats, hsts_preload=hsts_preload)
        for name, text in rules.items():
            if out is None:
                click.echo(text, nl=False)
            else:
                with files.writing(out, "Pass another folder to --out."):
                    files.replace(out / f"{listener}.{name}", text.encode())
