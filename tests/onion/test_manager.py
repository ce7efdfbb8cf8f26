"""The manager: the service stays published whatever happens to tor, until it is stopped."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.faketor import fake_tor
from support.hosting import OFFLINE, PAGE, RunningTor, Watched, gone, wait_until, web_server
from support.tornet import AUTHORITIES, free_ports

from cccr_web.errors import ControlMissingError, OnionError
from cccr_web.onion import (
    Bootstrapping,
    ExternalTor,
    Failed,
    Lost,
    ManagedTor,
    Manager,
    OnionKey,
    Published,
    Publishing,
    Service,
    Status,
    Unreachable,
    Withdrawn,
    connect,
    control,
    managed_tor,
)
from cccr_web.onion.service import list_services, withdraw

if TYPE_CHECKING:
    from pathlib import Path

    from support.measurements import Recorder
    from support.tornet import TorNetwork


@pytest.fixture
def tor(tor_network: TorNetwork, folder: Path) -> ManagedTor:
    """A managed tor in the private network, not started yet."""
    return ManagedTor(folder / "tor", extra=tor_network.write_torrc(folder / "torrc"))


def running_pid(tor: ManagedTor) -> int:
    """Return the process id of a tor that must be running."""
    assert tor.pid is not None
    return tor.pid


def test_a_killed_managed_tor_is_restarted(
    tor_network: TorNetwork, tor: ManagedTor, web: Path, key: OnionKey, note: Recorder
) -> None:
    """After SIGKILL of the managed tor, the same address answers again without intervention.

    The manager reports the bootstrap progress; at the end it withdraws the service and
    leaves no process.
    """
    url = f"http://{key.address}/"
    with Watched(Service(key, web), tor) as watched:
        published = watched.wait_for(Published)
        assert published.address == key.address
        assert published.proof_of_work
        kinds = [type(event) for event in watched.events]
        assert set(kinds[:-2]) == {Bootstrapping}
        assert kinds[-2:] == [Publishing, Published]
        percents = [e.bootstrap.percent for e in watched.events if isinstance(e, Bootstrapping)]
        assert percents == sorted(percents)
        assert percents[-1] == 100
        assert tor_network.fetch_until(url).body == PAGE

        first = running_pid(tor)
        begin = time.monotonic()
        os.kill(first, signal.SIGKILL)
        assert watched.wait_for(Lost, 2).reason == "the managed tor was killed by SIGKILL"
        again = watched.wait_for(Published)
        assert again.address == key.address
        assert again.seconds <= time.monotonic() - begin
        note("managed tor killed: descriptor uploaded again", time.monotonic() - begin)
        assert tor_network.fetch_until(url).body == PAGE
        note("managed tor killed: page answers again", time.monotonic() - begin)

        second = running_pid(tor)
        assert watched.end() < 1.5
        assert watched.events[-1] == Withdrawn(key.address)
    assert gone(first)
    assert gone(second)
    assert not [event for event in watched.events if isinstance(event, Failed)]


def test_a_killed_external_tor_is_awaited(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey, note: Recorder
) -> None:
    """After an external tor is killed and restarted, the same address is published on it again.

    At the end the service is removed from that tor, which keeps running.
    """
    url = f"http://{key.address}/"
    with RunningTor(folder / "tor", tor_network.torrc_lines) as tor:
        tor.await_control()
        with Watched(Service(key, web), ExternalTor(tor.address)) as watched:
            watched.wait_for(Published)
            begin = time.monotonic()
            tor.kill()
            watched.wait_for(Lost, 2)
            error = watched.wait_for(Failed).error
            assert isinstance(error, ControlMissingError)
            tor.start()
            assert watched.wait_for(Published).address == key.address
            note("external tor killed: descriptor uploaded again", time.monotonic() - begin)
            assert tor_network.fetch_until(url).body == PAGE
            note("external tor killed: page answers again", time.monotonic() - begin)

            assert watched.end() < 1.5
            assert watched.events[-1] == Withdrawn(key.address)
        with connect(tor.address) as connection:
            assert list_services(connection) == frozenset()


def test_a_tor_that_dies_while_bootstrapping_is_lost(
    folder: Path, web: Path, key: OnionKey
) -> None:
    """If tor dies before it is bootstrapped, that is a loss and not a failed attempt."""
    with RunningTor(folder / "tor", OFFLINE) as tor:
        tor.await_control()
        with Watched(Service(key, web), ExternalTor(tor.address)) as watched:
            watched.wait_for(Bootstrapping)
            tor.kill()
            assert watched.wait_for(Lost, 10).reason == "tor exited or stopped answering"
            first = next(event for event in watched.events if not isinstance(event, Bootstrapping))
            assert isinstance(first, Lost)


def test_the_service_of_a_crashed_manager_is_replaced(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey
) -> None:
    """An address that a killed manager left on tor is published again with our target."""
    with RunningTor(folder / "tor", tor_network.torrc_lines) as tor:
        tor.await_control()
        with connect(tor.address) as connection:
            added = connection.send(f"ADD_ONION {key.blob} Flags=Detach Port=80,127.0.0.1:1")
            assert added.is_ok()
        with Watched(Service(key, web), ExternalTor(tor.address)) as watched:
            watched.wait_for(Published)
            assert tor_network.fetch_until(f"http://{key.address}/").body == PAGE


def test_a_removed_service_is_published_again(tor: ManagedTor, web: Path, key: OnionKey) -> None:
    """If another program removes the service from tor, it is published again."""
    with Watched(Service(key, web), tor, check_interval=0.2) as watched:
        watched.wait_for(Published)
        with connect(tor.control) as connection:
            withdraw(connection, key.address)
        reason = watched.wait_for(Lost, 5).reason
        assert reason == "another program removed the service from tor"
        watched.wait_for(Published)


def test_a_lost_network_is_reported_until_it_is_back(
    tor: ManagedTor, web: Path, key: OnionKey
) -> None:
    """A service that tor still runs without a network is not called published until it is back."""
    with Watched(Service(key, web), tor, check_interval=0.2) as watched:
        watched.wait_for(Published)
        with connect(tor.control) as connection:
            assert connection.send("SETCONF DisableNetwork=1").is_ok()
            found = watched.wait_for(Unreachable)
            assert found == Unreachable(key.address, "the Tor network does not answer")
            assert not Status.read(connection, key.address).online
            assert connection.send("SETCONF DisableNetwork=0").is_ok()
        assert watched.wait_for(Published).address == key.address


FAILED_UPLOAD = "UNKNOWN $" + "A" * 40 + "~relay REASON=UPLOAD_REJECTED"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("", "no HSDir returns its descriptor"),
        (
            "HS_DESC FAILED {name} " + FAILED_UPLOAD,
            "HSDirs reject its descriptor (UPLOAD_REJECTED)",
        ),
        ("STATUS_GENERAL WARN CLOCK_SKEW SKEW=3600", "this machine's clock is 3600 s fast"),
    ],
)
def test_what_hides_a_published_service_is_reported(
    web: Path, key: OnionKey, event: str, reason: str
) -> None:
    """A descriptor that no HSDir returns or accepts, or a wrong clock, is reported."""
    name = key.address.removesuffix(".onion")
    uploaded = f"650 HS_DESC UPLOADED {name} UNKNOWN UNKNOWN\n"
    events = f"650 {event.format(name=name)}\n" * 3 if event else ""
    answers = {
        "PROTOCOLINFO": '250-PROTOCOLINFO 1\n250-AUTH METHODS=NULL\n250-VERSION Tor="0.4.9.5"\n'
        "250 OK\n",
        "GETINFO status/bootstrap": "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100\n"
        "250 OK\n",
        "GETINFO onions/current": "250-onions/current=\n250 OK\n",
        "GETINFO onions/detached": "250-onions/detached=\n250 OK\n",
        "ADD_ONION": f"250-ServiceID={name}\n250 OK\n{uploaded}",
        "HSFETCH": f"250 OK\n{events}",
    }
    with (
        fake_tor(answers) as (address, _),
        Watched(
            Service(key, web), ExternalTor(address), fetch_interval=0.1, fetch_timeout=0.5
        ) as w,
    ):
        w.wait_for(Published)
        while reason not in w.wait_for(Unreachable).reason:
            pass


def test_a_suspended_managed_tor_is_replaced(
    tor: ManagedTor, web: Path, key: OnionKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A managed tor that hangs is replaced by a new one."""
    with Watched(Service(key, web), tor, check_interval=0.2) as watched:
        watched.wait_for(Published)
        suspended = running_pid(tor)
        for module in (control, managed_tor):
            monkeypatch.setattr(module, "REPLY_TIMEOUT", 0.5)
        os.kill(suspended, signal.SIGSTOP)
        assert watched.wait_for(Lost, 10).reason == "the managed tor stopped answering"
        assert "did not answer" in str(watched.wait_for(Failed).error)
        monkeypatch.undo()
        watched.wait_for(Published)
        assert gone(suspended)
        assert running_pid(tor) != suspended


