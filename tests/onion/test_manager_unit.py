"""The onion's manager as a service of systemd: its words, its key, its patience."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from support.hosting import RunningTor, web_server
from support.systemd import Manager

from cccr_web.onion import OnionKey

if TYPE_CHECKING:
    from support.tornet import TorNetwork

OFFLINE = "DisableNetwork 1\n"


def words(folder: Path, key: Path) -> list[str]:
    """Return the command line of a manager whose tor and server are in ``folder``."""
    control = f"unix:{folder}/tor/control"
    return [
        *("onion", "publish", "--key", str(key)),
        *("--socket", str(folder / "web.sock"), "--control", control),
    ]


def test_patient_until_tor_comes(folder: Path, key: OnionKey) -> None:
    """It is ready without a tor, says what it waits for, and finds the tor that comes later."""
    with Manager(folder, {}, words(folder, folder / "onion.key"), watchdog=4.0) as manager:
        assert manager.hear() == "READY=1\nSTATUS=Looking for tor."
        assert "STATUS=No tor listens for control at" in manager.wait_for("Trying again.")
        assert manager.beats(5.0) >= 2
        with RunningTor(folder / "tor", OFFLINE):
            assert "STATUS=Tor is at 0 %" in manager.wait_for("Tor is at", 30)
            assert manager.beats(5.0) >= 2
        manager.wait_for("The onion is down", 30)
        assert manager.stop() == 0
        manager.wait_for("STOPPING=1")
    assert key.address not in manager.errors.read_text()


def test_hung_manager(folder: Path, key: OnionKey) -> None:
    """A manager that stands still gives no sign of life."""
    del key
    with Manager(folder, {}, words(folder, folder / "onion.key"), watchdog=1.0) as manager:
        manager.wait_for("WATCHDOG=1")
        manager.process.send_signal(signal.SIGSTOP)
        manager.beats(0.2)
        assert manager.beats(1.5) == 0


def test_key_as_credential(folder: Path, key: OnionKey) -> None:
    """systemd's copy of the key, which shows an access list as a group's bits, is taken."""
    credentials = folder / "credentials"
    credentials.mkdir()
    given = credentials / "onion.key"
    given.write_bytes((folder / "onion.key").read_bytes())
    given.chmod(0o440)
    command = words(folder, given)
    with Manager(folder, {}, command, CREDENTIALS_DIRECTORY=str(credentials)) as manager:
        assert manager.hear() == "READY=1\nSTATUS=Looking for tor."
    with Manager(folder, {}, command) as manager:
        assert manager.process.wait(10) == 1
        assert f"reach the onion key {given} (mode 0440)" in manager.errors.read_text()
    assert key.address


def test_published(folder: Path, key: OnionKey, tor_network: TorNetwork) -> None:
    """Once the descriptor is up, the status line says so."""
    lines = tor_network.torrc_lines
    with (
        web_server(folder / "web.sock", b"x"),
        RunningTor(folder / "tor", lines) as tor,
        Manager(folder, {}, words(folder, folder / "onion.key"), watchdog=4.0) as manager,
    ):
        tor.await_control()
        said = manager.wait_for("Published:", 60)
        assert said.startswith(f"STATUS=Published: {key.address}, with")
        assert manager.stop() == 0
