"""Maintaining and moving a server: status, upgrade, backup, uninstall, restore."""

from __future__ import annotations

import hashlib
import shutil
import socket
import time
import zipfile
from typing import TYPE_CHECKING

import pytest
from support import TOP
from support.deploy.admin import DOMAIN, NEXT_KEY, AdminMachine
from support.deploy.clients import ClearnetClient, Load, get_over_socket
from support.deploy.inspection import onion_address, serves_release, wait_for_published
from support.deploy.machine import Machine, Network, call

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import AcmeAuthority
    from support.measurements import Recorder
    from support.tornet import TorNetwork

PAGE = "/en/index.html"


def test_an_install_moves_the_socket_of_an_older_version(
    admin: AdminMachine, server: Machine
) -> None:
    """An installation whose nginx listens for tor in ``/run/cccr-front`` is changed, and works."""
    named = server.run("grep", "-rlF", "/run/cccr-nginx", "/etc").split()
    assert len(named) == 5
    server.run("sed", "-i", "s,/run/cccr-nginx,/run/cccr-front,", *named)
    units = ["nginx.service", "cccr-web-manager.service"]
    server.run("systemctl", "stop", *units)
    server.run("mv", "/run/cccr-nginx", "/run/cccr-front")
    server.run("systemctl", "daemon-reload")
    server.run("systemctl", "start", *units)
    old = server.onion_socket.parent.with_name("cccr-front")
    assert (old / "onion.sock").is_socket()
    admin.deploy("--offline", admin.bundle)
    assert not old.exists()
    assert get_over_socket(server.onion_socket, PAGE, onion_address(server)).status == 200
    wait_for_published(server)


@pytest.fixture
def sign_with_next_key(admin: AdminMachine) -> None:
    """Let the settings name another key, and release 3, which is signed with it."""
    admin.key = NEXT_KEY
    admin.write_settings(RELEASE=str(admin.release(3)))


def test_status_shows_the_services_and_the_doctors_result(
    admin: AdminMachine, server: Machine
) -> None:
    """Status lists the services and addresses, and exits 1 if the doctor finds a problem."""
    done = admin.deploy("status")
    output = done.stdout
    assert f"https://{DOMAIN}/" in output
    assert f"http://{onion_address(server)}/" in output
    assert output.count("active since") == 5
    assert "Serving release 2 of " in output
    assert "WRONG" not in output
    server.run("chmod", "444", "/etc/cccr-web/onion.key")
    wrong = [
        line for line in admin.deploy("status", status=1).stdout.splitlines() if "WRONG" in line
    ]
    assert [line.split()[1] for line in wrong] == ["permissions"], wrong
    server.run("chmod", "400", "/etc/cccr-web/onion.key")


def test_upgrade_from_a_checkout_on_the_server_drops_no_request(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient, tmp_path: Path
) -> None:
    """--local builds our code from a checkout on the server and switches to it."""
    source = server.root / "src"
    names = [
        "deploy",
        "cccr_web",
        "templates",
        "translations",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    ]
    source.mkdir()
    call("cp", "-r", *[TOP / name for name in names], source)
    # The server has its settings already. The package index is a folder of wheels.
    wheels = source / "wheels"
    wheels.mkdir()
    call("tar", "--extract", "--file", admin.bundle, "--directory", tmp_path)
    for wheel in (tmp_path / "wheels").glob("*.whl"):
        if not wheel.name.startswith(("cccr_web", "stem")):
            shutil.copy(wheel, wheels)
    shutil.copytree(admin.tools, wheels, dirs_exist_ok=True)
    before = server.run("readlink", "/opt/cccr-web/current")
    init = source / "cccr_web/__init__.py"
    init.write_text(init.read_text() + "\n# a change\n")
    settings = ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/src/wheels"]
    with Load(lambda: clearnet.get(PAGE + "?x").status == 200) as load:
        done = server.try_run("env", *settings, "/src/deploy/deploy.sh", "--local", "upgrade")
    assert done.returncode == 0, done.stderr
    assert load.failures == []
    assert server.run("readlink", "/opt/cccr-web/current") != before


