"""Lighthouse's marks, in the Chromium of the other tests."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.browser.browsing import Site, listed, need, node_module

if TYPE_CHECKING:
    from pathlib import Path

    from support.browser.devtools import Chromium

# Audits that cannot succeed here:
SKIPPED = (
    # It wants whole addresses, and no page holds its own: the same bytes are the clearnet's,
    # the onion's and a friend's copy. test_markup.py sees to the twins.
    "hreflang",
    # It fetches robots.txt by the page's own policy, which lets a page fetch nothing.
    "robots-txt",
)

# A busy machine can only lower the mark for speed, or keep Lighthouse from measuring.
TRIES = 3

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
FULL = dict.fromkeys(CATEGORIES, 1)


def pages(site: Site) -> list[str]:
    """Return the home page and the newest statement of each language."""
    found = []
    for slug in site.release.metadata.languages:
        folder = f"{slug}/statements/"
        statements = [path for path in site.pages if path.startswith(f"{folder}2")]
        found += [f"{slug}/index.html", statements[-1]]
    return found


def ask(url: str, port: str, report: Path) -> tuple[dict[str, float], object]:
    """Return the marks that a page gets in the Chromium at ``port``, and what lowered them."""
    options = [f"--port={port}", "--quiet", "--no-enable-error-reporting", "--output=json"]
    options += [f"--only-categories={','.join(CATEGORIES)}", f"--skip-audits={','.join(SKIPPED)}"]
    tool = str(node_module("lighthouse/cli/index.js"))
    command = [need("node"), tool, url, *options, f"--output-path={report}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode:
        return {}, result.stderr
    found = json.loads(report.read_text(encoding="utf-8"))
    below = [one for one in found["audits"].values() if one["score"] not in {None, 1}]
    marks = {name: found["categories"][name]["score"] for name in CATEGORIES}
    return marks, [(one["id"], one.get("displayValue")) for one in below]


@pytest.mark.slow
def test_lighthouse(chromium: Chromium, site: Site, tmp_path: Path) -> None:
    """Home and a statement get 100 of 100 in every category, in each language.

    The favicon is apart: Chromium asks for it once, before.
    """
    port = chromium.port_file.read_text().splitlines()[0]
    with chromium.tab(shared=True) as tab:
        tab.visit(site.url(site.pages[0]), "networkIdle")
    wrong: dict[str, object] = {}
    for path in pages(site):
        for _ in range(TRIES):
            marks, why = ask(site.url(path), port, tmp_path / "report.json")
            wrong[path] = (marks, why)
            if marks == FULL:
                del wrong[path]
                break
    assert wrong == {}, listed(wrong)
