"""``demo``: the whole site and its onion on this machine (``deploy/try.sh``)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from cccr_web.cli import options
from cccr_web.cli.onion import Reporter
from cccr_web.cli.site import build_with_progress
from cccr_web.cli.terminal import Progress, stop_on_signal
from cccr_web.config import PREFIX
from cccr_web.errors import CccrError

if TYPE_CHECKING:
    from cccr_web.onion import OnionKey

_STOP_TIMEOUT = 10  # seconds between asking the server to stop and killing it


@click.command(epilog=options.example("demo --port 8000 --no-onion"))
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    default=8080,
    help="The clearnet port; 0 uses a free one.",
)
@click.option("--no-onion", is_flag=True, help="Serve the clearnet address only.")
@click.option(
    "--state",
    type=options.FOLDER,
    help="The folder for the onion's key, tor's files and the release; with --no-onion a "
    "temporary one by default.",
)
@click.option(
    "--torrc", type=options.FILE, help="Bridge lines, or further lines for tor's configuration."
)
def demo(port: int, state: Path | None, torrc: Path | None, *, no_onion: bool) -> None:
    """Build the site and serve it on this machine and an onion.

    Prints "clearnet http://127.0.0.1:PORT/", and "onion http://….onion/" once the
    onion's descriptor is uploaded. Progress goes to stderr. Stop it with Ctrl-C. It serves the
    texts as they are when it starts; "preview" follows every change.
    """
    with contextlib.ExitStack() as stack:
        if state is None:
            if not no_onion:
                raise click.UsageError("Pass --state DIR, which keeps the onion's key.")
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cccr-web-")))
        _demo(port, state.absolute(), torrc, no_onion=no_onion)


def _demo(port: int, state: Path, torrc: Path | None, *, no_onion: bool) -> None:
    from cccr_web.content import Addresses
    from cccr_web.onion import load_or_create_key
    from cccr_web.release import write

    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CccrError(
            f"{state} cannot be created: {error.strerror}.", "Pass another folder to --state."
        ) from error
    key = None if no_onion else load_or_create_key(state / "onion.key")
    addresses = Addresses(None, (key.address,)) if key else None
    write(build_with_progress(None, addresses), state / "release")
    stop = stop_on_signal()
    with _Server(state, port, key) as server:
        click.echo(server.first_line())
        server.on_end(stop.set)
        if key is None:
            stop.wait()
        else:
            _publish(state, key, server.socket, torrc, stop)
        server.raise_if_ended()


def _publish(
    state: Path, key: OnionKey, socket: Path, torrc: Path | None, stop: threading.Event
) -> None:
    from cccr_web.onion import ManagedTor, Manager, Service

    tor = ManagedTor(state / "tor", extra=torrc.absolute() if torrc else None)
    with Progress() as progress:
        manager = Manager(Service(key, socket), tor, Reporter(progress))
        manager.run(stop, retry_first=False)


class _Server:
    """``cccr-web serve`` as a subprocess that ends when this process does."""

    def __init__(self, state: Path, port: int, key: OnionKey | None) -> None:
        self.socket = state / "onion.sock"
        command = [sys.executable, "-m", "cccr_web", "serve", "--release", str(state / "release")]
        command += ["--clearnet", f"127.0.0.1:{port}"]
        if key is not None:
            command += ["--onion-socket", f"unix:{self.socket}"]
        if shutil.which("setpriv"):
            # If this process is killed, the kernel stops the server.
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        environment = {name: os.environ[name] for name in os.environ if not name.startswith(PREFIX)}
        # In its own session Ctrl-C does not reach it, so the onion goes down before the server.
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def first_line(self) -> str:
        """Wait until the server runs; return its line ``clearnet …``. Raises ``CccrError``."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise CccrError("The server did not start.", "See its output above.")
        return line.rstrip("\n")

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` from another thread when the server ends."""

        def wait() -> None:
            self._process.wait()
            callback()

        threading.Thread(target=wait, daemon=True).start()

    def raise_if_ended(self) -> None:
        """Raise ``CccrError`` if the server has ended unexpectedly."""
        if self._process.poll() is not None:
            raise CccrError(
                f"The server ended unexpectedly (exit status {self._process.returncode}).",
                "See its output above.",
            )
