"""``import``: the text of a document from Word or a browser."""

from __future__ import annotations

from pathlib import Path

import click

from cccr_web.cli import options
from cccr_web.cli.site import translations_option
from cccr_web.cli.terminal import visible
from cccr_web.config import find_tree
from cccr_web.errors import counted


@click.command("import", epilog=options.example("import statement.docx --into 2026-12-04-rally"))
@click.argument("file", type=options.FILE)
@click.option(
    "--into",
    metavar="NAME",
    show_default="the only one that is blank",
    help="The text to fill in, by its file's name.",
)
@translations_option
def import_(file: Path, into: str | None, translations: Path | None) -> None:
    """Put the text of a .docx or .html FILE into a new text.

    The text must be as “cccr-web new” has created it. Its language is that of the document.
    Tracked changes, comments, hidden text, the author's name, invisible characters and
    tracking parameters of links are left out. What is left out is listed.
    """
    from cccr_web.write import import_document

    tree = translations or find_tree("translations")
    made = import_document(tree, file, into)
    headings, paragraphs = counted(made.headings, "heading"), counted(made.paragraphs, "paragraph")
    source = visible(str(file))
    click.echo(f"{made.file.relative_to(tree.parent)}: {paragraphs} and {headings} from {source}")
    for dropped in made.dropped:
        click.echo(f"Left out: {dropped}")
    click.echo("Next: compare the text with the document, and run “cccr-web check”.")
