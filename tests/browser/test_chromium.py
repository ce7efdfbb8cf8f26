"""Each page in Chromium: its requests, console, layout and printed form."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.browser.browsing import CUT_OFF, SCHEMES, BrowsedSite, listed, need, without_spaces
from support.browser.outlines import outline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.browser.devtools import Chromium, Tab
    from support.browser.outlines import OutlineElement

AT_ONCE = 16  # tabs; networkIdle comes half a second after the last request


def settled(chromium: Chromium, site: BrowsedSite, scheme: str) -> Iterator[tuple[str, Tab]]:
    """Yield each page, loaded and idle, with its tab."""
    with chromium.tabs(AT_ONCE) as tabs:
        for tab in tabs:
            tab.media(scheme)
        for start in range(0, len(site.pages), AT_ONCE):
            busy = list(zip(site.pages[start : start + AT_ONCE], tabs, strict=False))
            loaders = [tab.go(site.url(path)) for path, tab in busy]
            for (path, tab), loader in zip(busy, loaders, strict=True):
                tab.wait(loader, "networkIdle")
                yield path, tab


def messages(tab: Tab, favicon: str) -> list[Any]:
    """Return console messages and DevTools issues, except those about the favicon."""
    entries = [event["entry"] for event in tab.received("Log.entryAdded")]
    printed = [entry["text"] for entry in entries if entry.get("url") != favicon]
    others = tab.received(
        "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Audits.issueAdded"
    )
    return [*printed, *others]


def test_a_page_is_one_request_without_messages(chromium: Chromium, site: BrowsedSite) -> None:
    """A page is one request; nothing is blocked, fails or appears on the console.

    The browser's own request for the favicon does not count.
    """
    wrong: dict[str, Any] = {}
    favicon = site.url("favicon.ico")
    for scheme in SCHEMES:
        for path, tab in settled(chromium, site, scheme):
            sent = [event["request"]["url"] for event in tab.received("Network.requestWillBeSent")]
            problems: list[Any] = messages(tab, favicon)
            asked = [url for url in sent if url != favicon and not url.startswith("data:")]
            if asked != [site.url(path)]:
                problems.append(asked)
            problems += tab.received("Network.loadingFailed")
            if problems:
                wrong[f"{path} {scheme}"] = problems
    assert wrong == {}, listed(wrong)


@dataclass(frozen=True, slots=True)
class Layout:
    """A window in CSS pixels, and a script that a page runs in it."""

    width: int
    height: int
    phone: bool = False
    before: str = ""


SPACED = "line-height: 1.5; letter-spacing: .12em; word-spacing: .16em"
SPACING = f"for (const one of document.querySelectorAll('body, body *')) one.style = '{SPACED}'"
LAPTOP = "on a laptop"
LAYOUTS = {
    "on a narrow phone": Layout(320, 568, phone=True),
    "at a zoom of 200 %": Layout(640, 800, before="document.documentElement.style.zoom = 2"),
    # WCAG 2.2, 1.4.4
    "with text at 200 %": Layout(
        360, 740, phone=True, before="document.documentElement.style.fontSize = '200%'"
    ),
    # WCAG 2.2, 1.4.12
    "with wider spacing": Layout(360, 740, phone=True, before=SPACING),
    LAPTOP: Layout(1280, 900),
}
# Our policy allows no style attributes, so each of them comes from a script above.
UNDO = "for (const one of document.querySelectorAll('[style]')) one.removeAttribute('style')"

# The paragraphs with lines of more than 90 characters.
LONG_LINES = """[...document.querySelectorAll("main p")].flatMap(one => {
    const range = document.createRange();
    range.selectNodeContents(one);
    const lines = new Set([...range.getClientRects()].map(box => Math.round(box.bottom)));
    const characters = one.textContent.trim().length;
    return lines.size > 2 && characters / lines.size > 90 ? [one.textContent] : [];
})"""


@pytest.fixture(scope="module")
def misfits(chromium: Chromium, site: BrowsedSite) -> dict[str, dict[str, list[str]]]:
    """What is wrong with each page in each layout; every page is loaded once."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in LAYOUTS}
    with chromium.tab() as tab:
        for path in site.pages:
            tab.visit(site.url(path))
            for name, layout in LAYOUTS.items():
                tab.size(layout.width, layout.height, phone=layout.phone)
                wrong = tab.evaluate(f"{UNDO}; {layout.before}; {CUT_OFF}")
                if name == LAPTOP:
                    wrong += tab.evaluate(LONG_LINES)
                if wrong:
                    found[name][path] = wrong
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_is_cut_off(misfits: dict[str, dict[str, list[str]]], name: str) -> None:
    """Nothing is cut off or scrolls sideways; on a laptop no line has over 90 characters."""
    assert misfits[name] == {}, listed(misfits[name])


def test_a_page_prints_all_its_text_and_the_footer_on_every_sheet(
    chromium: Chromium, site: BrowsedSite
) -> None:
    """Each page prints its whole main part, and its footer on every sheet.

    So each sheet shows the site's addresses and, once there is a key, its fingerprint.
    """
    wrong: dict[str, list[str]] = {}
    with chromium.tab() as tab:
        for path in site.pages:
            tab.visit(site.url(path))
            pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
            sheets = [without_spaces(sheet) for sheet in pdf_text(pdf).split("\f") if sheet.strip()]
            texts = outline(site.release.files[path].body).texts
            foot = without_spaces("".join(text for element, text in texts if is_foot(element)))
            missing = [f"the foot of: {sheet}" for sheet in sheets if not sheet.endswith(foot)]
            printed = "".join(sheet.removesuffix(foot) for sheet in sheets)
            missing += [
                text
                for element, text in texts
                if element.within("main") and without_spaces(text) not in printed
            ]
            if missing:
                wrong[path] = missing
    assert wrong == {}, listed(wrong)


def is_foot(element: OutlineElement) -> bool:
    """Tell whether an element is part of the printed footer."""
    return element.within("footer") and not element.within("p", **{"class": "promise"})


def pdf_text(pdf: bytes) -> str:
    """Return the text of a PDF in content order."""
    assert pdf.startswith(b"%PDF-")
    command = [need("pdftotext"), "-raw", "-enc", "UTF-8", "-", "-"]
    result = subprocess.run(command, input=pdf, check=True, capture_output=True)
    assert result.stderr == b""
    return result.stdout.decode("utf-8")
