"""``onion``: the key of the onion service, and the manager that keeps it up."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli.terminal import Progress, example

if TYPE_CHECKING:
    from cccr_web.onion import ControlAddress, KeeperEvent

KEY = click.Path(path_type=Path, dir_okay=False)

control_option = click.option(
    "--control",
    help="Tor's control socket or port: unix:/PATH, PORT or HOST:PORT. "
    "Without it the usual places are tried.",
)


def control_address(text: str | None) -> ControlAddress | None:
    """Read the option; ``None`` leaves the usual places."""
    from cccr_web.onion import ControlAddress

    return ControlAddress.parse(text) if text else None


@click.group()
def onion() -> None:
    """Make the onion's key, publish the onion and look at it."""


@onion.group()
def key() -> None:
    """The secret key, which is the onion's address."""


@key.command()
@click.argument("file", type=KEY)
@example("cccr-web onion key new onion.key")
def new(file: Path) -> None:
    """Make a key in FILE (mode 0600) and print its address. Nothing is ever overwritten."""
    from cccr_web.onion import new_key

    click.echo(new_key(file).address)


@key.command()
@click.argument("file", type=KEY)
@example("cccr-web onion key show onion.key")
def show(file: Path) -> None:
    """Print the address of the key in FILE, and nothing else of it."""
    from cccr_web.onion import load_key

    click.echo(load_key(file).address)


def report(event: KeeperEvent, progress: Progress, *, announced: bool) -> bool:
    """Show what the keeper tells; print the address when it is first up. Return whether it was."""
    from cccr_web import onion as room

    match event:
        case room.Bootstrapping(percent, summary, warning):
            progress.show(f"tor {percent} % {summary}" + (f" ({warning})" if warning else ""))
        case room.Publishing(address):
            progress.show(f"publishing {address}")
        case room.Published(address, seconds, proof_of_work):
            defence = "with" if proof_of_work else "without"
            extra = "" if proof_of_work else " (this tor is too old for it)"
            progress.say(f"published in {seconds:.1f} s, {defence} proof of work{extra}")
            if not announced:
                click.echo(f"onion http://{address}/")
            return True
        case room.Lost(reason):
            progress.say(f"the onion is down: {reason}; putting it back")
        case room.Trouble(error):
            progress.say(f"{error} Trying again.")
        case room.TakenDown(address):
            progress.say(f"taken down: {address}")
    return announced


@onion.command()
@click.option("--key", "key_file", required=True, type=KEY, help="The onion's key.")
@click.option(
    "--socket",
    required=True,
    type=click.Path(path_type=Path),
    help="The unix socket on which “cccr-web serve --onion-socket” listens.",
)
@control_option
@example("cccr-web onion publish --key onion.key --socket /run/cccr/onion.sock")
def publish(key_file: Path, socket: Path, control: str | None) -> None:
    """Publish the onion on a tor that runs, watch it, and put it back, until ended.

    As a service of systemd (Type=notify) it is ready as soon as it runs and waits for
    tor for ever; its status line says how the onion is. The key may be a credential of
    the unit, such as %d/onion.key.
    """
    from cccr_web.onion import ForeignTor, Keeper, Service, load_key
    from cccr_web.systemd import Notifier

    service = Service(load_key(key_file), socket.absolute())
    notifier = Notifier()
    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        stop.set()
        notifier.stopping()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    announced = False
    with Progress() as progress:

        def observe(event: KeeperEvent) -> None:
            nonlocal announced
            announced = report(event, progress, announced=announced)
            notifier.status(_in_short(event))

        keeper = Keeper(
            service, ForeignTor(control_address(control)), observe, pulse=notifier.alive
        )
        notifier.ready("Looking for tor.")
        keeper.run(stop, patient=notifier.asked)


def _in_short(event: KeeperEvent) -> str:
    """Return how the onion is, for one line."""
    from cccr_web import onion as room

    match event:
        case room.Bootstrapping(percent, summary):
            return f"Tor is at {percent} % ({summary})."
        case room.Publishing(address):
            return f"Publishing {address}."
        case room.Published(address, _, proof_of_work):
            defence = "with" if proof_of_work else "without"
            return f"Published: {address}, {defence} proof of work."
        case room.Lost(reason):
            return f"The onion is down: {reason}; putting it back."
        case room.Trouble(error):
            return f"{error} Trying again."
        case room.TakenDown(address):
            return f"Taken down: {address}."


@onion.command()
@click.argument("address")
@control_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@example("cccr-web onion status --json $(cccr-web onion key show onion.key)")
def status(address: str, control: str | None, *, as_json: bool) -> None:
    """Tell whether ADDRESS is up on a tor that runs here. Exit 1 if it is not."""
    from cccr_web.onion import Status, connect

    with connect(control_address(control)) as link:
        seen = Status.read(link, address)
    if as_json:
        click.echo(seen.to_json())
    else:
        click.echo(f"tor {seen.tor_version}, {seen.bootstrap.percent} % {seen.bootstrap.summary}")
        click.echo(f"{seen.address} is {'published' if seen.published else 'not published'}")
        if seen.descriptor is not None:
            defence = "with" if seen.descriptor.proof_of_work else "without"
            points = seen.descriptor.introduction_points
            click.echo(f"descriptor: {points} introduction points, {defence} proof of work")
    if not seen.published:
        raise click.exceptions.Exit(1)
