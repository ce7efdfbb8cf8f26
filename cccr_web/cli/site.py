"""``check`` and ``build``: check the texts and build a release."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web import files
from cccr_web.cli import options
from cccr_web.cli.terminal import Progress, visible, working
from cccr_web.config import Config, default_state, find_tree, source_date
from cccr_web.errors import CccrError, counted

if TYPE_CHECKING:
    from cccr_web.content import Addresses, Content, Problem, SourceTree
    from cccr_web.release import Release
    from cccr_web.render import Cache, NoticeFiles


_KEY_BYTES = 32

translations_option = click.option(
    "--translations",
    type=click.Path(path_type=Path, file_okay=False, exists=True, resolve_path=True),
    metavar="FOLDER",
    help="The folder of texts, if not the one that comes with cccr-web.",
)


@click.command(epilog=options.example("check"))
@options.json_output
@translations_option
def check(translations: Path | None, *, as_json: bool) -> None:
    """Check all texts and interface strings. Exits with 1 if there is a problem.

    Each problem is reported with its file and line. A suggestion is not a problem. With --json,
    the result is an object with the lists "problems" and "suggestions": each entry is an
    object with the keys file, line (from 1) and message, sorted by file and line.
    """
    if as_json:
        found = _examine(translations, None)
        click.echo(found.to_json())
        if found.problems:
            raise click.exceptions.Exit(1)
        return
    _, content, _ = check_texts(translations)
    click.echo(describe_texts(content))


@dataclass(frozen=True, slots=True)
class _Examined:
    """Texts with every problem of them; without content, a file could not be read."""

    tree: SourceTree
    content: Content | None
    notices: NoticeFiles
    problems: list[Problem]
    suggestions: list[Problem]

    def to_json(self) -> str:
        """Return the messages as JSON."""
        lists = {"problems": self.problems, "suggestions": self.suggestions}
        values = {
            name: [
                {"file": str(each.file), "line": each.line, "message": each.message}
                for each in sorted({*found})
            ]
            for name, found in lists.items()
        }
        return json.dumps(values, indent=2, ensure_ascii=False)


def _examine(translations: Path | None, cache: Cache | None) -> _Examined:
    from cccr_web.content import SourceTree
    from cccr_web.render import check_trees, damaged_photos, name_suggestions

    tree = SourceTree(translations or find_tree("translations"), cache.recall if cache else None)
    content, notices, problems = check_trees(
        tree, find_tree("templates"), time=source_date(os.environ)
    )
    if content is None:
        return _Examined(tree, None, notices, problems, [])
    problems += damaged_photos(tree, content.photos)
    return _Examined(tree, content, notices, problems, name_suggestions(content))


def check_texts(
    translations: Path | None, cache: Cache | None = None
) -> tuple[SourceTree, Content, NoticeFiles]:
    """Return the texts and the notices. Raises ``CccrError`` with every problem of them."""
    from cccr_web.content import content_error

    found = _examine(translations, cache)
    for suggestion in found.suggestions:
        click.echo(f"Suggestion: {visible(str(suggestion))}", err=True)
    if found.content is None or found.problems:
        raise content_error(found.problems)
    return found.tree, found.content, found.notices


def describe_texts(content: Content) -> str:
    """Return a sentence about texts without problems."""
    counts = ", ".join(f"{len(texts)} in {lang.tag}" for lang, texts in content.texts.items())
    return f"All texts are in order: {counts}."


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
@options.neutral_titles
@options.max_megabytes
@options.cache_folder
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
    from cccr_web.release import reject_loss, write

    limit = release_limit(max_megabytes)
    if clearnet_url is not None and not is_clearnet(clearnet_url):
        raise click.UsageError(f"{clearnet_url} is not an https address without a path.")
    if not replace:
        with working(f"reading {out}"):
            reject_loss(out)
    addresses = Addresses(clearnet_url, onions) if clearnet_url or onions else None
    with open_cache(cache_folder) as cache:
        release = build_with_progress(
            translations, addresses, neutral_titles=neutral_titles, cache=cache
        )
    described = describe_build(release, limit)
    with working(f"writing {out}"):
        write(release, out)
    click.echo(f"{described} in {out}")


def release_limit(max_megabytes: int | None) -> int:
    """Return how large a release may be, in bytes: as passed, or as the environment says."""
    from cccr_web.release import MEGABYTE

    return (max_megabytes or Config.from_environment(os.environ).max_megabytes) * MEGABYTE


def describe_build(release: Release, limit: int) -> str:
    """Return what was built. Raises ``CccrError`` if servers would reject it."""
    from cccr_web.release import reject_future, reject_larger

    reject_future(release)
    reject_larger(release, limit)
    facts = release.metadata
    files = counted(len(release.files), "file")
    return f"Release {facts.sequence} of {facts.time:%Y-%m-%d}: {files}"


@contextlib.contextmanager
def open_cache(folder: Path | None) -> Iterator[Cache | None]:
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
            progress=page_progress(progress),
        )


def page_progress(progress: Progress) -> Callable[[int, int], None]:
    """Return what shows how many pages of a build are done."""
    return lambda done, total: progress.show(
        f"page {done} of {total}" if done < total else "packing the ZIP", terminal_only=True
    )
