"""``new``: the files of a statement, a page, a photo or a name."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.cli.site import translations_option
from cccr_web.config import find_tree, source_date

if TYPE_CHECKING:
    from cccr_web.content.dates import StatementDate


def _read_date(text: str) -> StatementDate:
    from cccr_web.content.dates import parse_date

    try:
        return parse_date(text)
    except ValueError as error:
        raise ValueError(
            f"“{text}” is not a date: write 2013-05-07, 2013-05, 2013, or [2011..2012-04]."
        ) from error


@click.command(epilog=options.example('new "Rally: Remember 4 June" --date 2013-05-07'))
@click.argument("words", nargs=-1, metavar="[TITLE]...", type=options.TEXT)
@click.option("--page", is_flag=True, help="Create a page, not a statement.")
@click.option("--photo", type=options.FILE, help="Add this photo and its record.")
@click.option("--name", is_flag=True, help="Add the name of a person to names.toml.")
@click.option(
    "--date",
    "when",
    type=options.ParsedParam("DATE", _read_date),
    show_default="today, UTC",
    help="The statement's date, as far as it is known.",
)
@click.option(
    "--slug",
    metavar="WORDS",
    show_default="the English title",
    help="The end of its address, such as tiananmen-rally.",
)
@translations_option
def new(
    words: tuple[str, ...],
    photo: Path | None,
    when: StatementDate | None,
    slug: str | None,
    translations: Path | None,
    *,
    page: bool,
    name: bool,
) -> None:
    """Create a statement, a page, a photo's record or a name.

    A statement or a page is one file in each written language. The title may be given in
    one language or in both. What you have to write is in double braces: “check” rejects it
    until you replace it. No file is ever overwritten.

    --photo copies a JPEG or PNG without its metadata. --name asks for the name in both
    scripts, unless they are given in place of the title.
    """
    tree = translations or find_tree("translations")
    if (photo is not None) + page + name > 1:
        raise click.UsageError("--page, --photo and --name cannot be combined.")
    if when is not None and (page or name or photo):
        raise click.UsageError("Only a statement has a --date.")
    if slug is not None and (name or photo):
        raise click.UsageError("Only a statement or a page has a --slug.")
    if photo is not None:
        _new_photo(tree, photo)
    elif name:
        _new_name(tree, words)
    elif not words:
        raise click.UsageError('Write the title in quotation marks: cccr-web new "The title".')
    else:
        _new_text(tree, words, slug, when, page=page)


def _new_text(
    tree: Path, titles: tuple[str, ...], slug: str | None, when: StatementDate | None, *, page: bool
) -> None:
    from cccr_web.content.dates import parse_date
    from cccr_web.write import new_text

    today = (source_date(os.environ) or datetime.now(UTC)).date()
    if not page and when is None:
        when = parse_date(str(today))
    for file in new_text(tree, titles, slug, None if page else when, today):
        click.echo(file.relative_to(tree.parent))
    click.echo(
        "Next: replace what is in {{double braces}} in each file, or import a document with "
        "“cccr-web import”. Then run “cccr-web check”."
    )


def _new_photo(tree: Path, file: Path) -> None:
    from cccr_web.content.photos import FILE, FOLDER
    from cccr_web.write import add_photo

    made = add_photo(tree, file)
    click.echo(Path(tree.name, FOLDER, made.name))
    click.echo(f"Removed from the copy: {'; '.join(made.removed) or 'nothing was in it'}.")
    click.echo(
        f"Next: fill in its record in {tree.name}/{FILE}, line {made.line}, and put "
        f"![](/photos/{made.name}) into a paragraph of its own in each language."
    )


def _new_name(tree: Path, words: tuple[str, ...]) -> None:
    from cccr_web.content.site import NAMES
    from cccr_web.render import simplify
    from cccr_web.write import add_name

    if len(words) > 2:  # the two scripts
        raise click.UsageError("A name has two forms: in Simplified and in Traditional characters.")
    simplified = words[0] if words else click.prompt("The name in Simplified characters", err=True)
    traditional = (
        words[1]
        if words[1:]
        else click.prompt(
            "The name in Traditional characters; if nobody knows it, press Enter",
            default=simplified,
            show_default=False,
            err=True,
        )
    )
    line = add_name(tree, simplified.strip(), traditional.strip(), simplify)
    click.echo(f"{tree.name}/{NAMES}:{line}: {simplified.strip()} = {traditional.strip()}")
