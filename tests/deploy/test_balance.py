"""Onionbalance: every server answers for one onion, and only the front has its key."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import TOP
from support.crowd import Readers
from support.deploy.admin import AdminMachine
from support.deploy.clients import Load
from support.deploy.machine import OTHER, SERVER, THIRD, Machine
from support.deploy.scripts import AdminSide, in_server
from support.signed import content, facts, organisation_key, put_release

from cccr_web.onion import load_key, new_key
from cccr_web.release import Signer, make_release, with_archive

if TYPE_CHECKING:
    from support.measurements import Recorder
    from support.tornet import TorNetwork

INSTALL = ("--offline", "wheels.tar")
PAGE = "/en/index.html"
ONION, OTHER_ONION = (letter * 56 + ".onion" for letter in "ab")
BALANCED = "PUBLIC_KEY=../organisation.pub\nONION_KEY=../onion.key\nONION_MODE=balance\n"
TWO_AND_A_FRONT = f"SERVERS=root@a root@b\nFRONT=root@f\n{BALANCED}"
# In place of server/run.sh: writes down what each machine gets, and which keys.
RECORDER = """\
for command in "$@"; do :; done
settings=$(cd "$(dirname "$0")/../settings" && pwd)
echo "$TARGET $*" >>"@/commands"
[ "$command" != backend ] || echo "$TARGET.onion"
cp -R "$settings" "@/got-$TARGET-$command"
"""

# Debian's program with other values for a test network. On a busy machine its intervals are too
# short: it asks for a descriptor while it waits for the last answer. And with no more relays than
# it wants for a descriptor, which are four, it looks for others forever.
FASTER = """\
#!/usr/bin/python3
from onionbalance import manager
from onionbalance.hs_v3 import params
params.FETCH_DESCRIPTOR_FREQUENCY_TESTNET = 45
params.INSTANCE_DESCRIPTOR_TOO_OLD_TESTNET = 120
params.FRONTEND_DESCRIPTOR_LIFETIME_TESTNET = 45
params.HSDIR_SPREAD_STORE = 2
manager.main()
"""


@pytest.fixture
def side(tmp_path: Path) -> AdminSide:
    """An admin's checkout, with two servers and a front."""
    made = AdminSide(tmp_path)
    run = tmp_path / "deploy/server/run.sh"
    run.write_text(RECORDER.replace("@/", f"{tmp_path}/"))
    made.ssh('TARGET=${1#root@} PATH=/usr/sbin:/usr/bin:/bin exec sh -c "$2"')
    (tmp_path / "deploy/cccr-web").write_text(f"#!/bin/sh\necho {ONION}\n")
    (tmp_path / "onion.key").write_text("the onion's key\n")
    made.settings(TWO_AND_A_FRONT)
    return made


def test_the_front_is_visited_last_and_alone_gets_the_key(side: AdminSide) -> None:
    """Servers learn the address; the front learns which onion each server has of its own."""
    side.run(*INSTALL)
    assert side.commands() == [
        "a --check install",
        "b --check install",
        "a backend",
        "b backend",
        "f front",
    ]
    for name in "ab":
        got = side.folder / f"got-{name}-install"
        assert (got / "balanced").read_text() == f"{ONION}\n"
        assert not list(got.glob("*.key.*")) + list(got.glob("*onion.key"))
        assert not list((side.folder / f"got-{name}-backend").glob("*.key"))
    front = side.folder / "got-f-front"
    assert (front / "front.key").read_text() == "the onion's key\n"
    assert (front / "backends").read_text() == "a.onion root@a\nb.onion root@b\n"
    assert not (front / "balanced").exists()


