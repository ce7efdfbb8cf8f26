"""``preview``: the site in a browser while its texts are edited."""

from __future__ import annotations

import os
import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.cli.site import translations_option
from cccr_web.cli.terminal import stop_on_signal, visible
from cccr_web.config import find_tree, source_date
from cccr_web.errors import counted

if TYPE_CHECKING:
    from cccr_web.preview import Edition


@click.command(epilog=options.example("preview --open"))
@click.option("--open", "open_browser", is_flag=True, help="Open the browser, at the messages.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8000,
    help="The port; 0 uses a free one.",
)
@click.option(
    "--previous",
    type=options.RELEASE,
    help="The last release, with which /-/changes compares the texts.",
)
@translations_option
def preview(
    port: int, previous: Path | None, translations: Path | None, *, open_browser: bool
) -> None:
    """Show the texts in a browser, and every change at once.

    Prints "preview http://127.0.0.1:PORT/". Only this machine can open it, and nothing can be
    changed through it. Each page is as in a release; it reloads when a text, a translation of
    the interface, a template or a photo changes. If "check" rejects a text, its messages
    are in the page at the paragraph, above the last good version, and on stderr. Stop it with
    Ctrl-C.

    \b
    /-/             all messages, with links
    /-/compare/…    the languages of a text, next to each other
    /-/changes      what differs from the release of --previous
    """
    from cccr_web.preview import EditionReader, PreviewApp, Watcher, serve_preview
    from cccr_web.release import load

    before = None
    if previous is not None:
        # Whether it is signed does not matter here; an older one can have expired, too.
        before = {path: file.body for path, file in load(previous, None).files.items()}
    stop = stop_on_signal()

    def started(address: str) -> None:
        click.echo(f"preview {address}")
        if open_browser:
            webbrowser.open(f"{address}-/")

    folders = translations or find_tree("translations"), find_tree("templates")
    with tempfile.TemporaryDirectory(prefix="cccr-web-") as work:
        reader = EditionReader(*folders, Path(work), time=source_date(os.environ))
        watcher = Watcher(reader, _report)
        serve_preview(watcher, PreviewApp(watcher, before), port, started, stop)


def _report(edition: Edition) -> None:
    if edition.problems:  # the line separates this list from the one before
        click.echo(f"{counted(len(edition.problems), 'message')}:", err=True)
    for problem in edition.problems:
        click.echo(visible(str(problem)), err=True)
    if not edition.problems:
        click.echo("All texts are in order.", err=True)
