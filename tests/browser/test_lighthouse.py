"""Lighthouse scores, in the Chromium of the other tests."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.browser.browsing import BrowsedSite, listed, need, node_module

if TYPE_CHECKING:
    from pathlib import Path

    from support.browser.devtools import Chromium

# Audits that cannot pass here:
SKIPPED = (
    # It requires absolute addresses. Pages do not contain their own, because the same bytes are
    # served at every address. test_markup.py checks the links between languages.
    "hreflang",
    # It fetches robots.txt from the page, whose policy allows no fetch.
    "robots-txt",
)

# A busy machine can only lower the performance score, or keep Lighthouse from measuring.
TRIES = 10

# Lighthouse takes every computer for a fast one and makes it four times slower. Once that was
# too much on a busy machine, it slows down only as far as a phone of the middle class, which
# reaches this benchmark index (calibration in Chromium's DevTools).
SLOWDOWN = 4.0
PHONE = 1000

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
FULL = dict.fromkeys(CATEGORIES, 1)


def pages(site: BrowsedSite) -> list[str]:
    """Return the home page and the newest statement of each language."""
    found = []
    for slug in site.release.metadata.languages:
        folder = f"{slug}/statements/"
        statements = [path for path in site.pages if path.startswith(f"{folder}2")]
        found += [f"{slug}/index.html", statements[-1]]
    return found


def ask(
    url: str, port: str, report: Path, slowdown: float
) -> tuple[dict[str, float], float, object]:
    """Return a page's scores in the Chromium at ``port``, its benchmark, and what lowered them."""
    options = [f"--port={port}", "--quiet", "--no-enable-error-reporting", "--output=json"]
    options += [f"--only-categories={','.join(CATEGORIES)}", f"--skip-audits={','.join(SKIPPED)}"]
    options += [f"--throttling.cpuSlowdownMultiplier={slowdown:.2f}"]
    tool = str(node_module("lighthouse/cli/index.js"))
    command = [need("node"), tool, url, *options, f"--output-path={report}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode:
        return {}, SLOWDOWN * PHONE, result.stderr
    found = json.loads(report.read_text(encoding="utf-8"))
    below = [one for one in found["audits"].values() if one["score"] not in {None, 1}]
    scores = {name: found["categories"][name]["score"] for name in CATEGORIES}
    why = [(one["id"], one.get("displayValue")) for one in below]
    return scores, found["environment"]["benchmarkIndex"], why


@pytest.mark.slow
def test_lighthouse_scores_are_100(chromium: Chromium, site: BrowsedSite, tmp_path: Path) -> None:
    """The home page and a statement score 100 in every category, in each language.

    The favicon does not count: Chromium requests it once, before the measurements.
    """
    port = chromium.port_file.read_text().splitlines()[0]
    with chromium.tab(shared=True) as tab:
        tab.visit(site.url(site.pages[0]), "networkIdle")
    wrong: dict[str, object] = {}
    slowdown = SLOWDOWN
    for path in pages(site):
        for _ in range(TRIES):
            scores, speed, why = ask(site.url(path), port, tmp_path / "report.json", slowdown)
            wrong[path] = (scores, speed, slowdown, why)
            if scores == FULL:
                del wrong[path]
                break
            slowdown = min(max(speed / PHONE, 1.0), SLOWDOWN)
    assert wrong == {}, listed(wrong)
