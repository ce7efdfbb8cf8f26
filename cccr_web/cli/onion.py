"""``onion``: the key of the onion service, and the onion manager, which keeps it published."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli import options
from cccr_web.cli.keys import unlock
from cccr_web.cli.terminal import Progress, stop_on_signal, write_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from cccr_web.listen import Tcp, Unix
    from cccr_web.onion import ControlAddress, ManagerEvent
    from cccr_web.release import Trusted


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


@key.command(epilog=options.example("onion key derive onion.key root@a.example"))
@click.argument("file", type=options.FILE)
@click.argument("name")
@click.option("--out", type=options.FILE, help="A file for the derived key (mode 0600).")
def derive(file: Path, name: str, out: Path | None) -> None:
    """Derive another onion from the key in FILE and a NAME.

    Its address is printed. Servers that share an onion key find each other at such onions.
    """
    from cccr_web.onion import derive_key, load_key, write_key

    derived = derive_key(load_key(file), name)
    if out is not None:
        write_key(derived, out)
    click.echo(derived.address)


@onion.command(
    epilog=options.example(
        "onion promotion $(cccr-web onion key derive onion.key root@b.example) "
        "--key cccr.key --public-key cccr.pub --out promotion"
    )
)
@click.argument("publisher", type=options.ONION)
@options.secret_key
@options.trusted(required=True)
@click.option("--out", required=True, type=options.FILE, help="The file to write.")
@options.passphrase_file
def promotion(
    publisher: str, key_file: Path, key: Trusted, out: Path, passphrase_file: Path | None
) -> None:
    """Sign a note of which server publishes the onion.

    PUBLISHER is that server's own onion, from “onion key derive”. “deploy.sh promote” runs this,
    and brings the note to every server. Its number is the time, so a later one replaces it.
    """
    from cccr_web.notices import make_promotion, read_promotion

    note = make_promotion(unlock(key_file, passphrase_file), int(time.time()), publisher)
    read_promotion(note, key)
    write_file(out, note.decode().removesuffix("\n"), "--out")


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
        StandingBy,
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
        case StandingBy(address, reason):
            return f"Standby: {reason}."
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
@click.option(
    "--peers",
    "peers_file",
    type=options.FILE,
    help="The servers that share this onion, of which one publishes: see the manual.",
)
@click.option("--promotion", type=options.FILE, help="The note that names the publisher.")
@options.trusted()
@click.option(
    "--socks",
    type=options.SOCKET,
    help="Tor's SocksPort, with ExtendedErrors, to ask the peers: unix:/PATH or HOST:PORT.",
)
@click.option(
    "--standby", type=options.FILE, help="Where to write why this server does not publish."
)
def publish(
    key_file: Path,
    socket: Path,
    control: ControlAddress | None,
    record: Path | None,
    peers_file: Path | None,
    **others: Any,
) -> None:
    """Publish the onion on a running tor, and keep it published.

    If this command is killed, tor keeps the onion. With the same --record, the next start
    leaves it running and cuts off no reader.

    As a systemd service (Type=notify), it is ready at once and waits for tor without limit;
    its status line shows the state of the onion. The key may be a credential of the unit,
    such as %d/onion.key.

    With --peers, this needs --promotion, --public-key or --policy, and --socks. Before it
    publishes, it asks the peers and the onion whether another server publishes; while it does,
    it asks the peers for a newer note every minute.
    """
    from cccr_web.onion import ExternalTor, Manager, Service, load_key
    from cccr_web.systemd import SystemdNotifier

    service = Service(load_key(key_file), socket.absolute(), record=record)
    notifier = SystemdNotifier()
    stop = stop_on_signal(notifier.stopping)
    with Progress() as progress:
        report = Reporter(progress)

        def observe(event: ManagerEvent) -> None:
            report(event)
            notifier.status(describe(event))

        tor = ExternalTor(control)
        obstacle = _turns(service.key.address, peers_file, **others) if peers_file else _none
        manager = Manager(service, tor, observe, heartbeat=notifier.alive, obstacle=obstacle)
        notifier.ready("Looking for tor.")
        manager.run(stop, retry_first=notifier.asked)


def _none(_publishing: bool) -> None:  # the manager's signature
    """Let the only server publish."""


def _turns(
    onion: str,
    peers: Path,
    promotion: Path | None,
    key: Trusted | None,
    socks: Tcp | Unix | None,
    standby: Path | None,
) -> Callable[[bool], str | None]:
    """Return what the manager asks before it publishes, and while it does."""
    from cccr_web.standby import Peers, Turn

    if promotion is None or key is None or socks is None:
        needed = "--promotion, --public-key or --policy, and --socks"
        raise click.UsageError(f"--peers needs {needed}.")
    turn = Turn(onion, Peers.read(peers), promotion, key, socks)

    def obstacle(publishing: bool) -> str | None:  # the manager's signature
        reason = turn.reason(publishing=publishing)
        if standby is not None:
            if reason is None:
                standby.unlink(missing_ok=True)
            else:
                kind = "planned" if reason.planned else "unplanned"
                write_file(standby, f"{kind} {reason.text}", "--standby")
        return reason.text if reason else None

    return obstacle


@onion.command(epilog=options.example("onion status --json $(cccr-web onion key show onion.key)"))
@click.argument("address", type=options.ONION)
@options.control
@click.option(
    "--fetch", is_flag=True, help="Ask the network, as a reader's tor does, whoever publishes it."
)
@options.json_output
def status(address: str, control: ControlAddress | None, *, fetch: bool, as_json: bool) -> None:
    """Show whether a tor on this machine publishes the onion.

    With --fetch, it shows whether anyone does. Exits with 1 if not, or if the Tor network does not
    answer. With --json, the result is an object with the keys address, published, online (whether
    the Tor network answers), tor_version, bootstrap (percent, summary and warning) and descriptor
    (introduction_points and proof_of_work; null without one).
    """
    from cccr_web.errors import counted
    from cccr_web.onion import Status, connect

    with connect(control) as connection:
        found = Status.fetch(connection, address) if fetch else Status.read(connection, address)
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
