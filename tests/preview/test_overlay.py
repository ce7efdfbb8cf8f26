"""What preview adds to pages, and that it is in no release."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from support.packages import PACKAGES
from support.photographs import photo, put_photo
from support.texts import DATED, add, copy_texts, replace_once

from cccr_web.config import find_tree
from cccr_web.content import SourceTree
from cccr_web.preview import Edition, EditionReader
from cccr_web.preview.overlay import SCRIPT, STYLE, overlay
from cccr_web.release import Release, is_html, is_safe_path
from cccr_web.render import build_release, check_trees

TEMPLATES = find_tree("templates")
RALLY = "statements/2013-05-07-tiananmen-rally.html"
HTML = "A <b>bold</b> word."


def stripped(page: bytes) -> bytes:
    """Return a page without what preview has inserted."""
    page = re.sub(rb"<!--preview\(-->.*?<!--\)preview(?:-->| )", b"", page, flags=re.DOTALL)
    return page.replace(b" preview-->", b"")


def new_folder(tree: Path) -> Path:
    """Return a new folder next to the texts."""
    return Path(tempfile.mkdtemp(dir=tree.parent))


def edition_after(tree: Path, *changes: tuple[str, str, str]) -> Edition:
    """Return the edition of good texts after replacements in files."""
    reader = EditionReader(tree, TEMPLATES, new_folder(tree))
    edition = reader.read()
    for file, old, new in changes:
        replace_once(file, old, new)(tree)
    return reader.read(edition)


def shown(edition: Edition, path: str) -> bytes:
    """Return a page as preview shows it."""
    site = edition.site(path)
    assert site is not None
    return overlay(edition, site, path, site[path])


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the texts that no test changes."""
    return copy_texts(tmp_path_factory.mktemp("texts"))


def test_a_page_without_its_banner_is_the_release_s_byte_for_byte(texts: Path) -> None:
    """Every page of the site is the release's, once what was inserted is taken out."""
    edition = edition_after(texts)
    release = build_release(texts, TEMPLATES)
    pages = [path for path in release.files if is_html(path)]
    assert len(pages) > 30
    for path in pages:
        page = shown(edition, path)
        assert b"new EventSource" in page
        assert stripped(page) == release.files[path].body, path


def test_the_parts_of_a_text_are_the_whole_text(tmp_path: Path) -> None:
    """Messages are inserted between them, so together they are what the page shows."""
    tree = copy_texts(tmp_path)
    put_photo(tree, "square.jpg", photo())
    for locale in ("en", "zh_Hans"):
        after = (
            "1989.\n\n![](/photos/square.jpg)\n\n```\n1\n```\n\n![](/photos/square.jpg)\n\n- 1989."
        )
        add(f"{locale}/pages/who-we-are.md", after)(tree)
    site = edition_after(tree).good
    assert site is not None
    whole = [text for text in site.content.all_texts if text.head.template in {"page", "statement"}]
    assert len(whole) > 10
    for text in whole:
        body = "".join(html for _, html in site.blocks(text))
        assert site[text.url].count(body.encode()) == 1, text.file


def test_a_page_with_messages_is_its_last_good_version(tmp_path: Path) -> None:
    """Messages are only inserted, too."""
    tree = copy_texts(tmp_path)
    before = build_release(tree, TEMPLATES)
    edition = edition_after(tree, (f"en/{DATED}", "The government crushed", "The <b>crushed"))
    page = shown(edition, f"en/{RALLY}")
    assert page.count(b'class="preview-message"') == 1
    assert stripped(page) == before.files[f"en/{RALLY}"].body


@pytest.mark.parametrize(
    ("slug", "locale", "words"),
    [("en", "en", "They demanded an end"), ("zh-hant", "zh_Hans", "1989年")],
)
def test_a_message_is_before_its_paragraph(
    slug: str, locale: str, words: str, tmp_path: Path
) -> None:
    """It names file and line, also after lines were added above, and in Traditional."""
    tree = copy_texts(tmp_path)
    file = f"{locale}/{DATED}"
    lines = (tree / file).read_text(encoding="utf-8").split("\n")
    at = next(n for n, line in enumerate(lines) if words in line and n > 15)
    reader = EditionReader(tree, TEMPLATES, new_folder(tree))
    edition = reader.read()
    lines[at] = f"<i>{lines[at]}"
    lines[14:14] = [""] * 12
    (tree / file).write_text("\n".join(lines), encoding="utf-8")
    edition = reader.read(edition)
    line = at + 13
    assert f"{file}:{line}" in str(edition.problems[-1])
    page = shown(edition, f"{slug}/{RALLY}").decode()
    message = page.index(f"translations/{file}:{line}</code></p>")
    following = page.index("<p>", message)
    paragraph = page[following : page.index("</p>", following)]
    assert words in paragraph.replace("\n", " ")


def test_a_message_about_the_front_matter_is_in_the_bar(tmp_path: Path) -> None:
    """It belongs to no paragraph."""
    tree = copy_texts(tmp_path)
    edition = edition_after(tree, (f"en/{DATED}", 'place = "', 'unknown = "'))
    page = shown(edition, f"en/{RALLY}").decode()
    assert "preview-message" not in page.partition("</head>")[2]
    assert "Unknown key “unknown”" in page[page.index('class="preview-bar wrong"') :]


def test_no_release_contains_what_preview_adds(release: Release) -> None:
    """No file of a release holds the script, its address, or an element of the banner."""
    for path, file in release.files.items():
        for mark in (SCRIPT, STYLE, "EventSource", "/-/", "preview-bar", "<!--preview"):
            assert mark.encode() not in file.body, path


def test_no_text_can_bring_the_script_into_a_release(tmp_path: Path) -> None:
    """``check`` rejects it in a text, and no file of a release can be below ``/-/``."""
    tree = copy_texts(tmp_path)
    add("en/pages/verify.md", f"<script>{SCRIPT.strip()}</script>")(tree)
    add("zh_Hans/pages/verify.md", f"<script>{SCRIPT.strip()}</script>")(tree)
    *_, problems = check_trees(SourceTree(tree), TEMPLATES)
    assert "Raw HTML is not allowed: use Markdown." in {one.message for one in problems}
    assert is_safe_path("en/index.html")
    assert not is_safe_path("-/index.html")


def test_only_the_command_line_imports_preview() -> None:
    """What builds, signs and serves releases cannot call it."""
    importers = {package for package, imported in PACKAGES.items() if "preview" in imported}
    assert importers == {"cli"}


def test_the_policy_of_a_release_forbids_the_script(release: Release) -> None:
    """Even if a release had the script, no browser would run it."""
    for path in (path for path in release.files if is_html(path)):
        policy = re.search(
            rb'http-equiv="Content-Security-Policy" content="([^"]*)"', release.files[path].body
        )
        assert policy is not None, path
        assert b"default-src &#39;none&#39;" in policy[1]
        assert b"script-src" not in policy[1]