@pytest.mark.parametrize(
    ("settings", "arguments", "commands"),
    [
        (
            TWO_AND_A_FRONT,
            ("upgrade", *INSTALL),
            [
                "a --check upgrade",
                "b --check upgrade",
                "a backend",
                "b backend",
                "f front-upgrade",
            ],
        ),
        (TWO_AND_A_FRONT, ("root@b", *INSTALL), ["b install"]),
        (TWO_AND_A_FRONT, ("root@f", *INSTALL), ["a backend", "b backend", "f front"]),
        (TWO_AND_A_FRONT, ("release", "release"), ["a --check release", "b --check release"]),
        (TWO_AND_A_FRONT, ("status",), ["a status", "b status", "f front-status"]),
        (
            f"SERVER=root@a\nFRONT=root@a\n{BALANCED}",
            INSTALL,
            ["a install", "a backend", "a front"],
        ),
    ],
)
def test_which_machines_a_command_visits(
    side: AdminSide, settings: str, arguments: tuple[str, ...], commands: list[str]
) -> None:
    """The front has no release, and is visited only if it is named, or nothing is."""
    side.settings(settings)
    side.run(*arguments)
    assert side.commands() == commands


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ("ONION_MODE=balance\nSERVER=root@a\n", INSTALL, "set both, or neither"),
        ("FRONT=root@f\nSERVER=root@a\n", INSTALL, "set both, or neither"),
        ("ONION_MODE=both\nSERVER=root@a\n", INSTALL, "is neither “balance” nor empty"),
        ("FRONT=root@f;rm\nSERVER=root@a\n", INSTALL, "FRONT: “root@f;rm” is not a server"),
        (
            TWO_AND_A_FRONT.replace("ONION_KEY=../onion.key\n", ""),
            INSTALL,
            "FRONT needs the onion’s key",
        ),
        (TWO_AND_A_FRONT, ("--local", *INSTALL), "must not come to a server"),
        (TWO_AND_A_FRONT, ("promote", "root@b", "--key", "onion.key"), "every server answers"),
    ],
)
def test_what_does_not_fit_onionbalance_is_rejected(
    side: AdminSide, settings: str, arguments: tuple[str, ...], message: str
) -> None:
    """A contradiction, or what would bring the key to a server, stops before anything is sent."""
    side.settings(settings)
    assert message in side.run(*arguments, status=1)
    assert side.commands() == []


