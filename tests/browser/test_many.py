"""The lists of a site with many statements, in Chromium and the Nu checker."""

from __future__ import annotations

import json
import subprocess
from datetime import date
from typing import TYPE_CHECKING

import pytest
from support.browser.browsing import SCHEMES, listed, need, node_module
from support.hosting import short_folder
from support.many import app_of, many, real_texts, with_statements
from support.serving import ADDRESSES
from test_accessibility import RUN_AXE

from cccr_web.languages import LANGUAGES
from cccr_web.render.lists import list_pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.browser.devtools import Chromium


@pytest.fixture(scope="module")
def lists() -> Iterator[list[Path]]:
    """The list of 400 statements over eight years, a month of two pages, and another month."""
    days = many(400, date(2019, 1, 1), date(2026, 9, 30)) + [date(2026, 10, 1)] * 25
    content = with_statements(real_texts(ADDRESSES), days)
    client = app_of(content).test_client()
    files = []
    with short_folder() as folder:
        for language in LANGUAGES:
            others = [page.text.url for page in list_pages(content, language)[:3]]
            for url in (content.archive(language).url, *others):
                file = folder / url
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(client.get(f"/{url}").get_data())
                files.append(file)
        yield files


def test_axe_finds_nothing_on_a_list(chromium: Chromium, lists: list[Path]) -> None:
    """Axe reports nothing, light or dark, and no page is wider than a small phone."""
    axe = node_module("axe-core/axe.min.js").read_text(encoding="utf-8")
    wrong = {}
    with chromium.tab() as tab:
        tab.size(320, 640, phone=True)
        for file in lists:
            tab.visit(file.as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") <= 320
            tab.evaluate(f"{axe}; 0")
            for scheme in SCHEMES:
                tab.media(scheme)
                found = tab.evaluate(RUN_AXE)
                assert "target-size" in found["passed"]
                if found["wrong"]:
                    wrong[f"{file} {scheme}"] = found["wrong"]
    assert wrong == {}, listed(wrong)


def test_the_nu_checker_finds_nothing_in_a_list(lists: list[Path]) -> None:
    """The Nu checker reports nothing about a list."""
    jar = str(node_module("vnu-jar/build/dist/vnu.jar"))
    command = [need("java"), "-Xshare:auto", "-jar", jar, "--format", "json", "--exit-zero-always"]
    done = subprocess.run(
        [*command, *map(str, lists)], check=True, capture_output=True, timeout=120
    )
    assert json.loads(done.stderr)["messages"] == []
