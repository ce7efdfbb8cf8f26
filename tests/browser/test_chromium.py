"""Each page in Chromium: its requests, console, layout and printed form."""

from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING, Any

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
            asked = [url for url in sent if url != favicon]
            if asked != [site.url(path)]:
                problems.append(asked)
            problems += tab.received("Network.loadingFailed")
            if problems:
                wrong[f"{path} {scheme}"] = problems
    assert wrong == {}, listed(wrong)


def misfits(tab: Tab, site: BrowsedSite, before: str = "") -> dict[str, list[str]]:
    """Return what overflows or is cut off on each page, after running a script on it."""
    found: dict[str, list[str]] = {}
    for path in site.pages:
        tab.visit(site.url(path))
        if before:
            tab.evaluate(before)
        if cut := tab.evaluate(CUT_OFF):
            found[path] = cut
    return found


def test_nothing_is_cut_off_on_a_narrow_phone(chromium: Chromium, site: BrowsedSite) -> None:
    """At 320 CSS pixels nothing is cut off and nothing scrolls sideways."""
    with chromium.tab() as tab:
        tab.size(320, 568, phone=True)
        cut = misfits(tab, site)
        assert cut == {}, listed(cut)


def test_nothing_is_cut_off_at_200_percent_zoom(chromium: Chromium, site: BrowsedSite) -> None:
    """At a zoom of 200 % in a window of 640 pixels nothing is cut off."""
    with chromium.tab() as tab:
        tab.size(640, 800)
        cut = misfits(tab, site, "document.documentElement.style.zoom = 2")
        assert cut == {}, listed(cut)


def test_nothing_is_cut_off_with_text_at_200_percent(chromium: Chromium, site: BrowsedSite) -> None:
    """With the text alone at 200 % in the same window nothing is cut off (WCAG 2.2, 1.4.4)."""
    with chromium.tab() as tab:
        tab.size(360, 740, phone=True)
        cut = misfits(tab, site, "document.documentElement.style.fontSize = '200%'")
        assert cut == {}, listed(cut)


def test_nothing_is_cut_off_with_wider_spacing(chromium: Chromium, site: BrowsedSite) -> None:
    """With the text spacing of WCAG 2.2, 1.4.12, nothing is cut off."""
    spacing = "line-height: 1.5; letter-spacing: .12em; word-spacing: .16em"
    with chromium.tab() as tab:
        tab.size(360, 740, phone=True)
        every = "for (const one of document.querySelectorAll('body, body *'))"
        cut = misfits(tab, site, f"{every} one.style.cssText += '; {spacing}'")
        assert cut == {}, listed(cut)


def test_lines_have_at_most_90_characters_on_a_laptop(
    chromium: Chromium, site: BrowsedSite
) -> None:
    """On a laptop nothing is cut off, and no line of text is longer than 90 characters."""
    lines = """[...document.querySelectorAll("main p")].flatMap(one => {
        const range = document.createRange();
        range.selectNodeContents(one);
        const lines = new Set([...range.getClientRects()].map(box => Math.round(box.bottom)));
        const characters = one.textContent.trim().length;
        return lines.size > 2 && characters / lines.size > 90 ? [one.textContent] : [];
    })"""
    with chromium.tab() as tab:
        tab.size(1280, 900)
        cut = misfits(tab, site)
        assert cut == {}, listed(cut)
        for path in site.pages:
            tab.visit(site.url(path))
            assert tab.evaluate(lines) == [], path


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
