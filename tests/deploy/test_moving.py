"""Looking after a server, and leaving it: status, backup, upgrade, uninstall, another server."""

from __future__ import annotations

import shutil
import socket
import time
from typing import TYPE_CHECKING

import pytest
from support.deploy.desk import DOMAIN, Desk
from support.deploy.looks import Note, onion_of, serves
from support.deploy.machine import TOP, Machine, Network, call
from support.deploy.readers import Clearnet, Crowd

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import Authority
    from support.tornet import TorNetwork

PAGE = "/en/index.html"


def test_status(desk: Desk, server: Machine) -> None:
    """It says in short how everything stands, and the doctor finds nothing wrong."""
    done = desk.deploy("status")
    said = done.output
    assert f"https://{DOMAIN}/" in said
    assert f"http://{onion_of(server)}/" in said
    assert said.count("active since") == 5
    assert "Serving release 2 of " in said
    assert "WRONG" not in said
    server.run("chmod", "444", "/etc/cccr-web/onion.key")
    wrong = [
        line for line in desk.deploy("status", status=1).output.splitlines() if "WRONG" in line
    ]
    assert [line.split()[1] for line in wrong] == ["permissions"], wrong
    server.run("chmod", "400", "/etc/cccr-web/onion.key")


def test_upgrade_on_the_server_itself(
    desk: Desk, server: Machine, clearnet: Clearnet, tmp_path: Path
) -> None:
    """A checkout on the server builds our code itself, with what pip finds; nobody is dropped."""
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
    # The settings are those that the server keeps; the index is a folder of wheels.
    wheels = source / "wheels"
    wheels.mkdir()
    call("tar", "--extract", "--file", desk.bundle, "--directory", tmp_path)
    for wheel in (tmp_path / "wheels").glob("*.whl"):
        if not wheel.name.startswith(("cccr_web", "stem")):
            shutil.copy(wheel, wheels)
    shutil.copytree(desk.tools, wheels, dirs_exist_ok=True)
    before = server.run("readlink", "/opt/cccr-web/current")
    init = source / "cccr_web/__init__.py"
    init.write_text(init.read_text() + "\n# a change\n")
    settings = ["PIP_NO_INDEX=1", "PIP_FIND_LINKS=/src/wheels"]
    with Crowd(lambda: clearnet.get(PAGE + "?x").status == 200) as readers:
        done = server.ask("env", *settings, "/src/deploy/deploy.sh", "--local", "upgrade")
    assert done.returncode == 0, done.stderr
    assert readers.failures == []
    good = server.run("readlink", "/opt/cccr-web/current")
    assert good != before

    # Code that does not start is taken back, and nobody notices.
    command = source / "cccr_web/cli/serve.py"
    command.write_text(command.read_text() + "\nserve.callback = None\n")
    with Crowd(lambda: clearnet.get(PAGE + "?x").status == 200) as readers:
        done = server.ask("env", *settings, "/src/deploy/deploy.sh", "--local", "upgrade")
    assert done.returncode == 1
    assert "The site is as it was before." in done.stderr
    assert readers.failures == []
    assert server.run("readlink", "/opt/cccr-web/current") == good
    assert clearnet.get(PAGE + "?x").status == 200


def test_backup_and_uninstall_and_restore(
    desk: Desk,
    server: Machine,
    fresh: Path,
    network: Network,
    authority: Authority,
    private_tor: TorNetwork,
    note: Note,
) -> None:
    """A backup brings the same onion to another fresh server, with release and memory."""
    onion = onion_of(server)
    file = desk.folder / "site.backup"
    passphrase = ("--passphrase-file", desk.folder / "passphrase")
    desk.deploy("backup", file, *passphrase)
    assert onion.encode() not in file.read_bytes()
    assert file.read_bytes()[0] == 0x8C  # a packet of OpenPGP: a session key by a passphrase

    done = desk.deploy("uninstall")
    assert "What stays: " in done.words
    left = server.run(
        "sh", "-c", "find /etc /opt /srv /var/lib /run -name '*cccr*' ! -path '/srv/apt*'"
    )
    assert [line for line in left.split() if "letsencrypt" not in line] == []
    kept = list((server.root / "root").glob("cccr-web-kept-*.tar"))
    assert len(kept) == 1
    assert kept[0].stat().st_mode & 0o777 == 0o600
    assert server.ask("nft", "list", "table", "inet", "cccr_web").returncode != 0
    server.power_off()

    desk.write_settings(RELEASE="", TORRC="")
    with Machine(fresh, network) as other:
        desk.let_in(other)
        authority.be_trusted_by(other)
        began = time.monotonic()
        wrong = desk.deploy("restore", file, "--passphrase-file", desk.folder / "id", status=1)
        assert "cannot be decrypted" in wrong.words
        desk.deploy("restore", file, *passphrase, "--offline", desk.bundle)
        assert onion_of(other) == onion
        reply = private_tor.fetch_until(f"http://{onion}{PAGE}", 60)
        note("another fresh server restored, until its onion answers", time.monotonic() - began)
        assert b"release 2" in reply.body
        assert serves(other, 2)
        refused = desk.deploy("release", desk.release(1), status=1)
        assert "older than release 2, which was served before" in refused.words
        assert b"release 2" in Clearnet(authority.root()).get(PAGE).body

        # Without a domain there is the onion only.
        desk.write_settings(RELEASE="", TORRC="", DOMAIN="")
        done = desk.deploy("--offline", desk.bundle)
        assert done.output == f"onion http://{onion}/\n"
        assert (
            other.ask("systemctl", "is-active", "cccr-web-clearnet.socket").stdout == "inactive\n"
        )
        for port in (80, 443):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
        assert b"release 2" in private_tor.fetch(f"http://{onion}{PAGE}").body
        again = desk.deploy("--offline", desk.bundle).words
        assert again.endswith("Nothing had to be changed.\n"), again