def test_an_upgrade_to_code_that_does_not_start_is_undone(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient, tmp_path: Path
) -> None:
    """If the new code does not start, the old code is restored and no request is dropped."""
    good = server.run("readlink", "/opt/cccr-web/current")
    bundle = broken_bundle(admin.bundle, tmp_path)
    with Load(lambda: clearnet.get(PAGE + "?x").status == 200) as load:
        done = admin.deploy("--offline", bundle, "upgrade", status=1)
    assert "The site is unchanged." in done.stderr
    assert load.failures == []
    assert server.run("readlink", "/opt/cccr-web/current") == good
    assert clearnet.get(PAGE + "?x").status == 200


def broken_bundle(bundle: Path, folder: Path) -> Path:
    """Return a copy of a bundle in which ``cccr-web serve`` does nothing."""
    call("tar", "--extract", "--file", bundle, "--directory", folder)
    (wheel,) = (folder / "wheels").glob("cccr_web-*.whl")
    before = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    files["cccr_web/cli/serve.py"] += b"\nserve.callback = None\n"
    with zipfile.ZipFile(wheel, "w") as packed:
        for name, body in files.items():
            packed.writestr(name, body)
    requirements = folder / "requirements.txt"
    text = requirements.read_text()
    assert text.count(before) == 1
    requirements.write_text(text.replace(before, hashlib.sha256(wheel.read_bytes()).hexdigest()))
    broken = folder / "broken.tar"
    call("tar", "--create", "--file", broken, "--directory", folder, "requirements.txt", "wheels")
    return broken


def test_a_new_key_that_did_not_sign_the_release_is_rejected(
    admin: AdminMachine, server: Machine
) -> None:
    """Settings with another public key and no release signed with it change nothing."""
    key = server.root / "etc/cccr-web/public.key"
    before = key.read_bytes()
    admin.write_settings(PUBLIC_KEY="../next.pub", RELEASE="")
    done = admin.deploy("--offline", admin.bundle, status=1)
    assert "release 2 is not signed with the new key" in done.stderr
    assert "The site is unchanged." in done.stderr
    assert key.read_bytes() == before
    assert serves_release(server, 2)


@pytest.mark.usefixtures("sign_with_next_key")
def test_a_failed_change_of_the_signing_key_is_undone(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient
) -> None:
    """If a server does not start with the new key, all servers serve the old release again."""
    key = server.root / "etc/cccr-web/public.key"
    before = key.read_bytes()
    # The onion's server, which is restarted last, believes that it has served release 9.
    guard = server.root / "var/lib/private/cccr-web-onion/highest-sequence"
    highest = guard.read_text()
    guard.write_text(f"9 {'0' * 64}\n")
    try:
        with (
            Load(lambda: clearnet.get(PAGE).status == 200, 1) as cached,
            Load(lambda: clearnet.get(PAGE + "?x").status == 200, 1) as direct,
        ):
            done = admin.deploy("--offline", admin.bundle, status=1)
    finally:
        guard.write_text(highest)
    assert "cccr-web-onion.service failed to restart." in done.stderr
    assert "The site is unchanged." in done.stderr
    assert [cached.failures, direct.failures] == [[], []]
    assert key.read_bytes() == before
    assert serves_release(server, 2)
    assert b"release 2" in clearnet.get(PAGE + "?x").body


