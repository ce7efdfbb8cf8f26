"""The ZIP copy, unpacked and opened from disk in Chromium."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from support.browser.browsing import CUT_OFF, SCHEMES, BrowsedSite, listed

from cccr_web.languages import LANGUAGES
from cccr_web.release import ARCHIVE, ERROR_PAGES, is_html, media_type
from cccr_web.render.copies import epub_url, single_url
from cccr_web.render.shared_pages import ZIP_INDEX

if TYPE_CHECKING:
    from pathlib import Path

    from support.browser.devtools import Chromium

    from cccr_web.release import Release

LINKS = "[...document.links].map(one => one.href)"

# Where each door ends, and where each section begins.
DOORS = """[
  [...document.querySelectorAll("main > ul > li > a")].map(one => {
    const box = one.getBoundingClientRect();
    return [one.pathname.split("/").at(-2), box.height && box.bottom];
  }),
  [...document.querySelectorAll("main > section")].map(one =>
    [one.id, one.getBoundingClientRect().top]),
]"""
IMAGES = "[...document.images].map(one => one.naturalWidth)"

# Where the sentence on who speaks ends, and the list of contents begins.
OPENING = """["main .who", "main ol"].map(name => {
  const {top, bottom} = document.querySelector(name).getBoundingClientRect();
  return [top, bottom];
})"""

# The first font of each name of the organisation, and of each language's paragraphs.
FONTS = """[...document.querySelectorAll("h1 span, section > p:first-of-type")].map(one =>
  getComputedStyle(one).fontFamily.split(",")[0].replaceAll('"', ""))"""

# Adds to the page what the policy forbids, and returns what was blocked.
INTRUDERS = """new Promise(done => {
  const blocked = [];
  document.addEventListener("securitypolicyviolation", event => {
    blocked.push(event.effectiveDirective);
    if (blocked.length === 4) done(blocked.sort());
  });
  const add = (tag, attributes) =>
    document.body.append(Object.assign(document.createElement(tag), attributes));
  add("script", {textContent: "window.intruder = 1"});
  add("style", {textContent: "body { color: red }"});
  add("iframe", {src: "http://127.0.0.1:9/"});
  add("img", {src: "http://127.0.0.1:9/x.png"});
  setTimeout(() => done(blocked.sort()), 5000);
})"""
BLOCKED = ["frame-src", "img-src", "script-src-elem", "style-src-elem"]


@pytest.fixture(scope="module")
def folder(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked ZIP."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(io.BytesIO(release.files[ARCHIVE].body)) as archive:
        archive.extractall(folder)
    return next(folder.rglob("RELEASE.json")).parent


def test_every_link_in_the_unpacked_zip_works(chromium: Chromium, folder: Path) -> None:
    """Each link, from the first page on, opens a file, and Chromium reports no problem.

    Only the ZIP itself is not in the ZIP.
    """
    waiting = [(folder / ZIP_INDEX).as_uri()]
    seen = set(waiting)
    wrong: dict[str, list[str]] = {}
    with chromium.tab() as tab:
        while waiting:
            url = waiting.pop()
            tab.visit(url)
            problems = [event["entry"]["text"] for event in tab.received("Log.entryAdded")]
            problems += map(str, tab.received("Audits.issueAdded", "Runtime.exceptionThrown"))
            asked = [event["request"]["url"] for event in tab.received("Network.requestWillBeSent")]
            asked = [other for other in asked if not other.startswith("data:")]
            problems += [f"requested {other}" for other in asked if other != url]
            for link in tab.evaluate(LINKS) if is_html(url) else []:
                target = urldefrag(link).url
                path = unquote(urlsplit(target).path)
                if not target.startswith("file:") or target in seen or path.endswith(f"/{ARCHIVE}"):
                    continue
                seen.add(target)
                if (media_type(path) or "").startswith("text/"):
                    waiting.append(target)
                if not (folder / path).is_file() or not (folder / path).is_relative_to(folder):
                    problems.append(f"leads to {target}, which does not exist")
            if problems:
                wrong[url] = problems
    assert wrong == {}, listed(wrong)
    pages = {
        file.as_uri() for file in folder.rglob("*.html") if file.name not in ERROR_PAGES.values()
    }
    assert pages <= seen


def test_the_first_screen_of_a_phone_has_a_door_to_every_language(
    chromium: Chromium, folder: Path
) -> None:
    """The start page shows a link to the site in each language at once, and then instructions."""
    with chromium.tab() as tab:
        tab.size(360, 640, phone=True)
        tab.visit((folder / ZIP_INDEX).as_uri())
        doors, sections = tab.evaluate(DOORS)
    assert [door[0] for door in doors] == ["zh-hans", "zh-hant", "en"]
    bottoms = [bottom for _, bottom in doors]
    assert min(bottoms) > 0
    assert max(bottoms) <= min(640, *(top for _, top in sections))


def test_the_first_page_shows_each_language_in_its_own_fonts(
    chromium: Chromium, folder: Path
) -> None:
    """Names in Chinese have the wordmark's serifs, and English is not in a font for Chinese."""
    with chromium.tab() as tab:
        tab.visit((folder / ZIP_INDEX).as_uri())
        assert tab.evaluate(FONTS) == [
            *("Songti SC", "Songti TC", "Charter"),
            *("PingFang SC", "PingFang TC", "Charter"),
        ]


