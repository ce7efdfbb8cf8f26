"""MDN's HTTP Observatory, the whole scanner, against nginx with the deployed configuration."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.browser.browsing import listed, need, node_module, published_release
from support.deployed_nginx import DeployedNginx, written
from support.hosting import short_folder
from support.serving import DOMAIN, ServerProcess
from support.signed import organisation_key, put_release

from cccr_web.release import Signer

# What the scanner requires (``engines`` in its package.json).
NODE = 20


def node_version() -> int:
    """Return the main version of node."""
    shown = subprocess.run([need("node"), "--version"], check=True, capture_output=True, text=True)
    return int(shown.stdout.lstrip("v").partition(".")[0])


@pytest.mark.slow
def test_the_observatory_gives_the_most_that_a_site_without_cookies_can_get() -> None:
    """The grade is A+ and every test passes; nothing but cookies, scripts and preload is missing.

    The scanner takes 100 points for a start. It adds 5 to 10 for each header that goes beyond
    what it requires, and for cookies and scripts that are safe, of which we have none.
    """
    if node_version() < NODE:
        pytest.skip(f"the HTTP Observatory needs node {NODE}")
    scanner = node_module("@mdn/mdn-http-observatory/src/scanner/index.js").as_uri()
    script = str(Path(__file__).with_name("observatory.mjs"))
    with short_folder() as folder:
        release = Signer(organisation_key()).sign(published_release(folder))
        put_release(release, folder / "current")
        nginx = DeployedNginx(folder)
        with ServerProcess(folder, folder / "current") as server:
            sock = f"unix:{folder}/clearnet.sock"
            nginx.write(written(release), (sock, "{}:{}".format(*server.clearnet)))
            with nginx.running():
                done = subprocess.run(
                    [need("node"), script, scanner, DOMAIN, str(nginx.http), str(nginx.https)],
                    env=os.environ | {"NODE_EXTRA_CA_CERTS": str(nginx.authority)},
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    tests = {name: (one["scoreModifier"], one["result"]) for name, one in report["tests"].items()}
    scan = report["scan"]
    assert (scan["grade"], scan["score"], scan["testsFailed"]) == ("A+", 130, 0), listed(tests)
