"""``notify``: tell people what ``doctor`` and ``watch`` report, and send a test message."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from cccr_web.cli import options
from cccr_web.errors import CccrError
from cccr_web.listen import SystemdSocket, Tcp, Unix, parse_listen


def _read_socks(text: str) -> Tcp | Unix:
    where = parse_listen(text)
    if isinstance(where, SystemdSocket):
        raise ValueError(f"“{text}” is not HOST:PORT or unix:/PATH.")  # noqa: TRY004  # click reports ValueError
    return where


def _common(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--socks",
            type=options.ParsedParam("ADDRESS", _read_socks),
            help="Tor's SocksPort, HOST:PORT or unix:/PATH. No other connection is then made.",
        ),
        click.option(
            "--name",
            type=options.TEXT,
            required=True,
            help="The name of this machine, for the messages.",
        ),
        click.option(
            "--settings",
            type=options.FILE,
            required=True,
            help="A file that only its owner can read, with NOTIFY= and PING= as in site.env.",
        ),
    ):
        command = option(command)
    return command


@click.group()
def notify() -> None:
    """Tell people when something is wrong with the site."""


@notify.command(
    epilog=options.example(
        "notify send --settings notify.env --state notify --name cccr.example doctor.json"
    )
)
@click.argument(
    "reports", nargs=-1, required=True, metavar="REPORT...", type=click.Path(path_type=Path)
)
@_common
@click.option(
    "--state", type=options.FOLDER, required=True, help="The folder for the state between runs."
)
def send(
    reports: tuple[Path, ...], settings: Path, name: str, socks: Tcp | Unix | None, state: Path
) -> None:
    """Send what has changed since the last run. Exits with 1 if a message could not be delivered.

    A REPORT is what “doctor --report” or “watch --report” wrote. A message says what became
    wrong, since when and what to do; it is repeated once a day while that lasts, and another
    says when it is right again. A report older than three hours is itself reported as a
    problem. Once a week, a message says that the checks are running. At most three messages
    are sent per hour; later changes are combined in the next one.

    What cannot be delivered is kept for seven days, and sent in a later run. Run this every
    ten minutes.
    """
    from cccr_web.notify import Messenger, Recipients, Sender

    recipients, sender = Recipients.read(settings), Sender(socks)
    messenger = Messenger(name, state, recipients, sender, lambda line: click.echo(line, err=True))
    if not messenger.run(reports, datetime.now(UTC)):
        raise click.exceptions.Exit(1)


@notify.command(epilog=options.example("notify test --settings notify.env --name cccr.example"))
@_common
def test(settings: Path, name: str, socks: Tcp | Unix | None) -> None:
    """Send a test message to every target, and show which accept it.

    Exits with 1 if one did not.
    """
    from cccr_web.notify import DeliveryError, Recipients, Sender, described

    recipients, sender = Recipients.read(settings), Sender(socks)
    failed = 0
    for url in recipients.urls:
        who = described(url, recipients.urls)
        try:
            sender.send(url, f"{name}: a test", "This is a test. Nothing is wrong.")
        except DeliveryError as error:
            failed += 1
            click.echo(f"{who}: NOT delivered: {error}.")
        else:
            click.echo(f"{who}: delivered")
    if failed:
        raise CccrError(
            f"Not every target accepted the message: {failed} of {len(recipients.urls)} failed.",
            "Correct NOTIFY in the settings.",
        )
