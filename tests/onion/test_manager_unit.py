"""``onion publish`` as a systemd service: its status, its watchdog and its credential."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

from support.hosting import OFFLINE, RunningTor, web_server
from support.systemd import Unit

from cccr_web.onion import ControlConnection, OnionKey, connect

if TYPE_CHECKING:
    from support.tornet import TorNetwork


def arguments(folder: Path, key: Path) -> list[str]:
    """Return the command line of a manager with its tor and web server in ``folder``."""
    control = f"unix:{folder}/tor/control"
    return [
        *("onion", "publish", "--key", str(key)),
        *("--socket", str(folder / "web.sock"), "--control", control),
    ]


def test_the_manager_is_ready_without_tor_and_waits_for_it(folder: Path, key: OnionKey) -> None:
    """The manager is ready without tor, reports what it waits for, and finds tor later."""
    command = arguments(folder, folder / "onion.key")
    with Unit(folder, {}, command, watchdog=1.0) as unit:
        assert unit.next_message() == "READY=1\nSTATUS=Looking for tor."
        waiting = unit.wait_for("Trying again.")
        assert "STATUS=No tor listens for control connections at" in waiting
        assert unit.count_heartbeats(2.0) >= 3
        with RunningTor(folder / "tor", OFFLINE):
            assert "STATUS=Tor is at 0 %" in unit.wait_for("Tor is at", 30)
            assert unit.count_heartbeats(2.0) >= 3
        unit.wait_for("The onion is down", 30)
        assert unit.stop() == 0
        unit.wait_for("STOPPING=1")
    assert key.address not in unit.errors.read_text()


def test_a_suspended_manager_sends_no_heartbeat(folder: Path, key: OnionKey) -> None:
    """A manager that hangs stops sending watchdog messages."""
    del key
    command = arguments(folder, folder / "onion.key")
    with Unit(folder, {}, command, watchdog=1.0) as unit:
        unit.wait_for("WATCHDOG=1")
        unit.process.send_signal(signal.SIGSTOP)
        unit.count_heartbeats(0.2)
        assert unit.count_heartbeats(1.5) == 0


def test_the_key_may_be_a_systemd_credential(folder: Path, key: OnionKey) -> None:
    """The key is accepted with group bits only if it is a credential of the unit."""
    credentials = folder / "credentials"
    credentials.mkdir()
    given = credentials / "onion.key"
    given.write_bytes((folder / "onion.key").read_bytes())
    given.chmod(0o440)
    command = arguments(folder, given)
    with Unit(folder, {}, command, CREDENTIALS_DIRECTORY=str(credentials)) as unit:
        assert unit.next_message() == "READY=1\nSTATUS=Looking for tor."
    with Unit(folder, {}, command) as unit:
        assert unit.process.wait(10) == 1
        reason = f"The onion key {given} is open to other users (mode 0440)"
        assert reason in unit.errors.read_text()
    assert key.address


def test_the_status_shows_the_published_address(
    folder: Path, key: OnionKey, tor_network: TorNetwork
) -> None:
    """Once the descriptor is uploaded, the status line shows the address."""
    command = arguments(folder, folder / "onion.key")
    with (
        web_server(folder / "web.sock", b"x"),
        RunningTor(folder / "tor", tor_network.torrc_lines) as tor,
        Unit(folder, {}, command, watchdog=4.0) as unit,
    ):
        tor.await_control()
        status = unit.wait_for("Published:", 60)
        assert status.startswith(f"STATUS=Published: {key.address} in ")
        assert "with proof of work" in status
        assert unit.stop() == 0


def test_a_killed_manager_leaves_the_circuits_of_its_service_open(
    folder: Path, key: OnionKey, tor_network: TorNetwork
) -> None:
    """A manager that was killed and starts again finds its service, and cuts off no reader."""
    command = [*arguments(folder, folder / "onion.key"), "--record", str(folder / "record")]
    with (
        web_server(folder / "web.sock", b"x"),
        RunningTor(folder / "tor", tor_network.torrc_lines) as tor,
        Unit(folder, {}, command) as unit,
    ):
        tor.await_control()
        unit.wait_for(f"Published: {key.address}", 60)
        with connect(tor.address) as connection:
            before = introduction_circuits(connection)
            unit.process.kill()
            unit.process.wait(10)
            unit.messages.clear()
            unit.start()
            unit.wait_for(f"Published: {key.address}", 60)
            assert len(before) >= 3
            assert before <= introduction_circuits(connection)
        assert unit.stop() == 0


def introduction_circuits(connection: ControlConnection) -> set[str]:
    """Return the ids of the established circuits to introduction points (control-spec, 4.1.1)."""
    circuits = connection.info("circuit-status").splitlines()
    return {line.split()[0] for line in circuits if "HS_STATE=HSSI_ESTABLISHED" in line}