def test_a_copy_alone_shows_its_images(
    chromium: Chromium, site: BrowsedSite, tmp_path: Path
) -> None:
    """The QR code in a single HTML file is shown on the site and from a disk, and nothing else."""
    with chromium.tab() as tab:
        for language in LANGUAGES:
            url = single_url(language)
            copy = tmp_path / "copy.html"
            copy.write_bytes(site.release.files[url].body)
            for address in (site.url(url), copy.as_uri()):
                tab.visit(address, "networkIdle")
                assert tab.evaluate(IMAGES) == [180], address
                blocked = [event["entry"]["text"] for event in tab.received("Log.entryAdded")]
                assert [text for text in blocked if "favicon" not in text] == [], address
                assert tab.received("Audits.issueAdded") == []


def test_a_single_file_begins_with_who_speaks_and_what_is_in_it(
    chromium: Chromium, site: BrowsedSite
) -> None:
    """On a phone's first screen a sentence says who speaks, and the list of contents begins."""
    with chromium.tab() as tab:
        tab.size(360, 640, phone=True)
        for language in LANGUAGES:
            tab.visit(site.url(single_url(language)))
            (_, said), (contents, _) = tab.evaluate(OPENING)
            assert said < contents < 500, language


def test_an_e_reader_cuts_nothing_off(chromium: Chromium, release: Release, tmp_path: Path) -> None:
    """Each chapter of an EPUB is as wide as a narrow phone, onion address and commands included."""
    wrong = {}
    with chromium.tab() as tab:
        tab.size(320, 568)
        for language in LANGUAGES:
            folder = tmp_path / language.slug
            with zipfile.ZipFile(io.BytesIO(release.files[epub_url(language)].body)) as book:
                book.extractall(folder)
            for chapter in sorted(folder.rglob("*.xhtml")):
                tab.visit(chapter.as_uri())
                if cut := tab.evaluate(CUT_OFF):
                    wrong[f"{language.slug} {chapter.name}"] = cut
    assert wrong == {}, listed(wrong)


def test_policy_holds_on_disk(chromium: Chromium, folder: Path) -> None:
    """From disk each page has its own style, light and dark, and its policy allows nothing else."""
    with chromium.tab() as tab:
        for file in sorted(folder.rglob("*.html")):
            tab.visit(file.as_uri())
            for scheme in SCHEMES:
                tab.media(scheme)
                paper = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
                assert paper not in {"rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"}, (file, scheme)
            assert tab.evaluate(INTRUDERS) == BLOCKED, file
            assert tab.evaluate("window.intruder === undefined"), file
