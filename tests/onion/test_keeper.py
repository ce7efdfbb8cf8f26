"""The keeper: one address stays up whatever happens to tor, and goes down when told."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.hosting import PAGE, RunningTor, Watched, gone, wait_until, web_server
from support.tornet import AUTHORITIES, free_ports

from cccr_web.errors import (
    ControlMissingError,
    OnionError,
)
from cccr_web.onion import (
    Bootstrapping,
    ForeignTor,
    Keeper,
    Lost,
    OnionKey,
    OwnTor,
    Published,
    Publishing,
    Service,
    TakenDown,
    Trouble,
    connect,
    control,
    keeper,
    listed,
    process,
    withdraw,
)

if TYPE_CHECKING:
    from pathlib import Path

    from support.tornet import TorNetwork

Note = Callable[[str, float], None]


@pytest.fixture
def own_tor(tor_network: TorNetwork, folder: Path) -> OwnTor:
    """A tor of our own that is not started yet, in the private network."""
    return OwnTor(folder / "tor", extra=tor_network.write_torrc(folder / "torrc"))


def own_pid(tor: OwnTor) -> int:
    """Return the process id of a tor that must run."""
    assert tor.pid is not None
    return tor.pid


def test_killed_own_tor(
    tor_network: TorNetwork, own_tor: OwnTor, web: Path, key: OnionKey, note: Note
) -> None:
    """After SIGKILL of our tor the same address answers again, without a hand.

    On the way the keeper tells how far tor is; at the end it takes the onion down and
    leaves no process.
    """
    url = f"http://{key.address}/"
    with Watched(Service(key, web), own_tor) as watched:
        published = watched.wait_for(Published)
        assert published.address == key.address
        assert published.proof_of_work
        kinds = [type(event) for event in watched.events]
        assert set(kinds[:-2]) == {Bootstrapping}
        assert kinds[-2:] == [Publishing, Published]
        percents = [e.percent for e in watched.events if isinstance(e, Bootstrapping)]
        assert percents == sorted(percents)
        assert percents[-1] == 100
        assert tor_network.fetch_until(url).body == PAGE

        first = own_pid(own_tor)
        begin = time.monotonic()
        os.kill(first, signal.SIGKILL)
        assert watched.wait_for(Lost, 2).reason == "our tor was killed by SIGKILL"
        again = watched.wait_for(Published)
        assert again.address == key.address
        assert again.seconds <= time.monotonic() - begin
        note("own tor killed: descriptor up again", time.monotonic() - begin)
        assert tor_network.fetch_until(url).body == PAGE
        note("own tor killed: page answers again", time.monotonic() - begin)

        second = own_pid(own_tor)
        assert watched.end() < 1.5
        assert watched.events[-1] == TakenDown(key.address)
    assert gone(first)
    assert gone(second)
    assert not [event for event in watched.events if isinstance(event, Trouble)]


def test_killed_foreign_tor(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey, note: Note
) -> None:
    """A tor that is not ours is waited for, and the same address is put back on it.

    At the end the onion is off that tor, which goes on running.
    """
    url = f"http://{key.address}/"
    with RunningTor(folder / "tor", tor_network.torrc_lines) as tor:
        tor.await_control()
        with Watched(Service(key, web), ForeignTor(tor.address)) as watched:
            watched.wait_for(Published)
            begin = time.monotonic()
            tor.kill()
            watched.wait_for(Lost, 2)
            error = watched.wait_for(Trouble).error
            assert isinstance(error, ControlMissingError)
            tor.start()
            assert watched.wait_for(Published).address == key.address
            note("foreign tor killed and restarted: descriptor up again", time.monotonic() - begin)
            assert tor_network.fetch_until(url).body == PAGE
            note("foreign tor killed and restarted: page answers again", time.monotonic() - begin)

            assert watched.end() < 1.5
            assert watched.events[-1] == TakenDown(key.address)
        with connect(tor.address) as link:
            assert listed(link) == frozenset()


def test_leftover_of_a_manager_that_crashed(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey
) -> None:
    """An address left on tor by a manager that was killed is taken over, not refused."""
    with RunningTor(folder / "tor", tor_network.torrc_lines) as tor:
        tor.await_control()
        with connect(tor.address) as link:
            added = link.ask(f"ADD_ONION {key.blob} Flags=Detach Port=80,127.0.0.1:1")
            assert added.is_ok()
        with Watched(Service(key, web), ForeignTor(tor.address)) as watched:
            watched.wait_for(Published)
            assert tor_network.fetch_until(f"http://{key.address}/").body == PAGE


def test_service_removed_by_somebody(
    own_tor: OwnTor, web: Path, key: OnionKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An onion that another program takes off tor is put back."""
    monkeypatch.setattr(keeper, "LOOK_EVERY", 0.2)
    with Watched(Service(key, web), own_tor) as watched:
        watched.wait_for(Published)
        with connect(own_tor.control) as link:
            withdraw(link, key.address)
        assert watched.wait_for(Lost, 5).reason == "somebody took the service off tor"
        watched.wait_for(Published)


