"""Two booted servers with one onion: installed, updated and promoted from one settings file."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from support.deploy.admin import PASSPHRASE, AdminMachine
from support.deploy.clients import Load, get_over_socket
from support.deploy.inspection import onion_address, wait_for_published
from support.deploy.machine import OTHER, SERVER, THIRD, Machine
from support.documents import Document
from support.hosting import wait_until
from support.signed import content, facts, organisation_key, put_release
from support.tornet import NetworkDownError

from cccr_web.onion import new_key
from cccr_web.release import Signer, make_release, with_archive

if TYPE_CHECKING:
    from pathlib import Path

    from support.measurements import Recorder
    from support.tornet import TorNetwork

PAGE = "/en/index.html"
A, B, C = f"root@{SERVER}", f"root@{OTHER}", f"root@{THIRD}"


def release(admin: AdminMachine, number: int, *onions: str) -> Path:
    """Return the folder of a release for a site that has only its onion."""
    folder = admin.folder / f"two-{number}"
    known = facts(number, onions=onions)
    put_release(Signer(admin.key).sign(with_archive(make_release(content(number), known))), folder)
    return folder


@pytest.fixture
def pair(server: Machine, debian: Path, admin: AdminMachine) -> Iterator[tuple[Machine, Machine]]:
    """Two fresh servers, in the settings and reachable by ssh."""
    server.power_off()
    (admin.folder / "organisation.key").write_bytes(organisation_key().to_file(PASSPHRASE))
    (admin.folder / "two.key").unlink(missing_ok=True)
    new_key(admin.folder / "two.key")
    admin.key = organisation_key()
    admin.write_settings(
        SERVER="",
        SERVERS=f"{A} {B}",
        DOMAIN="",
        ONION_KEY="../two.key",
        RELEASE=str(release(admin, 1)),
    )
    with (
        admin.another(debian, SERVER) as a,
        admin.another(debian, OTHER) as b,
    ):
        yield a, b


def state(machine: Machine) -> str:
    """Return the first word of the onion manager's status: Published, Standby or another."""
    unit = "cccr-web-manager"
    text = machine.run("systemctl", "show", "--property=StatusText", "--value", unit)
    return text.partition(":")[0]


@pytest.mark.slow
def test_two_servers_share_one_onion(
    pair: tuple[Machine, Machine], admin: AdminMachine, private_tor: TorNetwork, note: Recorder
) -> None:
    """One publishes; commands visit both; a promotion never lets both publish."""
    a, b = pair
    passphrase = ("--passphrase-file", admin.folder / "passphrase")
    began = time.monotonic()
    done = admin.deploy("--offline", admin.bundle)
    note("two servers installed and checked", time.monotonic() - began)
    assert [line for line in done.stderr.splitlines() if line.startswith("==")] == [
        f"== {A}",
        f"== {B}",
    ]
    wait_for_published(a)
    assert (state(a), state(b)) == ("Published", "Standby")
    onion = done.stdout.split()[1]
    assert private_tor.fetch_until(f"{onion}en/index.html").status == 200
    again = admin.deploy("--offline", admin.bundle).stderr
    assert again.count("Nothing needed to be changed.\n") == 2, again

    host = onion_address(a)
    with (
        Load(lambda: get_over_socket(a.onion_socket, f"{PAGE}?x", host).status == 200) as on_a,
        Load(lambda: get_over_socket(b.onion_socket, f"{PAGE}?x", host).status == 200) as on_b,
        Load(lambda: private_tor.fetch(f"http://{host}{PAGE}").status == 200, 1) as as_reader,
    ):
        admin.deploy("release", release(admin, 2))
    assert [on_a.failures, on_b.failures, as_reader.failures] == [[], [], []]
    note(f"release on two servers: failed of {on_a.sent + on_b.sent + as_reader.sent}", 0, "")
    admin.deploy("release", release(admin, 3))
    admin.deploy("rollback")
    found = json.loads(admin.deploy("status", "--json").stdout)
    assert [each["server"] for each in found] == [A, B]
    assert [each["status"]["serves"] for each in found] == [{"onion": 2}] * 2
    sentences = [check["sentence"] for check in found[1]["status"]["checks"]]
    assert "Standby: another server publishes the onion." in sentences
    assert b"release 2" in private_tor.fetch_until(f"{onion}en/index.html").body

    began = time.monotonic()
    admin.deploy("promote", B, "--key", admin.folder / "organisation.key", *passphrase)
    assert (state(a), state(b)) == ("Standby", "Published")
    note("promoted while the former publisher is alive", time.monotonic() - began)
    assert private_tor.fetch_until(f"{onion}en/index.html").status == 200

    b.power_off()
    silent = admin.deploy(
        "promote", A, "--key", admin.folder / "organisation.key", *passphrase, status=1
    )
    assert f"{B} does not answer, so it may still publish" in silent.stderr
    assert state(a) == "Standby"
    began = time.monotonic()
    key = ("--key", admin.folder / "organisation.key", *passphrase)
    admin.deploy("promote", A, "--dead", *key)
    note("promoted while the former publisher is dead", time.monotonic() - began)
    assert state(a) == "Published"
    stopped = admin.deploy("release", release(admin, 3), status=1).stderr
    assert f"Stopped at {B}. What each server serves:\n  {A}: onion 3\n" in stopped

    b.boot()  # it believes that it publishes
    end_at = time.monotonic() + 240
    while state(b) != "Standby":
        assert time.monotonic() < end_at, state(b)
        assert state(b) != "Published"
        time.sleep(0.5)
    admin.deploy("release", release(admin, 3))
    assert "Standby" in admin.deploy("status").stdout
    b.power_off()
    follow_the_runbook_of_a_seized_server(a, b, admin, private_tor)


