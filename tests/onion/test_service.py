"""Publishing one service on one tor: success, limits, conflicts and timeouts."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.command import undocumented
from support.faketor import fake_tor
from support.hosting import OFFLINE, PAGE, RunningTor, wait_until, web_server

from cccr_web.errors import CommandRejectedError, OnionError
from cccr_web.onion import (
    ControlConnection,
    ManagedTor,
    OnionKey,
    Published,
    Service,
    Status,
    connect,
)
from cccr_web.onion.service import list_services, publish, withdraw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.tornet import TorNetwork


def test_a_published_page_is_fetched_over_the_private_network(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey, note: Callable[..., None]
) -> None:
    """A page behind a unix socket is fetched over a real onion, protected by proof of work.

    Publishing the same address again replaces its target.
    """
    begin = time.monotonic()
    tor = ManagedTor(folder / "tor", extra=tor_network.write_torrc(folder / "torrc"))
    with tor.open() as connection:
        done = publish(connection, Service(key, web))
        assert done == Published(key.address, done.seconds if done else 0, proof_of_work=True)
        reply = tor_network.fetch(f"http://{key.address}/")
        note("a page over the onion, from the start of its tor", time.monotonic() - begin)
        assert (reply.status, reply.body) == (200, PAGE)

        status = Status.read(connection, key.address)
        assert status.published
        assert status.online
        assert status.bootstrap.percent == 100
        assert status.descriptor is not None
        assert status.descriptor.proof_of_work
        assert status.descriptor.introduction_points == 3

        with web_server(folder / "other.sock", b"the other server") as other:
            with tor.open() as second:
                assert publish(second, Service(key, other)) is not None
            reply = tor_network.fetch_until(f"http://{key.address}/")
            assert reply.body == b"the other server"
        withdraw(connection, key.address)
        assert list_services(connection) == frozenset()
    tor.close()


def test_the_status_of_an_onion_in_the_torrc_and_of_anybodys_onion(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server behind Onionbalance has its own onion in its torrc; anybody's can be looked up."""
    monkeypatch.setattr("cccr_web.onion.status._FETCH_TIMEOUT", 5.0)
    service = folder / "backend"
    service.mkdir(mode=0o700)
    (service / "ob_config").write_text(f"MasterOnionAddress {key.address}\n")
    lines = f"HiddenServiceDir {service}\nHiddenServicePort 80 unix:{web}\n"
    lines += f"HiddenServiceOnionbalanceInstance 1\n{tor_network.torrc_lines}"
    with RunningTor(folder / "tor", lines) as tor:
        tor.await_control()
        own = (service / "hostname").read_text().strip()
        with connect(tor.address) as connection:
            wait_until(lambda: Status.read(connection, own).published, 60)
            assert list_services(connection) == frozenset()
            wait_until(lambda: Status.fetch(connection, own).published, 60)
            found = Status.fetch(connection, key.address)
            assert (found.published, found.online, found.descriptor) == (False, True, None)


def test_the_status_of_an_unpublished_address_is_one_json_object(
    connection: ControlConnection, key: OnionKey
) -> None:
    """Without a network and a service, the status is one JSON object that says so."""
    version = connection.info("version").split()[0]
    said = json.loads(Status.read(connection, key.address).to_json())
    assert undocumented(said, "onion", "status") == set()
    assert said == {
        "address": key.address,
        "bootstrap": {"percent": 0, "summary": "Starting", "warning": None},
        "descriptor": None,
        "online": False,
        "published": False,
        "tor_version": version,
    }


def test_publishing_times_out_and_removes_the_service(
    connection: ControlConnection, key: OnionKey, web: Path
) -> None:
    """If no HSDir accepts the descriptor in time, that is an error and the service is removed."""
    begin = time.monotonic()
    with pytest.raises(OnionError, match=f"No HSDir accepted.*{key.address} within"):
        publish(connection, Service(key, web), timeout=0.5)
    assert time.monotonic() - begin < 3
    assert list_services(connection) == frozenset()


def test_publishing_can_be_stopped(connection: ControlConnection, key: OnionKey, web: Path) -> None:
    """Soon after ``stop`` is set, ``publish`` returns and the service is removed."""
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    begin = time.monotonic()
    assert publish(connection, Service(key, web), stop=stop) is None
    assert time.monotonic() - begin < 1.5
    assert list_services(connection) == frozenset()
    timer.join()


