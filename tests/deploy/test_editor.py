"""An editor publishes a text to a booted server with one command."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from support import TOP
from support.deploy.admin import DOMAIN, AdminMachine
from support.deploy.inspection import onion_address, serves_release
from support.deploy.machine import SERVER
from support.signed import organisation_key, organisation_key_file
from support.texts import add, replace_once, texts_with_key

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import AcmeAuthority
    from support.deploy.clients import ClearnetClient
    from support.deploy.machine import Machine, Network
    from support.tornet import TorNetwork

NUMBER = 99  # far from those of the other tests
WORDS = "Nobody has read this paragraph yet."
# The name of the domain leads to the server.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


def publish(folder: Path, network: Network, *options: str | Path) -> str:
    """Run ``publish`` on the admin's machine, and agree; return its lines."""
    code = (
        "from pathlib import Path; from cccr_web import config; "
        f"config.PACKAGE = Path({str(folder / 'cccr_web')!r}); "
        "from cccr_web.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "publish", *map(str, options)]
    unshared = ["unshare", "--mount", "sh", "-c", WITH_HOSTS, "sh", str(folder / "hosts")]
    done = subprocess.run(
        ["ip", "netns", "exec", network.admin, *unshared, *command],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": f"{TOP}:{TOP}/tests",
            "SSL_CERT_FILE": str(folder / "authority.pem"),
        },
        input="y\n",
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_text_is_published_and_rolled_back(
    admin: AdminMachine,
    server: Machine,
    network: Network,
    authority: AcmeAuthority,
    clearnet: ClearnetClient,
    private_tor: TorNetwork,
) -> None:
    """One command brings a text to readers on clearnet and onion; one brings the release before."""
    if not (server.root / "srv/cccr-web/current").is_symlink():
        admin.deploy("--offline", admin.bundle)
    folder = admin.folder
    tree = texts_with_key(folder, organisation_key().public)
    replace_once("site.toml", "sequence = 1\n", f"sequence = {NUMBER}\n")(tree)
    replace_once("site.toml", 'clearnet = ""', f'clearnet = "https://{DOMAIN}"')(tree)
    onion = onion_address(server)
    replace_once("site.toml", "onions = []", f'onions = ["{onion}"]')(tree)
    add("en/pages/verify.md", WORDS)(tree)
    add("zh_Hans/pages/verify.md", "还没有人读过这一段。")(tree)
    (folder / "templates").symlink_to(TOP / "templates")
    (folder / "organisation.key").write_bytes(organisation_key_file())
    (folder / "authority.pem").write_text(authority.root())
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{SERVER} {DOMAIN}\n")

    printed = publish(folder, network, "--key", "organisation.key", "--previous", admin.release(1))
    steps = [line.split()[0] for line in printed.splitlines() if line[0].islower()]
    assert steps == [
        *("check", "sequence", "build", "changes", "sign", "verify", "deploy", "addresses")
    ]
    assert f"addresses  1 of 2 serve release {NUMBER}\n" in printed
    assert "not asked, because it needs --socks" in printed
    assert serves_release(server, NUMBER)
    assert WORDS.encode() in clearnet.get("/en/verify.html").body
    assert WORDS.encode() in private_tor.fetch_until(f"http://{onion}/en/verify.html").body

    again = publish(folder, network)
    assert f"sequence   {NUMBER}: releases/{NUMBER} is made of these texts\n" in again
    assert serves_release(server, NUMBER)

    admin.deploy("rollback")
    assert serves_release(server, 1)
    assert WORDS.encode() not in clearnet.get("/en/verify.html").body
    # The releases of other tests have lower numbers.
    server.run("rm", "-r", f"/srv/cccr-web/releases/{NUMBER}", "/srv/cccr-web/rolled-back")
