"""``onion``: the key of the onion service, and the onion manager, which keeps it published."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.cli.terminal import Progress

if TYPE_CHECKING:
    from cccr_web.onion import ControlAddress, ManagerEvent


@click.group()
def onion() -> None:
    """Create the onion's key, and publish the onion."""


@onion.group()
def key() -> None:
    """Create or show the secret key, which determines the address."""


@key.command(epilog=options.example("onion key new onion.key"))
@click.argument("file", type=options.FILE)
def new(file: Path) -> None:
    """Create a key in FILE (mode 0600) and print the onion's address.

    An existing file is never overwritten.
    """
    from cccr_web.onion import new_key

    click.echo(new_key(file).address)


@key.command(epilog=options.example("onion key show onion.key"))
@click.argument("file", type=options.FILE)
def show(file: Path) -> None:
    """Print the onion's address from the key in FILE. The secret key is not printed."""
    from cccr_web.onion import load_key

    click.echo(load_key(file).address)


@onion.command(epilog=options.example("onion torrc bridges.txt"))
@click.argument("file", type=options.FILE)
def torrc(file: Path) -> None:
    """Print the torrc lines for the bridge lines in FILE.

    Bridge lines may be in any form in which people receive them. Text around them becomes a
    comment; other options of tor are printed unchanged. Debian has programs for the transports
    obfs4, meek_lite and snowflake.
    """
    from cccr_web.onion import read_torrc

    click.echo(read_torrc(file), nl=False)


class Reporter:
    """Shows the onion manager's events, and prints the address once, when it is first published."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._printed = False

    def __call__(self, event: ManagerEvent) -> None:
        """Show one event."""
        from cccr_web.onion import Bootstrapping, Published, Publishing

        if isinstance(event, Bootstrapping | Publishing):
            self._progress.show(describe(event))
            return
        self._progress.say(describe(event))
        if isinstance(event, Published) and not self._printed:
            click.echo(f"onion http://{event.address}/")
            self._printed = True


def describe(event: ManagerEvent) -> str:
    """Return the state of the onion in one sentence."""
    from cccr_web.onion import (
        Bootstrapping,
        Failed,
        Lost,
        Published,
        Publishing,
        Unreachable,
        Withdrawn,
    )

    match event:
        case Bootstrapping(now):
            warning = f": {now.warning}" if now.warning else ""
            return f"Tor is at {now.percent} % ({now.summary}){warning}."
        case Publishing(address):
            return f"Publishing {address}."
        case Published(address, seconds, proof_of_work):
            protection = "with" if proof_of_work else "without"
            hint = "" if proof_of_work else " (this tor is too old for it)"
            return f"Published: {address} in {seconds:.1f} s, {protection} proof of work{hint}."
        case Unreachable(address, reason):
            return f"Readers may not reach {address}: {reason}."
        case Lost(reason):
            return f"The onion is down: {reason}. Publishing it again."
        case Failed(error):
            return f"{error} Trying again."
        case Withdrawn(address):
            return f"Withdrawn: {address}."


@onion.command(epilog=options.example("onion publish --key onion.key --socket /run/onion.sock"))
@click.option("--key", "key_file", required=True, type=options.FILE, help="The onion's secret key.")
@click.option(
    "--socket",
    required=True,
    type=click.Path(path_type=Path),
    help="The unix socket of nginx or of cccr-web serve.",
)
@options.control
@click.option(
    "--record",
    type=options.FILE,
    help="Where to record which service runs: a file that a reboot deletes, such as one in /run.",
)
def publish(
    key_file: Path, socket: Path, control: ControlAddress | None, record: Path | None
) -> None:
    """Publish the onion on a running tor, and keep it published.

    If this command is killed, tor keeps the onion. With the same --record, the next start
    leaves it running and cuts off no reader.

    As a systemd service (Type=notify), it is ready at once and waits for tor without limit;
    its status line shows the state of the onion. The key may be a credential of the unit,
    such as %d/onion.key.
    """
    from cccr_web.onion import ExternalTor, Manager, Service, load_key
    from cccr_web.systemd import SystemdNotifier

    service = Service(load_key(key_file), socket.absolute(), record=record)
    notifier = SystemdNotifier()
    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        stop.set()
        notifier.stopping()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with Progress() as progress:
        report = Reporter(progress)

        def observe(event: ManagerEvent) -> None:
            report(event)
            notifier.status(describe(event))

        tor = ExternalTor(control)
        manager = Manager(service, tor, observe, heartbeat=notifier.alive)
        notifier.ready("Looking for tor.")
        manager.run(stop, retry_first=notifier.asked)


@onion.command(epilog=options.example("onion status --json $(cccr-web onion key show onion.key)"))
@click.argument("address", type=options.ONION)
@options.control
@options.json_output
def status(address: str, control: ControlAddress | None, *, as_json: bool) -> None:
    """Show whether a tor on this machine publishes the onion.

    Exits with 1 if it does not, or if the Tor network does not answer.
    """
    from cccr_web.errors import counted
    from cccr_web.onion import Status, connect

    with connect(control) as connection:
        found = Status.read(connection, address)
    if as_json:
        click.echo(found.to_json())
    else:
        click.echo(
            f"tor {found.tor_version}, {found.bootstrap.percent} % {found.bootstrap.summary}"
        )
        state = "published" if found.published else "not published"
        if found.published and not found.online:
            state = "published, but the Tor network does not answer"
        click.echo(f"{found.address} is {state}")
        if found.descriptor is not None:
            protection = "with" if found.descriptor.proof_of_work else "without"
            points = counted(found.descriptor.introduction_points, "introduction point")
            click.echo(f"descriptor: {points}, {protection} proof of work")
    if not (found.published and found.online):
        raise click.exceptions.Exit(1)