def test_a_service_without_a_web_server_is_not_published(
    connection: ControlConnection, key: OnionKey, folder: Path
) -> None:
    """A service is not published if its target is not a unix socket."""
    for path in (folder / "none", folder / "onion.key"):
        with pytest.raises(OnionError, match=f"No web server listens on the unix socket {path}"):
            publish(connection, Service(key, path))
    assert list_services(connection) == frozenset()


def test_a_target_that_tor_cannot_use_is_rejected(key: OnionKey, folder: Path) -> None:
    """A service cannot have a target whose path contains a space or is too long."""
    for name, why in (("a blank", "Tor cannot use"), ("x" * 107, "too long for a unix socket")):
        with pytest.raises(OnionError, match=why):
            Service(key, folder / name)


def test_an_address_of_another_program_is_rejected(
    offline_tor: ManagedTor, connection: ControlConnection, key: OnionKey, web: Path
) -> None:
    """An address that another program publishes on this tor cannot be published."""
    with offline_tor.open() as other:
        assert other.send(f"ADD_ONION {key.blob} Port=80,127.0.0.1:1").is_ok()
        with pytest.raises(OnionError, match=f"already runs {key.address} for another program"):
            publish(connection, Service(key, web))


PROTOCOL = '250-PROTOCOLINFO 1\n250-AUTH METHODS=NULL\n250-VERSION Tor="0.4.8.1"\n250 OK\n'


def answers_without_pow(key: OnionKey) -> dict[str, str]:
    """Return the answers of a tor before 0.4.9.2 that uploads the descriptor at once."""
    name = key.address.removesuffix(".onion")
    uploaded = f"650 HS_DESC UPLOADED {name} UNKNOWN ${'A' * 40}~relay\n"
    return {
        "PROTOCOLINFO": PROTOCOL,
        "GETINFO onions/current": "250-onions/current=\n250 OK\n",
        "GETINFO onions/detached": "250-onions/detached=\n250 OK\n",
        "ADD_ONION.*PoW": "512 Bad arguments to ADD_ONION: Unrecognized keyword argument "
        '"PoWDefensesEnabled"\n',
        "ADD_ONION": f"250-ServiceID={name}\n250 OK\n{uploaded}",
    }


def running(key: OnionKey) -> dict[str, str]:
    """Return the answers of such a tor that already runs the service, detached."""
    name = key.address.removesuffix(".onion")
    detached = f"250-onions/detached={name}\n250 OK\n"
    return {**answers_without_pow(key), "GETINFO onions/detached": detached}


def test_an_old_tor_publishes_without_proof_of_work(key: OnionKey, web: Path) -> None:
    """If tor does not support proof of work, the service is added without it and says so."""
    with fake_tor(answers_without_pow(key)) as (address, received), connect(address) as connection:
        done = publish(connection, Service(key, web, 7))
    assert done is not None
    assert not done.proof_of_work
    arguments = [
        command.split(" ", 2)[2] for command in received if command.startswith("ADD_ONION")
    ]
    plain = f"Flags=DiscardPK,Detach,MaxStreamsCloseCircuit MaxStreams=7 Port=80,unix:{web}"
    assert arguments == [f"{plain} PoWDefensesEnabled=1 PoWQueueRate=250 PoWQueueBurst=2500", plain]


@pytest.mark.parametrize("proof_of_work", [True, False])
def test_a_service_that_its_record_describes_is_left_running(
    key: OnionKey, web: Path, folder: Path, *, proof_of_work: bool
) -> None:
    """A manager that was killed and starts again neither removes nor adds its service."""
    service = Service(key, web, record=folder / "record")
    answers = answers_without_pow(key)
    if proof_of_work:
        answers["ADD_ONION.*PoW"] = answers["ADD_ONION"]
    with fake_tor(answers) as (address, _), connect(address) as connection:
        assert publish(connection, service) is not None
    assert key.blob.partition(":")[2] not in (folder / "record").read_text()
    with fake_tor(running(key)) as (address, received), connect(address) as connection:
        done = publish(connection, service)
    assert done is not None
    assert done.proof_of_work is proof_of_work
    assert not [command for command in received if "_ONION" in command]


