"""``history``: what a server remembers of the releases that it has served."""

from __future__ import annotations

from pathlib import Path

import click

from cccr_web.cli.site import FOLDER
from cccr_web.cli.terminal import example


@click.group()
def history() -> None:
    """What a server remembers, so that no older release can come back unnoticed."""


@history.command()
@click.argument("release", type=click.Path(path_type=Path))
@click.option("--public-key", required=True, help="The organisation's key: a file, or RW… itself.")
@click.option("--state", required=True, type=FOLDER, help="The folder of the server's memory.")
@example("cccr-web history allow releases/6 --public-key cccr.pub --state state")
def allow(release: Path, public_key: str, state: Path) -> None:
    """Let the server of --state go back to RELEASE, on purpose.

    Only who may write to that folder can do it. The release must be whole, signed and
    not expired. The server takes it at its next SIGHUP or start.
    """
    from cccr_web.release import (
        History,
        load,
        read_public_key,
        refuse_expired,
        refuse_future,
    )

    older = load(release, read_public_key(public_key))
    refuse_future(older)
    refuse_expired(older)
    before = History(state).allow(older)
    click.echo(f"The server may serve release {older.metadata.sequence} again, after {before}.")
