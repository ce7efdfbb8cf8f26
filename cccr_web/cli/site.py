"""``check`` and ``build``: check the texts and build a release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli.terminal import Progress, example
from cccr_web.config import find_tree, read_onion

if TYPE_CHECKING:
    from cccr_web.content import Addresses
    from cccr_web.release import Release


class ParsedParam(click.ParamType[Any]):
    """An option or argument read by a function that raises ``ValueError``."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the value; click reports a wrong one."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


FOLDER = click.Path(path_type=Path, file_okay=False)
ONION = ParsedParam("ADDRESS.onion", read_onion)

translations_option = click.option(
    "--translations",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The folder of all texts. The default is the one that comes with cccr-web.",
)


def find_translations(chosen: Path | None) -> Path:
    """Return the chosen folder of texts, or the one that comes with cccr-web."""
    return chosen.resolve() if chosen else find_tree("translations")


@click.command()
@translations_option
@example("cccr-web check")
def check(translations: Path | None) -> None:
    """Check every text and every interface string; report problems with file and line."""
    from cccr_web.content import content_error
    from cccr_web.render import check_trees

    content, _, problems = check_trees(find_translations(translations), find_tree("templates"))
    if content is None or problems:
        raise content_error(problems)
    counts = ", ".join(f"{len(texts)} in {lang.tag}" for lang, texts in content.texts.items())
    click.echo(f"All texts are in order: {counts}.")


@click.command()
@click.option("--out", required=True, type=FOLDER, help="Where to write the release.")
@click.option("--clearnet-url", help="Show this address on the pages, not that of site.toml.")
@click.option(
    "--onion-address",
    "onions",
    type=ONION,
    multiple=True,
    help="Show this onion on the pages, not those of site.toml. Can be repeated.",
)
@click.option(
    "--neutral-titles",
    is_flag=True,
    help="Give every page the same title, which says nothing to someone who sees the screen.",
)
@translations_option
@example("cccr-web build --out ../release")
def build(
    out: Path,
    clearnet_url: str | None,
    onions: tuple[str, ...],
    translations: Path | None,
    *,
    neutral_titles: bool,
) -> None:
    """Render every page once and write a release: the exact bytes that readers get."""
    from cccr_web.content import Addresses
    from cccr_web.content.site import is_clearnet
    from cccr_web.release import write

    if clearnet_url is not None and not is_clearnet(clearnet_url):
        raise click.BadParameter(
            "must be an https address without a path.", param_hint="--clearnet-url"
        )
    addresses = Addresses(clearnet_url, onions) if clearnet_url or onions else None
    release = build_with_progress(
        find_translations(translations), addresses, neutral_titles=neutral_titles
    )
    write(release, out)
    click.echo(
        f"Release {release.metadata.sequence} of {release.metadata.time:%Y-%m-%d}: "
        f"{len(release.files)} files in {out}"
    )


def build_with_progress(
    translations: Path, addresses: Addresses | None, *, neutral_titles: bool = False
) -> Release:
    """Build a release and show how many pages are done."""
    from cccr_web.render import build_release

    with Progress() as progress:
        return build_release(
            translations,
            find_tree("templates"),
            addresses=addresses,
            neutral_titles=neutral_titles,
            progress=lambda done, total: progress.show(
                f"page {done} of {total}", terminal_only=True
            ),
        )
