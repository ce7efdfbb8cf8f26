"""``check`` and ``build``: check the texts and build a release."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web import files
from cccr_web.cli import options
from cccr_web.cli.terminal import Progress, visible, working
from cccr_web.config import Config, default_state, find_tree, source_date
from cccr_web.errors import CccrError

if TYPE_CHECKING:
    from cccr_web.content import Addresses
    from cccr_web.release import Release
    from cccr_web.render import Cache


_KEY_BYTES = 32

translations_option = click.option(
    "--translations",
    type=click.Path(path_type=Path, file_okay=False, exists=True, resolve_path=True),
    metavar="FOLDER",
    help="The folder of texts, if not the one that comes with cccr-web.",
)


@click.command(epilog=options.example("check"))
@translations_option
def check(translations: Path | None) -> None:
    """Check all texts and interface strings. Exits with 1 if there is a problem.

    Each problem is reported with its file and line. A suggestion is not a problem.
    """
    from cccr_web.content import SourceTree, content_error
    from cccr_web.render import check_trees, damaged_photos, name_suggestions

    tree = SourceTree(translations or find_tree("translations"))
    content, _, problems = check_trees(tree, find_tree("templates"), time=source_date(os.environ))
    if content is not None:
        problems += damaged_photos(tree, content.photos)
        for suggestion in name_suggestions(content):
            click.echo(f"Suggestion: {visible(str(suggestion))}", err=True)
    if content is None or problems:
        raise content_error(problems)
    counts = ", ".join(f"{len(texts)} in {lang.tag}" for lang, texts in content.texts.items())
    click.echo(f"All texts are in order: {counts}.")


@click.command(epilog=options.example("build --out ../release"))
@click.option(
    "--out",
    required=True,
    type=options.FOLDER,
    help="The folder to write. A release that is not signed, and nothing else, is replaced.",
)
@click.option("--replace", is_flag=True, help="Replace a signed release or other files, too.")
@click.option("--clearnet-url", metavar="URL", help="The clearnet address to show on the pages.")
@options.repeatable(
    "--onion-address", "onions", type=options.ONION, help="An onion to show on the pages."
)
@click.option(
    "--neutral-titles",
    is_flag=True,
    help="Use one title for all pages, which hides from onlookers what is read.",
)
@options.max_megabytes
@click.option(
    "--cache",
    "cache_folder",
    type=options.FOLDER,
    metavar="DIR",
    help="A folder for what the next build can use again. It is made if it does not exist.",
)
@translations_option
def build(
    out: Path,
    clearnet_url: str | None,
    onions: tuple[str, ...],
    cache_folder: Path | None,
    translations: Path | None,
    max_megabytes: int | None,
    *,
    replace: bool,
    neutral_titles: bool,
) -> None:
    """Build a release: exactly the bytes that readers get.

    --clearnet-url and --onion-address replace all addresses in site.toml.

    With --cache, only what has changed since the last build is rendered. The bytes are the same as
    without it. What cannot be used, such as another user's cache, is made again.
    """
    from cccr_web.content import Addresses
    from cccr_web.content.site import is_clearnet
    from cccr_web.errors import counted
    from cccr_web.release import MEGABYTE, reject_future, reject_larger, reject_loss, write

    settings = Config.from_environment(os.environ)
    if clearnet_url is not None and not is_clearnet(clearnet_url):
        raise click.UsageError(f"{clearnet_url} is not an https address without a path.")
    if not replace:
        with working(f"reading {out}"):
            reject_loss(out)
    addresses = Addresses(clearnet_url, onions) if clearnet_url or onions else None
    with _cache(cache_folder) as cache:
        release = build_with_progress(
            translations, addresses, neutral_titles=neutral_titles, cache=cache
        )
    reject_future(release)
    reject_larger(release, (max_megabytes or settings.max_megabytes) * MEGABYTE)
    with working(f"writing {out}"):
        write(release, out)
    click.echo(
        f"Release {release.metadata.sequence} of {release.metadata.time:%Y-%m-%d}: "
        f"{counted(len(release.files), 'file')} in {out}"
    )


@contextlib.contextmanager
def _cache(folder: Path | None) -> Iterator[Cache | None]:
    """Open the cache in ``folder``, and close it at the end."""
    if folder is None:
        yield None
        return
    from cccr_web.render import Cache

    with contextlib.closing(Cache(folder, _cache_key())) as cache:
        yield cache


def _cache_key() -> bytes:
    """Return the key of this user's caches, which is made when it is first needed."""
    file = default_state(os.environ) / "cache.key"
    with files.writing(file, "Set XDG_STATE_HOME to a folder of your own."):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            files.create(file, secrets.token_bytes(_KEY_BYTES), mode=0o600)
        key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        raise CccrError(f"{file} is damaged.", "Delete it.")
    return key


def build_with_progress(
    translations: Path | None,
    addresses: Addresses | None,
    *,
    neutral_titles: bool = False,
    cache: Cache | None = None,
) -> Release:
    """Build a release, by default of cccr-web's own texts, and show how many pages are done."""
    from cccr_web.render import build_release

    with Progress() as progress:
        progress.show("checking the texts", terminal_only=True)
        return build_release(
            translations or find_tree("translations"),
            find_tree("templates"),
            addresses=addresses,
            neutral_titles=neutral_titles,
            cache=cache,
            time=source_date(os.environ),
            progress=lambda done, total: progress.show(
                f"page {done} of {total}" if done < total else "packing the ZIP",
                terminal_only=True,
            ),
        )