@pytest.mark.slow
def test_the_page_of_a_server_that_is_gone_is_followed(
    pair: tuple[Machine, Machine],
    debian: Path,
    admin: AdminMachine,
    private_tor: TorNetwork,
    note: Recorder,
) -> None:
    """The publisher is killed; the manual's commands in their order suffice, also to replace it."""
    a, b = pair
    status, promote, install, uninstall = (
        shlex.split(line.replace("root@a.example", A).replace("root@b.example", B))[1:]
        for line in Document("deploy/README.md").commands_under("A server is gone")
    )
    passphrase = ("--passphrase-file", admin.folder / "passphrase")
    with admin.another(debian, THIRD) as c:
        settings = {"DOMAIN": "", "ONION_KEY": "../two.key", "RELEASE": str(release(admin, 1))}
        admin.write_settings(SERVER=C, **settings)
        one = admin.deploy("--offline", admin.bundle).seconds
        admin.deploy("uninstall", "--purge", C)
        admin.write_settings(SERVER="", SERVERS=f"{A} {B}", **settings)
        two = admin.deploy("--offline", admin.bundle)
        note("one fresh server installed, without a check", one)
        note("two fresh servers installed and checked", two.seconds)
        url = f"{two.stdout.split()[1]}en/index.html"
        wait_for_published(a)
        assert private_tor.fetch_until(url).status == 200

        began = time.monotonic()
        a.kill()
        found = admin.deploy(*status, status=1)
        assert f"ssh could not connect to {A}" in found.stderr
        assert "Standby" in found.stdout
        admin.deploy(*promote, *passphrase)
        assert private_tor.fetch_until(url).status == 200
        note(
            "server gone, until the page is followed and a reader gets the site",
            time.monotonic() - began,
        )
        admin.write_settings(SERVER="", SERVERS=B, **settings)
        admin.deploy(*install, "--offline", admin.bundle)
        wait_for_published(b)
        assert "WRONG" not in admin.deploy(*status).stdout

        admin.write_settings(SERVER="", SERVERS=f"{B} {C}", **settings)
        admin.deploy(*install, "--offline", admin.bundle)
        assert "WRONG" not in admin.deploy(*status).stdout
        assert (state(b), state(c)) == ("Published", "Standby")
        assert private_tor.fetch_until(url).status == 200

        a.boot()  # nobody has told it
        end_at = time.monotonic() + 240
        while state(a) != "Standby":
            assert time.monotonic() < end_at, state(a)
            assert state(a) != "Published"
            time.sleep(0.5)
        admin.deploy(*uninstall, *passphrase)
        assert not (a.root / "etc/cccr-web").exists()
        assert private_tor.fetch_until(url).status == 200


def follow_the_runbook_of_a_seized_server(
    a: Machine, b: Machine, admin: AdminMachine, private_tor: TorNetwork
) -> None:
    """The second is seized: the first moves to a new onion, and ``watch`` finds who uses the old.

    ``tests/test_document_commands.py`` makes the release, and ``test_manual.py`` revokes the
    certificate.
    """
    old = onion_address(a)
    new = new_key(admin.folder / "next-onion.key").address
    admin.write_settings(
        SERVER=A,
        DOMAIN="",
        ONION_KEY="../next-onion.key",
        RELEASE=str(release(admin, 4, new)),
    )
    refused = admin.deploy("--offline", admin.bundle, status=1)
    assert f"The server’s address is {old}." in refused.stderr
    done = admin.deploy("--offline", admin.bundle, "--replace-onion")
    assert done.stdout == f"onion http://{new}/\n"
    wait_for_published(a)
    assert b"release 4" in private_tor.fetch_until(f"http://{new}{PAGE}").body
    assert "WRONG" not in admin.deploy("status").stdout
    with pytest.raises(NetworkDownError):
        private_tor.fetch(f"http://{old}{PAGE}", tries=1)
    assert watched(admin, private_tor, new, old) == (1, [[], ["unreachable"]])

    b.boot()
    command = "/opt/cccr-web/current/bin/cccr-web onion publish --key /etc/cccr-web/onion.key"
    control = "unix:/run/tor-instances/cccr/control"
    served = ("--socket", "/run/cccr-nginx/onion.sock", "--control", control)
    b.run("systemctl", "stop", "cccr-web-manager")
    b.run("systemd-run", "--unit=intruder", *command.split(), *served)
    wait_until(lambda: "Published: " in b.run("journalctl", "--unit=intruder"), 120)
    # The network's client has asked every directory in vain, and does not ask again for minutes.
    private_tor.socks_port = private_tor.add_client("later")
    assert private_tor.fetch_until(f"http://{old}{PAGE}").status == 200
    assert watched(admin, private_tor, new, old) == (1, [[], ["older release"]])


def watched(
    admin: AdminMachine, private_tor: TorNetwork, *onions: str
) -> tuple[int, list[list[str]]]:
    """Return the exit status of ``watch``, and the kinds of differences at each onion."""
    command = [sys.executable, "-m", "cccr_web", "watch", "--json"]
    command += ["--socks", f"127.0.0.1:{private_tor.socks_port}"]
    command += ["--public-key", str(admin.folder / "organisation.pub")]
    command += [f"http://{onion}" for onion in onions]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)["addresses"]
    return done.returncode, [[each["kind"] for each in one["differences"]] for one in found]
