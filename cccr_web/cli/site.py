"""``check`` and ``build``: from the texts to a release."""

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
    """An option whose text is read by a function that raises ``ValueError``."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the option's text; wrong use is told by click."""
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
    help="The folder of all texts, if not the one that comes with cccr-web.",
)


def find_translations(chosen: Path | None) -> Path:
    """Return the folder of texts: the one chosen, or the one that comes with us."""
    return chosen.resolve() if chosen else find_tree("translations")


@click.command()
@translations_option
@example("cccr-web check")
def check(translations: Path | None) -> None:
    """Check every text and every word of the interface, and name file and line."""
    from cccr_web.render import check_trees

    content, _ = check_trees(find_translations(translations), find_tree("templates"))
    counts = ", ".join(f"{len(texts)} in {lang.tag}" for lang, texts in content.texts.items())
    click.echo(f"All texts are in order: {counts}.")


@click.command()
@click.option("--out", required=True, type=FOLDER, help="Where to write the release.")
@click.option("--clearnet-url", help="Put this address on the pages, not that of site.toml.")
@click.option(
    "--onion-address",
    "onions",
    type=ONION,
    multiple=True,
    help="Put this onion on the pages, not those of site.toml. May be repeated.",
)
@click.option(
    "--neutral-titles",
    is_flag=True,
    help="Give every page the same title, which tells nothing to who sees the screen.",
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
    """Render a release, showing how many pages are done."""
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