def test_the_service_is_published_once_the_network_is_enabled(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey
) -> None:
    """Without a network the manager reports the stalled bootstrap, and publishes later."""
    extra = folder / "torrc"
    extra.write_text(f"{tor_network.torrc_lines}DisableNetwork 1\n")
    tor = ManagedTor(folder / "tor", extra=extra)
    with Watched(Service(key, web), tor, stalled_after=0.5) as watched:
        error = watched.wait_for(Failed).error
        assert isinstance(error, OnionError)
        assert str(error).startswith("Tor is still at 0 % (Starting) after ")
        with connect(tor.control) as connection:
            assert connection.send("SETCONF DisableNetwork=0").is_ok()
        watched.wait_for(Published)


def test_a_stalled_bootstrap_repeats_the_warning_of_tor(
    folder: Path, web: Path, key: OnionKey
) -> None:
    """While no authority answers, each failure contains tor's own warning."""
    ports = free_ports(AUTHORITIES)
    lines = "".join(
        f"DirAuthority down{n} orport={port} no-v2 v3ident={n:040X} 127.0.0.1:{port} {n + 9:040X}\n"
        for n, port in enumerate(ports)
    )
    extra = folder / "torrc"
    extra.write_text(f"TestingTorNetwork 1\n{lines}")
    tor = ManagedTor(folder / "tor", extra=extra)
    with Watched(Service(key, web), tor, stalled_after=0.5) as watched:
        while "Connection refused" not in (watched.wait_for(Bootstrapping).bootstrap.warning or ""):
            pass
        for _ in range(2):
            assert "Connection refused" in str(watched.wait_for(Failed).error)
        assert watched.end() < 1.5


