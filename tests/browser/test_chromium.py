"""Each page in Chromium: its requests, console, layout and printed form."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import zxingcpp
from PIL import Image
from support.browser.browsing import CUT_OFF, SCHEMES, BrowsedSite, listed, need, without_spaces
from support.browser.outlines import outline
from support.serving import ADDRESSES, ONION
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.release import write
from cccr_web.render import build_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
LAYOUTS = {
    "on a narrow phone": Layout(320, 568, phone=True),
    "at a zoom of 200 %": Layout(640, 800, before="document.documentElement.style.zoom = 2"),
    # WCAG 2.2, 1.4.4
    "with text at 200 %": Layout(
        360, 740, phone=True, before="document.documentElement.style.fontSize = '200%'"
    ),
    # WCAG 2.2, 1.4.12
    "with wider spacing": Layout(360, 740, phone=True, before=SPACING),
    # WCAG 2.2, 1.4.10: 1280 pixels at 400 %
    "at a zoom of 400 %": Layout(1280, 1024, before="document.documentElement.style.zoom = 4"),
    "on a laptop": Layout(1280, 900),
}
# Our policy allows no style attributes, so each of them comes from a script above.
UNDO = "for (const one of document.querySelectorAll('[style]')) one.removeAttribute('style')"


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
                if wrong:
                    found[name][path] = wrong
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_nothing_is_cut_off(misfits: dict[str, dict[str, list[str]]], name: str) -> None:
    """Nothing is cut off or scrolls sideways."""
    assert misfits[name] == {}, listed(misfits[name])


LONG_LATIN = "Thiruvananthapuram-Llanfairpwllgwyngyllgogerychwyrndrobwllllantysilio"
LONG_CHINESE = "阿卜杜热西提·阿卜杜热合曼·穆罕默德伊明·买买提艾力"


def test_long_titles_and_names_are_not_cut_off(chromium: Chromium, tmp_path: Path) -> None:
    """A title without a space and a name of 23 characters wrap on the narrowest phone."""
    tree = copy_texts(tmp_path)
    for locale, title in (("en", LONG_LATIN), ("zh_Hans", f"声明：{LONG_LATIN}")):
        text = (
            f'+++\ntitle = "{title}"\ndescription = "{title}"\nupdated = 2026-11-22\n'
            f'date = "2020"\ndemands = ["{LONG_LATIN[:44]}"]\nplace = "{LONG_LATIN}"\n'
            f'since = "2020: {LONG_LATIN[:60]}"\n+++\nA\n\n## {title} {{#long}}\n\n'
            f"> [!PERSON]\n> {LONG_CHINESE}\n>\n> {LONG_LATIN}\n>\n> 2020\n"
        )
        (tree / locale / "statements" / "2020-long.md").write_text(text, encoding="utf-8")
    names = tree / "names.toml"
    # The names are sorted.
    before, found, after = names.read_text(encoding="utf-8").partition('"陈光诚"')
    line = f'"{LONG_CHINESE}" = "{LONG_CHINESE}"\n'
    names.write_text(before + line + found + after, encoding="utf-8")
    folder = tmp_path / "release"
    write(build_release(tree, find_tree("templates"), addresses=ADDRESSES), folder)
    wrong = {}
    with chromium.tab() as tab:
        tab.size(320, 568, phone=True)
        for slug in ("en", "zh-hans", "zh-hant"):
            for name in ("index", "statements/index", "statements/2020-long"):
                tab.visit((folder / slug / f"{name}.html").as_uri())
                if cut := tab.evaluate(CUT_OFF):
                    wrong[f"{slug}/{name}"] = cut
    assert wrong == {}, listed(wrong)


def test_a_page_prints_all_its_text_and_the_footer_on_every_sheet(
    chromium: Chromium, site: BrowsedSite
) -> None:
    """Each page prints its whole main part, and its footer on every sheet.

    So each sheet shows the site's addresses, what its QR code is and, once there is a key, the
    fingerprint. No sheet has nothing else.
    """
    wrong: dict[str, list[str]] = {}
    with chromium.tab() as tab:
        for path in site.pages:
            tab.visit(site.url(path))
            pdf = base64.b64decode(tab.call("Page.printToPDF", preferCSSPageSize=True)["data"])
            sheets = [without_spaces(sheet) for sheet in pdf_text(pdf).split("\f") if sheet.strip()]
            texts = outline(site.release.files[path].body).texts
            foot = without_spaces("".join(text for element, text in texts if is_foot(element)))
            foot += without_spaces(
                tab.evaluate("document.querySelector('footer')?.dataset.code ?? ''")
            )
            missing = [f"the foot of: {sheet}" for sheet in sheets if not sheet.endswith(foot)]
            missing += ["a sheet with nothing else"] * sheets.count(foot)
            printed = "".join(sheet.removesuffix(foot) for sheet in sheets)
            missing += [
                text
                for element, text in texts
                if element.within("main")
                and not element.within("div", **{"class": "pass-on"})
                and element.attributes.get("class") != "act"
                and not element.within("dd", **{"class": "act"})
                and without_spaces(text) not in printed
            ]
            if missing:
                wrong[path] = missing
    assert wrong == {}, listed(wrong)


def test_each_sheet_has_a_qr_code_that_a_camera_reads(
    chromium: Chromium, site: BrowsedSite, tmp_path: Path
) -> None:
    """Each sheet of a statement, and of a home page, has the onion's address as a QR code."""
    for path in ("en/statements/2013-05-07-tiananmen-rally.html", "zh-hans/index.html"):
        with chromium.tab() as tab:
            tab.visit(site.url(path))
            printed = tab.call("Page.printToPDF", preferCSSPageSize=True)
        pdf = tmp_path / "page.pdf"
        pdf.write_bytes(base64.b64decode(printed["data"]))
        command = [
            need("pdftoppm"),
            "-png",
            "-gray",
            "-r",
            "150",
            str(pdf),
            str(pdf.with_suffix("")),
        ]
        subprocess.run(command, check=True)
        sheets = sorted(tmp_path.glob("*.png"))
        assert len(sheets) > 1
        for sheet in sheets:
            with Image.open(sheet) as picture:
                (code,) = zxingcpp.read_barcodes(picture)
            assert code.text == f"http://{ONION}/"
            sheet.unlink()


def is_foot(element: OutlineElement) -> bool:
    """Return whether an element is part of the printed footer."""
    return (
        element.within("footer")
        and not element.within("p", **{"class": "promise"})
        and not element.within("nav")
    )


def pdf_text(pdf: bytes) -> str:
    """Return the text of a PDF in content order."""
    assert pdf.startswith(b"%PDF-")
    command = [need("pdftotext"), "-raw", "-enc", "UTF-8", "-", "-"]
    result = subprocess.run(command, input=pdf, check=True, capture_output=True)
    assert result.stderr == b""
    return result.stdout.decode("utf-8")
