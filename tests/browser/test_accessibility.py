"""axe-core's rules, contrast, and the keyboard alone, in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.browser.browsing import SCHEMES, Site, listed, node_module
from support.browser.outlines import outline

if TYPE_CHECKING:
    from support.browser.devtools import Chromium, Tab

# All rules that axe runs by itself, and two that it leaves to who wants them: the
# contrast of WCAG's level AAA, and the size of what is to be hit (2.2, level AA).
RUN_AXE = """axe.run({
  rules: {"color-contrast-enhanced": {enabled: true}, "target-size": {enabled: true}}
}).then(({violations, incomplete, passes}) => ({
  wrong: [...violations, ...incomplete].map(
    rule => [rule.id, ...rule.nodes.map(node => node.html.slice(0, 100))]),
  passed: passes.map(rule => rule.id),
}))"""

# All that takes the focus, in the order of the document, kept for the scripts below.
STOPS = """(() => {
  window.stops = [...document.querySelectorAll(
    "a[href], area[href], button, input, select, textarea, summary, [tabindex], audio, video")];
  window.looks = one => {
    const {outlineStyle, outlineWidth, outlineColor, backgroundColor, color, boxShadow,
      textDecorationLine, borderBottom} = getComputedStyle(one);
    const outline = outlineStyle === "none" || outlineWidth === "0px" ? "" :
      `${outlineStyle} ${outlineWidth} ${outlineColor}`;
    return [outline, backgroundColor, color, boxShadow, textDecorationLine, borderBottom].join();
  };
  window.before = stops.map(looks);
  return stops.length;
})()"""

# Which of them has the focus, and what is wrong with how it is shown.
FOCUSED = """(() => {
  const one = document.activeElement, at = stops.indexOf(one), wrong = [];
  if (at < 0) return {at, wrong};
  const box = one.getClientRects()[0];
  const x = box.left + box.width / 2, y = box.top + box.height / 2;
  if (looks(one) === before[at]) wrong.push("looks as without the focus");
  if (!one.contains(document.elementFromPoint(x, y))) wrong.push("is not to be seen");
  return {at, wrong: wrong.map(what => `${one.outerHTML.slice(0, 80)} ${what}`)};
})()"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe(chromium: Chromium, site: Site, scheme: str) -> None:
    """Axe finds nothing wrong and nothing doubtful, and contrast is AAA, on any page."""
    axe = node_module("axe-core/axe.min.js").read_text(encoding="utf-8")
    wrong = {}
    with chromium.tab() as tab:
        tab.size(360, 740, phone=True)
        tab.media(scheme)
        for path in site.pages:
            tab.visit(site.url(path))
            tab.evaluate(f"{axe}; 0")
            found: dict[str, Any] = tab.evaluate(RUN_AXE)
            assert "color-contrast-enhanced" in found["passed"]
            if found["wrong"]:
                wrong[path] = found["wrong"]
    assert wrong == {}, listed(wrong)


def press_tab(tab: Tab) -> None:
    """Press the Tab key."""
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    for kind in ("rawKeyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, **key)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_keyboard(chromium: Chromium, site: Site, scheme: str) -> None:
    """The Tab key goes to every link in the order of the page, and one sees where it is."""
    wrong = {}
    with chromium.tab() as tab:
        tab.size(1280, 900)
        tab.media(scheme)
        tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for path in site.pages:
            tab.visit(site.url(path))
            count = tab.evaluate(STOPS)
            links = outline(site.release.files[path].body).links()
            assert count == len(links), f"{path}: something else than links takes the focus"
            seen, problems = [], []
            for _ in range(count):
                press_tab(tab)
                focused = tab.evaluate(FOCUSED)
                seen.append(focused["at"])
                problems += focused["wrong"]
            if seen != list(range(count)):
                problems.append(f"the order is {seen}")
            if problems:
                wrong[path] = problems
    assert wrong == {}, listed(wrong)


def test_skip_link(chromium: Chromium, site: Site) -> None:
    """With the first link, Enter leads past header and menus to the text."""
    with chromium.tab() as tab:
        tab.size(360, 740, phone=True)
        tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for path in site.pages:
            page = outline(site.release.files[path].body)
            if not page.find("header"):
                continue  # the first page of a copy, which has no menus to skip
            tab.visit(site.url(path))
            press_tab(tab)
            enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
            for kind in ("keyDown", "keyUp"):
                tab.call("Input.dispatchKeyEvent", type=kind, **enter)
            assert tab.evaluate("document.querySelector(':target')?.tagName") == "MAIN", path
            if not any(link.within("main") for link in page.find("a")):
                continue
            press_tab(tab)
            inside = (
                "document.activeElement.compareDocumentPosition(document.querySelector('main'))"
            )
            assert not tab.evaluate(inside) & 4, f"{path}: the next Tab goes before the text"
