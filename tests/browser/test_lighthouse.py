"""Lighthouse's marks, in the Chromium of the other tests."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from browsing import Site, listed, need, node_module

if TYPE_CHECKING:
    from pathlib import Path

    from devtools import Chromium

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")


def pages(site: Site) -> list[str]:
    """Return the home page and the newest statement of each language."""
    found = []
    for slug in site.release.metadata.languages:
        folder = f"{slug}/statements/"
        statements = [path for path in site.pages if path.startswith(f"{folder}2")]
        found += [f"{slug}/index.html", statements[-1]]
    return found


@pytest.mark.slow
def test_lighthouse(chromium: Chromium, site: Site, tmp_path: Path) -> None:
    """Home and a statement get 100 of 100 in every category, in each language."""
    port = chromium.port_file.read_text().splitlines()[0]
    tool = node_module("lighthouse/cli/index.js")
    wrong = {}
    for path in pages(site):
        report = tmp_path / "report.json"
        options = [f"--port={port}", "--quiet", "--no-enable-error-reporting", "--output=json"]
        options += [f"--output-path={report}", f"--only-categories={','.join(CATEGORIES)}"]
        command = [need("node"), str(tool), site.url(path), *options]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, result.stderr
        found = json.loads(report.read_text(encoding="utf-8"))
        marks = {name: found["categories"][name]["score"] for name in CATEGORIES}
        if marks != dict.fromkeys(CATEGORIES, 1):
            audits = found["audits"].values()
            below = [audit for audit in audits if (audit["score"] or 1) < 1 or audit["score"] == 0]
            wrong[path] = (marks, [(one["id"], one.get("displayValue")) for one in below])
    assert wrong == {}, listed(wrong)
