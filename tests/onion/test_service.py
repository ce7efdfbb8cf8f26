"""One service on one tor: published, read back, fetched, taken over, timed out."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.faketor import fake_tor
from support.hosting import PAGE, web_server

from cccr_web.errors import (
    OnionError,
    TorRefusedError,
)
from cccr_web.onion import (
    Limits,
    Link,
    OnionKey,
    OwnTor,
    Publication,
    Service,
    Status,
    connect,
    listed,
    publish,
    withdraw,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.tornet import TorNetwork


def test_publish_on_the_private_network(
    tor_network: TorNetwork, folder: Path, web: Path, key: OnionKey, note: Callable[..., None]
) -> None:
    """A page behind a unix socket is fetched over a real onion, defended by proof of work.

    A second publication of the same address is no error, and leads where it says.
    """
    begin = time.monotonic()
    tor = OwnTor(folder / "tor", extra=tor_network.write_torrc(folder / "torrc"))
    with tor.open() as link:
        done = publish(link, Service(key, web))
        assert done == Publication(key.address, done.seconds if done else 0, proof_of_work=True)
        reply = tor_network.fetch(f"http://{key.address}/")
        note("a page over the onion, from the start of its tor", time.monotonic() - begin)
        assert (reply.status, reply.body) == (200, PAGE)

        status = Status.read(link, key.address)
        assert status.published
        assert status.bootstrap.percent == 100
        assert status.descriptor is not None
        assert status.descriptor.proof_of_work
        assert status.descriptor.introduction_points == 3
        assert status.descriptor.lifetime_minutes == 180

        with web_server(folder / "other.sock", b"the other server") as other:
            with tor.open() as second:
                assert publish(second, Service(key, other)) is not None
            reply = tor_network.fetch_until(f"http://{key.address}/")
            assert reply.body == b"the other server"
        withdraw(link, key.address)
        assert listed(link) == frozenset()
    tor.close()


def test_status_of_what_is_not_published(link: Link, key: OnionKey) -> None:
    """Without a network and a service the status says so, as one JSON object."""
    version = link.info("version").split()[0]
    assert json.loads(Status.read(link, key.address).to_json()) == {
        "address": key.address,
        "bootstrap": {"percent": 0, "summary": "Starting", "warning": None},
        "descriptor": None,
        "published": False,
        "tor_version": version,
    }


def test_publication_has_a_time_limit(link: Link, key: OnionKey, web: Path) -> None:
    """A service that no directory hears of is an error after the limit, and is taken down."""
    begin = time.monotonic()
    with pytest.raises(OnionError, match=key.address):
        publish(link, Service(key, web), timeout=0.5)
    assert time.monotonic() - begin < 3
    assert listed(link) == frozenset()


def test_publication_can_be_stopped(link: Link, key: OnionKey, web: Path) -> None:
    """Waiting for the directories ends soon after ``stop`` is set, with the service down."""
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    begin = time.monotonic()
    assert publish(link, Service(key, web), stop=stop) is None
    assert time.monotonic() - begin < 1.5
    assert listed(link) == frozenset()
    timer.join()


def test_no_server_behind_the_onion(link: Link, key: OnionKey, folder: Path) -> None:
    """An onion that would lead nowhere is not published."""
    for path in (folder / "none", folder / "onion.key"):
        with pytest.raises(OnionError, match=str(path)):
            publish(link, Service(key, path))
    assert listed(link) == frozenset()


def test_target_that_tor_cannot_be_told(key: OnionKey, folder: Path) -> None:
    """A target whose path has a blank or is too long cannot even be named as a service."""
    for name in ("a blank", "x" * 107):
        with pytest.raises(OnionError):
            Service(key, folder / name)


@pytest.mark.parametrize(
    "numbers",
    [
        {"max_streams": 0},
        {"max_streams": 65536},
        {"pow_rate": 0},
        {"pow_rate": 10, "pow_burst": 9},
        {"pow_burst": 2**31},
    ],
)
def test_limits_that_tor_would_misread(numbers: dict[str, int]) -> None:
    """Numbers that tor would accept in silence and not keep are refused."""
    with pytest.raises(OnionError, match=str(next(iter(numbers.values())))):
        Limits(**numbers)


def test_address_of_somebody_else(
    offline_tor: OwnTor, link: Link, key: OnionKey, web: Path
) -> None:
    """An address that another program holds on this tor is its own error."""
    with offline_tor.open() as other:
        assert other.ask(f"ADD_ONION {key.blob} Port=80,127.0.0.1:1").is_ok()
        with pytest.raises(OnionError, match=key.address):
            publish(link, Service(key, web))


PROTOCOL = '250-PROTOCOLINFO 1\n250-AUTH METHODS=NULL\n250-VERSION Tor="0.4.8.1"\n250 OK\n'


def no_pow(key: OnionKey) -> dict[str, str]:
    """Return the answers of a tor before 0.4.9.2, which uploads at once."""
    name = key.address.removesuffix(".onion")
    uploaded = f"650 HS_DESC UPLOADED {name} UNKNOWN ${'A' * 40}~relay\n"
    return {
        "PROTOCOLINFO": PROTOCOL,
        "GETINFO onions/current": "250-onions/current=\n250 OK\n",
        "GETINFO onions/detached": "250-onions/detached=\n250 OK\n",
        "ADD_ONION.*PoW": "512 Unrecognized argument\n",
        "ADD_ONION": f"250-ServiceID={name}\n250 OK\n{uploaded}",
    }


def test_old_tor_without_proof_of_work(key: OnionKey, web: Path) -> None:
    """A tor that does not know proof of work is asked again without, and that is told."""
    with fake_tor(no_pow(key)) as (where, heard), connect(where) as link:
        done = publish(link, Service(key, web, Limits(max_streams=7)))
    assert done is not None
    assert not done.proof_of_work
    asked = [command.split(" ", 2)[2] for command in heard if command.startswith("ADD_ONION")]
    plain = f"Flags=DiscardPK,Detach,MaxStreamsCloseCircuit MaxStreams=7 Port=80,unix:{web}"
    assert asked == [f"{plain} PoWDefensesEnabled=1 PoWQueueRate=250 PoWQueueBurst=2500", plain]


def test_upload_of_another_address_does_not_count(key: OnionKey, web: Path) -> None:
    """Only the upload of our own address is waited for, and refusals are told."""
    answers = no_pow(key)
    name = key.address.removesuffix(".onion")
    refused = f"650 HS_DESC FAILED {name} UNKNOWN ${'A' * 40}~relay REASON=UPLOAD_REJECTED\n"
    other = answers["ADD_ONION"].replace(f"UPLOADED {name}", f"UPLOADED {'b' * 56}")
    answers["ADD_ONION"] = other + refused
    with fake_tor(answers) as (where, heard), connect(where) as link:
        with pytest.raises(OnionError, match="UPLOAD_REJECTED"):
            publish(link, Service(key, web), timeout=0.5)
        assert f"DEL_ONION {name}" in heard


def test_tor_that_refuses(key: OnionKey, web: Path) -> None:
    """A refusal for any other reason is told in tor's words."""
    answers = {**no_pow(key), "ADD_ONION": "551 Failed to add Onion Service\n"}
    with (
        fake_tor(answers) as (where, _),
        connect(where) as link,
        pytest.raises(TorRefusedError, match="Failed to add Onion Service"),
    ):
        publish(link, Service(key, web))
