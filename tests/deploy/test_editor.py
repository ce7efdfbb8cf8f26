"""An editor publishes a statement to a booted server with one command.

``tests/browser/test_journey.py`` writes the same statement in a preview, and reads it in Chromium.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from support.deploy.admin import DOMAIN, AdminMachine
from support.deploy.inspection import onion_address, serves_release
from support.deploy.machine import SERVER
from support.journey import PAGE, WORDS, Journey
from support.texts import replace_once

if TYPE_CHECKING:
    from support.deploy.acme import AcmeAuthority
    from support.deploy.clients import ClearnetClient
    from support.deploy.machine import Machine, Network
    from support.tornet import TorNetwork

NUMBER = 99  # far from those of the other tests
# The name of the domain leads to the server.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


def publish(editor: Journey, network: Network, *options: str) -> str:
    """Run ``publish`` on the admin's machine, and agree; return its lines."""
    unshared = ["unshare", "--mount", "sh", "-c", WITH_HOSTS, "sh", str(editor.folder / "hosts")]
    return editor.run(
        "publish",
        *options,
        typed="y\n",
        prefix=["ip", "netns", "exec", network.admin, *unshared],
        settings={
            "PATH": f"{editor.folder}/bin:{os.environ['PATH']}",
            "SSL_CERT_FILE": str(editor.folder / "authority.pem"),
        },
    )


def test_a_statement_is_published_and_rolled_back(
    admin: AdminMachine,
    server: Machine,
    network: Network,
    authority: AcmeAuthority,
    clearnet: ClearnetClient,
    private_tor: TorNetwork,
) -> None:
    """One command brings it to readers on clearnet and onion; one brings the release before."""
    if not (server.root / "srv/cccr-web/current").is_symlink():
        admin.deploy("--offline", admin.bundle)
    folder = admin.folder
    editor = Journey(folder)
    editor.create()
    editor.add_photo()
    editor.write()
    editor.correct()
    replace_once("site.toml", "sequence = 1\n", f"sequence = {NUMBER}\n")(editor.tree)
    replace_once("site.toml", 'clearnet = ""', f'clearnet = "https://{DOMAIN}"')(editor.tree)
    onion = onion_address(server)
    replace_once("site.toml", "onions = []", f'onions = ["{onion}"]')(editor.tree)
    (folder / "authority.pem").write_text(authority.root())
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{SERVER} {DOMAIN}\n")
    page, words = f"/en/{PAGE}", WORDS["en"].encode()

    previous = ("--previous", str(admin.release(1)))
    printed = publish(editor, network, "--key", "organisation.key", *previous)
    steps = [line.split()[0] for line in printed.splitlines() if line[0].islower()]
    assert steps == [
        *("check", "sequence", "build", "changes", "sign", "verify", "deploy", "addresses")
    ]
    assert f"addresses  1 of 2 serve release {NUMBER}\n" in printed
    assert "not asked, because it needs --socks" in printed
    assert serves_release(server, NUMBER)
    assert words in clearnet.get(page).body
    assert words in private_tor.fetch_until(f"http://{onion}{page}").body

    again = publish(editor, network)
    assert f"sequence   {NUMBER}: releases/{NUMBER} is made of these texts\n" in again
    assert serves_release(server, NUMBER)

    admin.deploy("rollback")
    assert serves_release(server, 1)
    assert clearnet.get(page).status == 404
    # The releases of other tests have lower numbers.
    server.run("rm", "-r", f"/srv/cccr-web/releases/{NUMBER}", "/srv/cccr-web/rolled-back")
