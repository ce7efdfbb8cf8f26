"""The pages as bytes: valid, small, and linked to their translations."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.browser.browsing import listed, need, node_module
from support.browser.outlines import is_copy, outline, page_paths, resolve
from support.serving import DOMAIN, ONION, Server, talk

from cccr_web.config import find_tree

if TYPE_CHECKING:
    from pathlib import Path

    from cccr_web.release import Release

INITIAL_WINDOW = 14_600  # bytes: TCP's initial window of ten segments of 1,460 (RFC 6928)
HOME = 8_000
SHEET = 200
# The checker reports every such image, whatever the policy says; test_unpacked.py sees it shown.
DATA_IMAGE = "Resource violates Content Security Policy (meta tag): image “data:image/"


def test_nu_checker_finds_nothing(release: Release, release_folder: Path) -> None:
    """The Nu checker reports nothing about any page or its style sheet."""
    jar = str(node_module("vnu-jar/build/dist/vnu.jar"))
    files = [str(release_folder / path) for path in page_paths(release)]
    command = [need("java"), "-Xshare:auto", "-jar", jar, "--format", "json", "--exit-zero-always"]
    # In the locale C, Java finds no file below a folder with a Chinese name.
    utf8 = os.environ | {"LC_ALL": "C.UTF-8"}
    result = subprocess.run(
        [*command, *files], check=True, capture_output=True, timeout=120, env=utf8
    )
    wrong: dict[str, list[str]] = {}
    for message in json.loads(result.stderr)["messages"]:
        if message["message"].startswith(DATA_IMAGE):
            continue
        where = message["url"].partition("/release/")[2]
        words = f"{message['type']}: {message['message']} {message.get('extract', '')}"
        wrong.setdefault(where, []).append(words)
    assert wrong == {}, listed(wrong)


def test_each_page_links_to_its_translations(release: Release) -> None:
    """Each page links to itself and its translations, and they link to it."""
    languages = release.metadata.languages
    alternates = {}
    for path in page_paths(release):
        slug, _, name = path.partition("/")
        if not name or is_copy(path):
            continue
        page = outline(release.files[path].body)
        (html,) = page.find("html")
        assert html.attributes["lang"] == languages[slug]
        alternates[path] = {
            link.attributes["hreflang"]: resolve(path, link.attributes["href"])
            for link in page.find("link", rel="alternate")
            if link.attributes.get("type") is None
        }
        assert alternates[path] == {tag: f"{other}/{name}" for other, tag in languages.items()}
        switch = {
            link.attributes["hreflang"]: resolve(path, link.attributes["href"])
            for link in page.find("a", rel="alternate")
        }
        assert switch == {tag: to for tag, to in alternates[path].items() if to != path}
    for path, translations in alternates.items():
        for translation in translations.values():
            assert path in alternates[translation or ""].values()


@pytest.mark.parametrize("listener", ["clearnet", "onion"])
def test_a_page_fits_into_the_initial_tcp_window(
    server: Server, release: Release, listener: str
) -> None:
    """A compressed page with its headers fits into TCP's initial window; home is smaller."""
    where, host = (server.clearnet, DOMAIN) if listener == "clearnet" else (server.onion, ONION)
    too_big = {}
    for path in (path for path in page_paths(release) if not is_copy(path)):
        request = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        head, _, body = talk(where, request.encode("ascii")).partition(b"\r\n\r\n")
        head += b"\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\n\r\n"
        size = len(head) + len(gzip.compress(body, 9))
        home = re.fullmatch(r"[a-z-]+/index\.html", path)
        if size > (HOME if home else INITIAL_WINDOW):
            too_big[path] = size
    assert too_big == {}


def test_style_sheet_has_under_200_lines() -> None:
    """The style sheet has under 200 lines."""
    sheet = find_tree("templates") / "style.css"
    assert len(sheet.read_text(encoding="utf-8").splitlines()) < SHEET