@pytest.mark.usefixtures("sign_with_next_key")
def test_a_change_of_the_signing_key_drops_no_request(
    admin: AdminMachine, server: Machine, clearnet: ClearnetClient
) -> None:
    """An install switches to a new key and a release signed with it, while readers get answers."""
    onion = onion_address(server)
    dry = admin.deploy("--dry-run", "--offline", admin.bundle)
    assert f"+{NEXT_KEY.public}\n" in dry.stderr
    with (
        Load(lambda: clearnet.get(PAGE).status == 200, 1) as cached,
        Load(lambda: clearnet.get(PAGE + "?x").status == 200, 1) as direct,
        Load(
            lambda: get_over_socket(server.onion_socket, PAGE + "?x", onion).status == 200,
            1,
        ) as hidden,
    ):
        done = admin.deploy("--offline", admin.bundle)
    assert [cached.failures, direct.failures, hidden.failures] == [[], [], []]
    for name in ("clearnet", "onion"):
        assert done.stderr.count(f"restart cccr-web-{name}.service\n") == 1
    assert serves_release(server, 3)
    assert b"release 3" in clearnet.get(PAGE).body
    assert b"release 3" in get_over_socket(server.onion_socket, PAGE, onion).body
    again = admin.deploy("--offline", admin.bundle).stderr
    assert again.endswith("Nothing needed to be changed.\n"), again


def test_what_uninstall_leaves_restores_the_site_on_another_server(
    admin: AdminMachine,
    server: Machine,
    debian: Path,
    network: Network,
    authority: AcmeAuthority,
    private_tor: TorNetwork,
    note: Recorder,
) -> None:
    """``uninstall`` leaves a backup, which brings onion and release to a fresh server."""
    onion = onion_address(server)
    passphrase = ("--passphrase-file", admin.folder / "passphrase")
    backup = admin.folder / "daily.backup"
    admin.deploy("backup", backup, *passphrase)
    done = admin.deploy("uninstall", *passphrase)
    assert "Not removed: " in done.stderr
    left = server.run(
        "sh", "-c", "find /etc /opt /srv /var/lib /run -name '*cccr*' ! -path '/srv/apt*'"
    )
    assert [line for line in left.split() if "letsencrypt" not in line] == []
    (kept,) = (server.root / "root").glob("cccr-web-kept-*")
    assert kept.stat().st_mode & 0o777 == 0o600
    for encrypted in (kept, backup):
        # OpenPGP: a session key encrypted with a passphrase.
        assert encrypted.read_bytes()[0] == 0x8C
    file = admin.folder / "site.backup"
    shutil.copy(kept, file)
    assert server.try_run("nft", "list", "table", "inet", "cccr_web").returncode != 0
    server.power_off()

    admin.write_settings(RELEASE="", TORRC="")
    with Machine(debian, network) as other:
        admin.authorize(other)
        authority.install_root_on(other)
        began = time.monotonic()
        wrong = admin.deploy("restore", file, "--passphrase-file", admin.folder / "id", status=1)
        assert "cannot be decrypted" in wrong.stderr
        admin.deploy("restore", file, *passphrase, "--offline", admin.bundle)
        assert onion_address(other) == onion
        # The network's client would try the lost server's introduction points for up to a minute. A
        # new one has nothing to forget, if the new descriptor is there when it first asks.
        private_tor.socks_port = private_tor.add_client("restored")
        wait_for_published(other)
        reply = private_tor.fetch_until(f"http://{onion}{PAGE}", 60)
        note("another fresh server restored, until its onion answers", time.monotonic() - began)
        assert b"release 3" in reply.body
        assert serves_release(other, 3)
        rejected = admin.deploy("release", admin.release(1), status=1)
        assert "older than release 3, which was served before" in rejected.stderr
        assert b"release 3" in ClearnetClient(authority.root()).get(PAGE).body

        # Without a domain only the onion remains.
        admin.write_settings(RELEASE="", TORRC="", DOMAIN="")
        refused = admin.deploy("--offline", admin.bundle, status=1)
        assert f"https://{DOMAIN}/ would stop answering" in refused.stderr
        done = admin.deploy("--offline", admin.bundle, "--drop-domain")
        assert done.stdout == f"onion http://{onion}/\n"
        assert (
            other.try_run("systemctl", "is-active", "cccr-web-clearnet.socket").stdout
            == "inactive\n"
        )
        for port in (80, 443):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
        assert b"release 3" in private_tor.fetch(f"http://{onion}{PAGE}").body
        again = admin.deploy("--offline", admin.bundle).stderr
        assert again.endswith("Nothing needed to be changed.\n"), again