def test_a_service_that_its_record_does_not_describe_is_added_again(
    key: OnionKey, web: Path, folder: Path
) -> None:
    """Without a record, or with that of another target or other limits, the service is replaced."""
    record = folder / "record"
    other = folder / "other.sock"
    with web_server(other, b"other"):
        for before in (
            None,
            Service(key, other, record=record),
            Service(key, web, 7, record=record),
        ):
            record.unlink(missing_ok=True)
            if before is not None:
                answers = answers_without_pow(key)
                with fake_tor(answers) as (address, _), connect(address) as connection:
                    publish(connection, before)
            with fake_tor(running(key)) as (address, received), connect(address) as connection:
                publish(connection, Service(key, web, record=record))
            changes = [command.split()[0] for command in received if "_ONION" in command]
            assert changes == ["DEL_ONION", "ADD_ONION", "ADD_ONION"]


def test_a_record_that_cannot_be_written_is_an_error(key: OnionKey, web: Path) -> None:
    """If the record cannot be written, nothing is added: it would be replaced at each start."""
    service = Service(key, web, record=web / "record")
    with fake_tor(answers_without_pow(key)) as (address, received), connect(address) as connection:
        with pytest.raises(OnionError, match=f"{web}/record cannot be written"):
            publish(connection, service)
        assert not [command for command in received if "ADD_ONION" in command]


def test_a_rejected_argument_is_not_taken_for_an_old_tor(key: OnionKey, web: Path) -> None:
    """Any other reply with status 512 is reported, and the service is not added without PoW."""
    answers = {**answers_without_pow(key), "ADD_ONION.*PoW": "512 Invalid VIRTPORT/TARGET\n"}
    with fake_tor(answers) as (address, received), connect(address) as connection:
        with pytest.raises(CommandRejectedError, match="Invalid VIRTPORT/TARGET"):
            publish(connection, Service(key, web))
        assert len([command for command in received if command.startswith("ADD_ONION")]) == 1


def test_a_tor_in_single_hop_mode_is_not_taken_for_an_old_tor(
    folder: Path, key: OnionKey, web: Path
) -> None:
    """A tor that does not hide where the service runs is named as such."""
    extra = folder / "extra"
    extra.write_text(f"{OFFLINE}HiddenServiceSingleHopMode 1\nHiddenServiceNonAnonymousMode 1\n")
    tor = ManagedTor(folder / "tor", extra=extra)
    with tor.open() as connection, pytest.raises(OnionError, match="runs in single-hop mode"):
        publish(connection, Service(key, web))
    tor.close()


def test_a_wrong_clock_is_named_when_publishing_fails(key: OnionKey, web: Path) -> None:
    """If tor reports a wrong clock while no HSDir accepts the descriptor, the error says so."""
    answers = answers_without_pow(key)
    skew = "650 STATUS_GENERAL WARN CLOCK_SKEW SKEW=-7200 SOURCE=CONSENSUS\n"
    answers["ADD_ONION"] = answers["ADD_ONION"].partition("650 ")[0] + skew
    with (
        fake_tor(answers) as (address, _),
        connect(address) as connection,
        pytest.raises(
            OnionError, match=r"No HSDir accepted.*: this machine's clock is 7200 s slow"
        ),
    ):
        publish(connection, Service(key, web), timeout=0.5)


def test_an_upload_of_another_address_does_not_count(key: OnionKey, web: Path) -> None:
    """Only an upload of the service's own address counts, and rejections are reported."""
    answers = answers_without_pow(key)
    name = key.address.removesuffix(".onion")
    refused = f"650 HS_DESC FAILED {name} UNKNOWN ${'A' * 40}~relay REASON=UPLOAD_REJECTED\n"
    other = answers["ADD_ONION"].replace(f"UPLOADED {name}", f"UPLOADED {'b' * 56}")
    answers["ADD_ONION"] = other + refused
    with fake_tor(answers) as (address, received), connect(address) as connection:
        with pytest.raises(OnionError, match=r"No HSDir accepted.*UPLOAD_REJECTED"):
            publish(connection, Service(key, web), timeout=0.5)
        assert f"DEL_ONION {name}" in received


def test_a_rejection_by_tor_is_reported_in_its_words(key: OnionKey, web: Path) -> None:
    """If tor rejects the service for another reason, the error includes tor's reply."""
    answers = {**answers_without_pow(key), "ADD_ONION": "551 Failed to add Onion Service\n"}
    with (
        fake_tor(answers) as (address, _),
        connect(address) as connection,
        pytest.raises(CommandRejectedError, match="Failed to add Onion Service"),
    ):
        publish(connection, Service(key, web))