def test_frozen_own_tor(
    own_tor: OwnTor, web: Path, key: OnionKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tor of ours that hangs is replaced by one that works."""
    monkeypatch.setattr(keeper, "LOOK_EVERY", 0.2)
    monkeypatch.setattr(process, "STARTS_WITHIN", 2.0)
    monkeypatch.setattr(process, "ENDS_WITHIN", 1.0)
    with Watched(Service(key, web), own_tor) as watched:
        watched.wait_for(Published)
        frozen = own_pid(own_tor)
        monkeypatch.setattr(control, "ANSWER_WITHIN", 1.0)
        os.kill(frozen, signal.SIGSTOP)
        assert watched.wait_for(Lost, 10).reason == "our tor stopped answering"
        watched.wait_for(Published)
        assert gone(frozen)
        assert own_pid(own_tor) != frozen


def test_network_that_comes_later(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey
) -> None:
    """Without a way to the network the keeper says so, and publishes once there is one."""
    extra = folder / "torrc"
    extra.write_text(f"{tor_network.torrc_lines}DisableNetwork 1\n")
    tor = OwnTor(folder / "tor", extra=extra)
    with Watched(Service(key, web), tor, stalled_after=0.5) as watched:
        error = watched.wait_for(Trouble).error
        assert isinstance(error, OnionError)
        assert "0 % (Starting)" in str(error)
        with connect(tor.control) as link:
            assert link.ask("SETCONF DisableNetwork=0").is_ok()
        watched.wait_for(Published)


def test_no_network(folder: Path, web: Path, key: OnionKey) -> None:
    """Where no authority answers, tor's own warning is told, again and again."""
    ports = free_ports(AUTHORITIES)
    lines = "".join(
        f"DirAuthority down{n} orport={port} no-v2 v3ident={n:040X} 127.0.0.1:{port} {n + 9:040X}\n"
        for n, port in enumerate(ports)
    )
    extra = folder / "torrc"
    extra.write_text(f"TestingTorNetwork 1\n{lines}")
    with Watched(
        Service(key, web), OwnTor(folder / "tor", extra=extra), stalled_after=2
    ) as watched:
        troubles = [str(watched.wait_for(Trouble).error) for _ in range(2)]
        assert "Connection refused" in troubles[-1]
        warnings = [e.warning for e in watched.events if isinstance(e, Bootstrapping)]
        assert "Connection refused" in warnings
        assert watched.end() < 1.5


def test_tor_that_comes_later(folder: Path, web: Path, key: OnionKey) -> None:
    """A tor that is not there yet is looked for with growing pauses, and found."""
    tor = RunningTor(folder / "tor", "DisableNetwork 1\n")
    with Watched(Service(key, web), ForeignTor(tor.address)) as watched:
        times = []
        for _ in range(3):
            assert isinstance(watched.wait_for(Trouble).error, ControlMissingError)
            times.append(time.monotonic())
        assert times[2] - times[1] > 1.5 * (times[1] - times[0])
        with tor:
            assert watched.wait_for(Bootstrapping).percent == 0
            assert watched.end() < 1.5


def test_server_that_comes_later(own_tor: OwnTor, folder: Path, key: OnionKey) -> None:
    """An onion whose server is not there yet is published once it is."""
    path = folder / "late.sock"
    with contextlib.ExitStack() as late, Watched(Service(key, path), own_tor) as watched:
        assert isinstance(watched.wait_for(Trouble).error, OnionError)
        late.enter_context(web_server(path, PAGE))
        watched.wait_for(Published)


def test_impatient(folder: Path, web: Path, key: OnionKey) -> None:
    """On request a trouble of the first start is raised, for a person to mend it."""
    extra = folder / "torrc"
    extra.write_text("SuchNonsense 1\n")
    tor = OwnTor(folder / "tor", extra=extra)
    impatient = Keeper(Service(key, web), tor, lambda _: None)
    with pytest.raises(OnionError):
        impatient.run(threading.Event(), patient=False)
    assert tor.pid is None


def test_observer_that_fails(own_tor: OwnTor, web: Path, key: OnionKey) -> None:
    """Even where the program around it breaks, the keeper leaves no tor behind."""
    pids: list[int] = []

    def observe(_: object) -> None:
        pids.append(own_pid(own_tor))
        raise ZeroDivisionError

    broken = Keeper(Service(key, web), own_tor, observe)
    with pytest.raises(ZeroDivisionError):
        broken.run(threading.Event())
    wait_until(lambda: gone(pids[0]), 1)
