"""``cccr-web preview`` in Chromium: pages reload by themselves and keep their position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.browser.browsing import CUT_OFF
from support.hosting import short_folder
from support.previewed import Live, PreviewProcess
from support.texts import DATED, add, copy_texts, replace_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.browser.devtools import Chromium

RALLY = "statements/2013-05-07-tiananmen-rally"
WINDOWS = {"phone": (360, 740), "desktop": (1280, 900)}


@pytest.fixture
def live(chromium: Chromium) -> Iterator[Live]:
    """A preview of a copy of the texts, and a tab."""
    with short_folder() as folder:
        tree = copy_texts(folder)
        with PreviewProcess(tree) as preview, chromium.tab() as tab:
            yield Live(tree, preview, tab)


def test_a_page_reloads_by_itself_and_keeps_its_position(live: Live) -> None:
    """The changed text is there, and the reader's place is the same."""
    live.tab.size(*WINDOWS["desktop"])
    live.tab.visit(f"{live.address}en/{RALLY}.html")
    live.tab.evaluate("scrollTo(0, 700)")
    words = "In 1989 students in Beijing"
    replace_once(f"en/{DATED}", words, f"{words}, as we remember,")(live.tree)
    live.wait_for("document.body.textContent.includes('as we remember')")
    live.wait_for("Math.round(scrollY) === 700")
    assert live.errors() == []


def test_messages_come_and_go_at_their_paragraph(live: Live) -> None:
    """A mistake shows above the last good version; once it is corrected, the text is there."""
    live.tab.visit(f"{live.address}en/{RALLY}.html")
    words = "In 1989 students in Beijing"
    replace_once(f"en/{DATED}", words, f"<b>{words}</b>")(live.tree)
    live.wait_for("document.querySelector('.preview-message') !== null")
    shown = "document.querySelector('.preview-message')"
    assert "Raw HTML is not allowed" in live.tab.evaluate(f"{shown}.textContent")
    assert live.tab.evaluate(f"{shown}.nextElementSibling.textContent").startswith(words)
    assert live.tab.evaluate(f"getComputedStyle({shown}).borderTopWidth") == "2px"
    replace_once(f"en/{DATED}", f"<b>{words}</b>", f"{words} once")(live.tree)
    live.wait_for("document.querySelector('.preview-message') === null")
    live.wait_for(f"document.body.textContent.includes('{words} once')")
    assert live.errors() == []


def test_a_page_without_its_banner_looks_as_in_the_release(live: Live) -> None:
    """The bar at the lower edge moves nothing on the page."""
    live.tab.visit(f"{live.address}en/{RALLY}.html")
    height = "document.documentElement.scrollHeight"
    whole = live.tab.evaluate(height)
    live.tab.evaluate("document.querySelector('.preview-bar').remove()")
    assert live.tab.evaluate(height) == whole


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("page", ["-/", f"-/compare/{RALLY}/", "-/changes/", f"en/{RALLY}.html"])
def test_nothing_is_cut_off(page: str, window: str, live: Live) -> None:
    """Messages, and preview's own pages, fit a phone and a desktop."""
    replace_once(f"en/{DATED}", "In 1989 students", "<b>In 1989</b> students")(live.tree)
    add("zh_Hans/pages/verify.md", "<b>x</b>")(live.tree)
    width, height = WINDOWS[window]
    live.tab.size(width, height, phone=window == "phone")
    live.tab.visit(f"{live.address}-/")
    for name in ("tiananmen-rally.md", "verify.md"):
        live.wait_for(f"document.body.textContent.includes('{name}')")
    live.tab.visit(f"{live.address}{page}")  # which is not reloaded any more
    assert live.tab.evaluate(CUT_OFF) == []
    assert live.errors() == []


def test_languages_are_next_to_each_other_on_a_desktop(live: Live) -> None:
    """On a phone they are below each other."""
    live.tab.visit(f"{live.address}-/compare/{RALLY}/")
    left = "new Set([...document.querySelector('.row').children].map(one => one.offsetLeft)).size"
    live.tab.size(*WINDOWS["desktop"])
    assert live.tab.evaluate(left) == 3
    live.tab.size(*WINDOWS["phone"], phone=True)
    assert live.tab.evaluate(left) == 1


def test_a_page_of_another_site_gets_nothing(live: Live) -> None:
    """A page of another port of this machine cannot even show a picture of the preview."""
    picture = f"""new Promise(done => {{
      const image = new Image();
      image.onload = () => done("loaded");
      image.onerror = () => done("nothing");
      image.src = "{live.address}icon.png";
    }})"""
    with PreviewProcess(copy_texts(live.tree.with_name("other"))) as other:
        # That page's policy forbids the request, too.
        live.tab.call("Page.setBypassCSP", enabled=True)
        live.tab.visit(f"{other.address}en/")
        assert live.tab.evaluate(picture) == "nothing"
        answers = live.tab.received("Network.responseReceivedExtraInfo")
    assert 403 in {one["statusCode"] for one in answers}