def on_server(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script on a server that got the address of the onion, and belongs to this user."""
    start = f"""
    COMMAND={Path(sys.executable).parent}/cccr-web
    BACKEND=$FOLDER/backend INSTANCE=none FRONT_FOLDER=$FOLDER/front
    make_folder() {{ mkdir -p "$1"; }}
    put() {{ mark_changed "$1"; cat >"$1"; }}
    lock
    """
    return in_server(start + script, folder)


def test_a_server_gives_the_onions_key_up_and_keeps_the_address(tmp_path: Path) -> None:
    """It must be the same onion; the manager's unit, and the key, go."""
    key = new_key(tmp_path / "onion.key")
    script = 'mkdir -p "$ETC"; cp "$FOLDER/onion.key" "$ETC/onion.key"; '
    send = f'echo {key.address} >"$BUNDLE/settings/balanced"; '
    wrong = on_server(
        tmp_path, f'{script} echo {ONION} >"$BUNDLE/settings/balanced"; onion_key_install'
    )
    assert f"The server’s address is {key.address}." in wrong.stderr
    assert (tmp_path / "etc/onion.key").exists()
    done = on_server(
        tmp_path,
        f"{script}{send} onion_key_install; onion_address; backend_folder; backend_torrc\n"
        "site_units",
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "etc/onion.key").exists()
    lines = done.stdout.splitlines()
    assert lines[0] == key.address
    assert f"HiddenServiceDir {tmp_path}/backend" in lines
    assert "HiddenServiceOnionbalanceInstance 1" in lines
    assert "cccr-web-manager" not in lines
    assert (tmp_path / "backend/ob_config").read_text() == f"MasterOnionAddress {key.address}\n"
    # And back, with the same address.
    (tmp_path / "bundle/settings/balanced").unlink()
    back = on_server(
        tmp_path,
        'cp "$FOLDER/onion.key" "$BUNDLE/settings/onion.key"; onion_key_install; onion_address; '
        "backend_folder; site_units",
    )
    assert back.stdout.splitlines()[0] == key.address, back.stderr
    assert "cccr-web-manager" in back.stdout
    assert not (tmp_path / "backend").exists()
    assert not (tmp_path / "etc/balanced").exists()


def test_the_front_gets_tors_form_of_the_key(tmp_path: Path) -> None:
    """Onionbalance reads ``hs_ed25519_secret_key``; so do we, which compares the address."""
    key = new_key(tmp_path / "onion.key")
    for source in ("onion.key", "front.key"):
        done = on_server(
            tmp_path,
            f'key_for_tor "$FOLDER/{source}" >"$FOLDER/new.key"\n'
            'mv "$FOLDER/new.key" "$FOLDER/front.key"',
        )
        assert done.returncode == 0, done.stderr
        (tmp_path / "front.key").chmod(0o600)
        assert load_key(tmp_path / "front.key") == key


def test_a_front_of_its_own_is_checked_without_a_release(tmp_path: Path) -> None:
    """Its doctor needs neither release nor state; that of a server that is the front has both."""
    script = f"""
    mkdir "$FRONT_FOLDER" && touch "$FRONT_FOLDER/config.yaml"
    echo {ONION} >"$FRONT_FOLDER/onion"
    systemctl() {{ echo active; }}
    for COMMAND_NAME in front-status status; do
      doctor_options
      echo "${{DOCTOR_OPTIONS[*]}}"
    done
    """
    alone, both = on_server(tmp_path, script).stdout.splitlines()
    units = "--unit tor@none.service --unit cccr-web-front.service"
    for options in (alone, both):
        assert f"--onion-address {ONION} " in options
        assert f"--front --private {tmp_path}/front/onion.key " in options
    assert alone.endswith(units)
    assert "--release" not in alone
    assert both.startswith("--release ")
    assert f"--unit nginx.service {units} --unit cccr-web-" in both


@pytest.mark.parametrize(("front", "stays"), [("root@a", True), ("root@f", False), ("", False)])
def test_a_machine_that_is_no_longer_the_front_loses_the_key(
    tmp_path: Path, front: str, stays: bool
) -> None:
    """Whatever FRONT names instead, two machines must not have the key."""
    script = f"""
    mkdir "$FRONT_FOLDER" && touch "$FRONT_FOLDER"/{{config.yaml,onion.key}}
    UNITS=$FOLDER systemctl() {{ :; }}
    touch "$UNITS/cccr-web-front.service"
    echo root@a >"$BUNDLE/settings/server"
    FRONT={front}
    front_end
    """
    done = on_server(tmp_path, script.replace("UNITS=$FOLDER ", "UNITS=$FOLDER\n"))
    assert done.returncode == 0, done.stderr
    for name in ("front/onion.key", "cccr-web-front.service"):
        assert (tmp_path / name).exists() is stays


def test_a_front_has_no_releases_in_its_json(tmp_path: Path) -> None:
    """``status --json`` has the same fields for a front, empty where it has nothing."""
    doctor = tmp_path / "doctor"
    doctor.write_text('#!/bin/sh\necho "[]"\n')
    doctor.chmod(0o755)
    script = f"""
    COMMAND=$FOLDER/doctor COMMAND_NAME=front-status
    mkdir "$FRONT_FOLDER" && touch "$FRONT_FOLDER/config.yaml"
    echo {ONION} >"$FRONT_FOLDER/onion"
    systemctl() {{ echo active; }}
    JSON=yes front_status
    """
    found = json.loads(on_server(tmp_path, script).stdout)
    assert (found["release"], found["stored"], found["serves"]) == (None, [], {})
    assert found["onion"] == f"http://{ONION}/"
    assert [*found["units"]] == ["tor@none", "cccr-web-front"]


@pytest.mark.parametrize(
    ("others", "check", "status"), [(True, "yes", 4), (False, "yes", 0), (True, "no", 0)]
)
def test_a_server_that_leaves_onionbalance_is_visited_again(
    tmp_path: Path, others: bool, check: str, status: int
) -> None:
    """Its manager does not publish before the others no longer answer for the onion."""
    run = (TOP / "deploy/server/run.sh").read_text()
    summarize = re.findall(r"^summarize\(\) \{\n.*?^\}$", run, re.MULTILINE | re.DOTALL)[0]
    script = f"""
    status_check() {{ echo checked; }}
    {summarize}
    CHECK={check} COMMAND_NAME=install
    {"touch $ETC/peers" if others else ""}
    touch "$BALANCED" && remove "$BALANCED"
    summarize
    """
    done = on_server(tmp_path, script)
    assert done.returncode == status, done.stderr
    assert ("checked" in done.stdout) == (status == 0 and check == "yes")
    again = on_server(tmp_path, script.replace('touch "$BALANCED" && ', ""))
    assert again.returncode == 0


class Balanced:
    """Two booted servers and a front, with one onion."""

    def __init__(self, admin: AdminMachine, a: Machine, b: Machine, front: Machine) -> None:
        self.admin = admin
        self.a, self.b, self.front = a, b, front
        (admin.folder / "balanced.key").unlink(missing_ok=True)
        self.key = new_key(admin.folder / "balanced.key")
        self.settings = {
            "SERVER": "",
            "SERVERS": f"root@{SERVER} root@{OTHER}",
            "DOMAIN": "",
            "ONION_KEY": "../balanced.key",
            "NOTIFY": "json://127.0.0.1:9/",
        }

    def write_settings(self, **more: str) -> None:
        """Write ``site.env`` with release 1."""
        self.admin.write_settings(**self.settings, RELEASE=str(self.release(1)), **more)

    def faster(self, front: Machine) -> None:
        """Let Onionbalance on this machine have the intervals of a test network."""
        program = front.root / "usr/local/bin/onionbalance-in-tests"
        program.write_text(FASTER)
        program.chmod(0o755)
        command = "onionbalance-in-tests --is-testnet --config %d/config.yaml"
        control = "--socket /run/tor-instances/cccr/control"
        unit = front.root / "etc/systemd/system/cccr-web-front.service.d/test.conf"
        unit.parent.mkdir()
        unit.write_text(f"[Service]\nExecStart=\nExecStart={command} {control} --verbosity info\n")

    def release(self, number: int) -> Path:
        """Return the folder of a release that names the onion."""
        folder = self.admin.folder / f"balanced-{number}"
        known = facts(number, onions=(self.key.address,))
        release = with_archive(make_release(content(number), known))
        put_release(Signer(organisation_key()).sign(release), folder)
        return folder


@pytest.fixture
def balanced(server: Machine, debian: Path, admin: AdminMachine) -> Iterator[Balanced]:
    """Three fresh machines."""
    server.power_off()
    admin.key = organisation_key()
    with contextlib.ExitStack() as stack:
        a, b, front = (
            stack.enter_context(admin.another(debian, each)) for each in (SERVER, OTHER, THIRD)
        )
        # tor chooses its second hops once, for the onion in its torrc, among the relays that it
        # knows. Of five it must know all.
        torrc = admin.folder / "private.torrc"
        few = "PathsNeededToBuildCircuits 0.25"
        torrc.write_text(torrc.read_text().replace(few, "PathsNeededToBuildCircuits 0.95"))
        made = Balanced(admin, a, b, front)
        made.faster(front)
        yield made


@pytest.mark.slow
def test_every_server_answers_for_the_onion(
    balanced: Balanced, private_tor: TorNetwork, note: Recorder
) -> None:
    """Whatever fails, readers get the site from the others; the key is on the front only.

    Before, one server published the same onion.
    """
    admin, onion = balanced.admin, balanced.key.address
    url = f"http://{onion}{PAGE}"
    balanced.write_settings()
    admin.deploy("--offline", admin.bundle)
    assert private_tor.fetch_until(url).status == 200
    balanced.write_settings(ONION_MODE="balance", FRONT=f"root@{THIRD}")
    began = time.monotonic()
    done = admin.deploy("--offline", admin.bundle)
    note("moved to Onionbalance, until the front has published", time.monotonic() - began)
    assert re.findall(r"^== (.*)$", done.stderr, re.MULTILINE) == [
        f"root@{SERVER}",
        f"root@{OTHER}",
        f"root@{THIRD}, the front",
    ]
    assert "introduction points, without proof of work\n" in done.stderr
    private_tor.socks_port = private_tor.add_client("balanced")  # without the former descriptor
    assert private_tor.fetch_until(url).status == 200
    note("moved to Onionbalance, until a reader gets a page", time.monotonic() - began)
    only_the_front_has_the_key(balanced)
    wait_for_descriptor(balanced)
    assert watched(balanced, private_tor) == 0
    status = admin.deploy("status")
    assert status.stdout.count("no proof of work; two introduction points") == 2
    again = admin.deploy("--offline", admin.bundle).stderr
    assert again.count("Nothing needed to be changed.\n") == 3, again
    the_hourly_check_is_content(balanced.front)

    with Load(lambda: private_tor.fetch(url).status == 200) as load:
        admin.deploy("release", balanced.release(2))
    assert load.failures == []
    note(f"release on balanced servers: failed of {load.sent}", 0, "")

    with Readers(private_tor, onion, PAGE) as readers:
        readers.wait_for_all(0.0, 240)
        for name in ("a", "b", "front"):
            machine = getattr(balanced, name)
            measure(readers, f"without {name}", machine.kill, note)
            machine.boot()
            wait_for_descriptor(balanced)
            readers.wait_for_all(time.monotonic(), 240)
        measure(readers, "a cut off", lambda: balanced.a.signal_all(signal.SIGSTOP), note)
        balanced.a.signal_all(signal.SIGCONT)

    os.kill(balanced.front.main_process("tor@cccr.service"), signal.SIGKILL)
    wait_for_descriptor(balanced)


@pytest.mark.slow
def test_the_front_moves_and_the_onion_stays(
    balanced: Balanced, private_tor: TorNetwork, note: Recorder
) -> None:
    """From one of the servers to a machine of its own, and back to a server that publishes alone.

    Whoever was the front before has no key then.
    """
    admin = balanced.admin
    url = f"http://{balanced.key.address}{PAGE}"
    balanced.faster(balanced.b)
    balanced.write_settings(ONION_MODE="balance", FRONT=f"root@{OTHER}")
    began = time.monotonic()
    admin.deploy("--offline", admin.bundle)
    note("two fresh servers, one also the front, until it has published", time.monotonic() - began)
    assert private_tor.fetch_until(url).status == 200
    wait_for_descriptor(balanced)
    the_hourly_check_is_content(balanced.b)
    again = admin.deploy("--offline", admin.bundle).stderr
    assert again.count("Nothing needed to be changed.\n") == 3, again

    balanced.write_settings(ONION_MODE="balance", FRONT=f"root@{THIRD}")
    with Load(lambda: private_tor.fetch(url).status == 200, 1) as load:
        admin.deploy("--offline", admin.bundle)
    assert load.failures == []
    note(f"moved the front to another machine: failed of {load.sent}", 0, "")
    only_the_front_has_the_key(balanced)
    wait_for_descriptor(balanced)

    admin.deploy("uninstall", "--purge", f"root@{THIRD}")
    balanced.write_settings()
    admin.deploy("--offline", admin.bundle)
    for machine in (balanced.a, balanced.b):
        assert not (machine.root / "etc/cccr-web/balanced").exists()
    private_tor.socks_port = private_tor.add_client("standby")
    assert private_tor.fetch_until(url).status == 200
    assert "WRONG" not in admin.deploy("status").stdout


def measure(readers: Readers, what: str, happen: Callable[[], object], note: Recorder) -> None:
    """Note how soon all readers get a page after something happens, and the share of fetches."""
    began = time.monotonic()
    happen()
    last = readers.wait_for_all(began, 240)
    note(f"{what}: until 100 readers have got a page", last - began)
    note(f"{what}: share of fetches until then", readers.share(began, last), "")
    time.sleep(max(0.0, began + 60 - time.monotonic()))
    share = readers.share(began, time.monotonic())
    note(f"{what}: share of fetches in the first minute", share, "")


def only_the_front_has_the_key(balanced: Balanced) -> None:
    """Look for the onion's key in every file of the servers that could hold it."""
    secret = load_key(balanced.admin.folder / "balanced.key").blob.partition(":")[2]
    for machine, expected in ((balanced.a, False), (balanced.b, False), (balanced.front, True)):
        grep = machine.try_run("grep", "-rqF", secret, "/etc", "/var/lib", "/run", "/root")
        assert grep.returncode == 1
        assert (machine.root / "etc/cccr-web/front/onion.key").exists() is expected


def the_hourly_check_is_content(machine: Machine) -> None:
    """Run it as systemd does, and read its report."""
    assert machine.run("systemctl", "is-enabled", "cccr-doctor.timer") == "enabled\n"
    machine.run("systemctl", "start", "cccr-doctor.service")
    found = json.loads(machine.run("cat", "/run/cccr-doctor/doctor.json"))
    assert [each for each in found if each["verdict"] in {"wrong", "not checked"}] == []
    parts = {each["name"] for each in found if each["verdict"] == "ok"}
    assert {"tor", "descriptor", "services", "installed files", "ssh"} <= parts
    security = machine.run("systemd-analyze", "security", "--no-pager", "cccr-web-front.service")
    (exposure,) = re.findall(r"Overall exposure level .*: ([\d.]+)", security)
    assert float(exposure) <= 0.5


def watched(balanced: Balanced, private_tor: TorNetwork) -> int:
    """Compare every file over the balanced onion with its hash, as ``watch`` does."""
    command = [sys.executable, "-m", "cccr_web", "watch", f"http://{balanced.key.address}"]
    command += ["--socks", f"127.0.0.1:{private_tor.socks_port}"]
    command += ["--public-key", str(balanced.admin.folder / "organisation.pub")]
    return subprocess.run(command, check=False).returncode


def wait_for_descriptor(balanced: Balanced) -> None:
    """Wait until the front publishes the introduction points of both servers."""
    end_at = time.monotonic() + 300
    while True:
        status = balanced.admin.deploy("status", status=None).stdout
        points = "The HSDirs have it, with 4 introduction points." in status
        if points and "WRONG" not in status:
            return
        assert time.monotonic() < end_at, status
        time.sleep(20)
