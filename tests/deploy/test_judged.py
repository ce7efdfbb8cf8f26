"""What a scanner that others use says of the site."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.deploy.desk import DOMAIN

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import Authority
    from support.deploy.machine import Machine

# Of the tests' authority, whose certificates last five years and name no list of the revoked.
NOT_OURS = {"cert_validityPeriod", "cert_revocation"}


@pytest.mark.slow
def test_tls(server: Machine, authority: Authority, tmp_path: Path) -> None:
    """testssl.sh finds nothing above “low”."""
    assert server.pid
    root, found = tmp_path / "root.pem", tmp_path / "found.json"
    root.write_text(authority.root())
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1"]
    command += ["--add-ca", str(root), "--jsonfile", str(found), "-p", "-s", "-f", "-P", "-S", "-U"]
    subprocess.run(
        [*command, DOMAIN],
        check=False,  # it counts its findings there
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=400,
    )
    findings = json.loads(found.read_text())
    assert len(findings) > 50
    bad = [
        f"{each['severity']} {each['id']}: {each['finding']}"
        for each in findings
        if each["severity"] in {"MEDIUM", "HIGH", "CRITICAL"} and each["id"] not in NOT_OURS
    ]
    assert bad == []