def test_a_missing_tor_is_retried_with_growing_pauses(
    folder: Path, web: Path, key: OnionKey
) -> None:
    """A tor that does not run yet is retried with growing pauses, and found once it runs."""
    tor = RunningTor(folder / "tor", OFFLINE)
    with Watched(Service(key, web), ExternalTor(tor.address)) as watched:
        for _ in range(3):
            assert isinstance(watched.wait_for(Failed).error, ControlMissingError)
        pauses = [after - before for before, after in itertools.pairwise(watched.times[:3])]
        assert pauses[0] >= 0.2
        assert pauses[1] >= 0.4
        with tor:
            assert watched.wait_for(Bootstrapping).bootstrap.percent == 0
            assert watched.end() < 1.5


def test_the_service_is_published_once_its_web_server_runs(
    tor: ManagedTor, folder: Path, key: OnionKey
) -> None:
    """A service whose web server does not run yet is published once it does."""
    path = folder / "late.sock"
    with contextlib.ExitStack() as late, Watched(Service(key, path), tor) as watched:
        error = watched.wait_for(Failed).error
        assert f"No web server listens on the unix socket {path}" in str(error)
        late.enter_context(web_server(path, PAGE))
        watched.wait_for(Published)


def test_without_retry_the_first_failure_is_raised(folder: Path, web: Path, key: OnionKey) -> None:
    """On request, a failure of the first start is raised instead of retried."""
    extra = folder / "torrc"
    extra.write_text("SuchNonsense 1\n")
    tor = ManagedTor(folder / "tor", extra=extra)
    manager = Manager(Service(key, web), tor, lambda _: None)
    with pytest.raises(OnionError, match="Tor rejects the extra torrc lines"):
        manager.run(threading.Event(), retry_first=False)
    assert tor.pid is None


def test_a_failing_observer_leaves_no_tor(tor: ManagedTor, web: Path, key: OnionKey) -> None:
    """If the observer raises, the manager stops tor before it passes the exception on."""
    pids: list[int] = []

    def observe(_: object) -> None:
        pids.append(running_pid(tor))
        raise ZeroDivisionError

    manager = Manager(Service(key, web), tor, observe)
    with pytest.raises(ZeroDivisionError):
        manager.run(threading.Event())
    wait_until(lambda: gone(pids[0]), 1)
