"""Lighthouse scores, in the Chromium of the other tests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from support.browser.browsing import BrowsedSite, listed, need, node_module

if TYPE_CHECKING:
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


def pages(site: BrowsedSite) -> list[str]:
    """Return the home page and the newest statement of each language."""
    found = []
    for slug in site.release.metadata.languages:
        folder = f"{slug}/statements/"
        statements = [path for path in site.pages if path.startswith(f"{folder}2")]
        found += [f"{slug}/index.html", statements[-1]]
    return found


class Lighthouse:
    """Lighthouse in one process of node, in the Chromium at ``port``."""

    def __init__(self, port: str) -> None:
        script = str(Path(__file__).with_name("lighthouse.mjs"))
        flags = {
            "skipAudits": SKIPPED,
            "disableFullPageScreenshot": True,  # no audit needs it
            "logLevel": "error",
        }
        self._command = [need("node"), script, node_module("lighthouse/core/index.js").as_uri()]
        self._command += [port, json.dumps(flags)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def ask(
        self, url: str, categories: list[str], slowdown: float
    ) -> tuple[dict[str, float], float, object]:
        """Return a page's scores, the benchmark of this machine, and what lowered the scores."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        question = {"url": url, "categories": categories, "slowdown": slowdown}
        print(json.dumps(question), file=self._process.stdin, flush=True)
        found = json.loads(self._process.stdout.readline())
        if "error" in found:
            return {}, SLOWDOWN * PHONE, found["error"]
        below = [one for one in found["audits"].values() if one["score"] not in {None, 1}]
        scores = {name: found["categories"][name]["score"] for name in categories}
        why = [(one["id"], one.get("displayValue")) for one in below]
        return scores, found["environment"]["benchmarkIndex"], why


@pytest.mark.slow
def test_lighthouse_scores_are_100(chromium: Chromium, site: BrowsedSite) -> None:
    """The home page and a statement score 100 in every category, in each language.

    The favicon does not count: Chromium requests it once, before the measurements.
    """
    port = chromium.port_file.read_text().splitlines()[0]
    with chromium.tab(shared=True) as tab:
        tab.visit(site.url(site.pages[0]), "networkIdle")
    wrong: dict[str, object] = {}
    slowdown = SLOWDOWN
    with Lighthouse(port) as lighthouse:
        for path in pages(site):
            left = list(CATEGORIES)
            for _ in range(TRIES):
                scores, speed, why = lighthouse.ask(site.url(path), left, slowdown)
                left = [name for name in left if scores.get(name) != 1]
                if not left:
                    wrong.pop(path, None)
                    break
                wrong[path] = (scores, speed, slowdown, why)
                slowdown = min(max(speed / PHONE, 1.0), SLOWDOWN)
    assert wrong == {}, listed(wrong)
