"""What an independent scanner reports about the site."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.deploy.admin import DOMAIN

if TYPE_CHECKING:
    from pathlib import Path

    from support.deploy.acme import AcmeAuthority
    from support.deploy.machine import Machine

# Caused by the test authority, whose certificates are valid for five years and name no CRL.
NOT_OURS = {"cert_validityPeriod", "cert_revocation"}


@pytest.mark.slow
def test_testssl_finds_no_problem(
    server: Machine, authority: AcmeAuthority, tmp_path: Path
) -> None:
    """testssl.sh reports nothing more severe than “low”."""
    assert server.pid
    root, found = tmp_path / "root.pem", tmp_path / "found.json"
    root.write_text(authority.root())
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1"]
    command += ["--add-ca", str(root), "--jsonfile", str(found), "-p", "-s", "-f", "-P", "-S", "-U"]
    subprocess.run(
        [*command, DOMAIN],
        check=False,  # the status is its number of findings
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
