"""The README's first command, ``deploy/try.sh``, with its onion on the private Tor network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import Note
from support.tornet import TorNetwork

from cccr_web.release import load

TOP = Path(__file__).parent.parent


@contextmanager
def trying(state: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run it as in a terminal, and end it with Ctrl-C."""
    command = [str(TOP / "deploy" / "try.sh"), "--state", str(state), "--port", "0", *options]
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *command],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"},
        start_new_session=True,
    ) as process:
        yield process
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 0


def line_of(process: subprocess.Popen[str], word: str) -> str:
    """Return the address that the next line of its output gives."""
    assert process.stdout is not None
    name, _, address = process.stdout.readline().rstrip("\n").partition(" ")
    assert name == word
    return address


def processes_below(state: Path) -> list[str]:
    """Return the command lines of all that still runs with something of ``state``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it ended meanwhile
            continue
        if str(state) in command:
            found.append(command)
    return found


def test_try_with_an_onion(folder: Path, tor_network: TorNetwork, note: Note) -> None:
    """Both addresses answer with the release; again, the address is the same; nothing stays."""
    state, torrc = folder / "state", folder / "torrc"
    tor_network.write_torrc(torrc)
    with trying(state, "--torrc", str(torrc)) as process:
        clearnet = line_of(process, "clearnet")
        assert clearnet.startswith("http://127.0.0.1:")
        onion = line_of(process, "onion")
        release = load(state / "release")
        assert release.metadata.onions == (onion.removeprefix("http://").rstrip("/"),)
        page = tor_network.fetch_until(f"{onion}en/index.html")
        assert page.body == release.files["en/index.html"].body
    assert processes_below(state) == []

    begin = time.monotonic()
    with trying(state, "--torrc", str(torrc)) as process:
        line_of(process, "clearnet")
        note("second run of deploy/try.sh until the clearnet answers", time.monotonic() - begin)
        assert line_of(process, "onion") == onion
    assert sorted(path.name for path in state.iterdir()) == ["onion.key", "release", "tor", "venv"]


def test_try_without_a_network(folder: Path, no_network: Path) -> None:
    """Without a way to the Tor network the clearnet is served, and it is said what is wrong."""
    command = [sys.executable, "-m", "cccr_web", "demo", "--port", "0"]
    with subprocess.Popen(
        [*command, "--state", str(folder / "state"), "--torrc", str(no_network)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        line_of(process, "clearnet")
        assert process.stderr is not None
        assert any("Trying again." in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
