"""axe-core, contrast and keyboard use of every page, in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.browser.browsing import SCHEMES, BrowsedSite, listed, node_module
from support.browser.outlines import outline
from support.pages import SHARED

if TYPE_CHECKING:
    from support.browser.devtools import Chromium, Tab

# All rules that axe enables by default, and two optional ones: contrast at WCAG level AAA,
# and target size (WCAG 2.2, level AA).
RUN_AXE = """axe.run({
  rules: {"color-contrast-enhanced": {enabled: true}, "target-size": {enabled: true}}
}).then(({violations, incomplete, passes}) => ({
  wrong: [...violations, ...incomplete].map(
    rule => [rule.id, ...rule.nodes.map(node => node.html.slice(0, 100))]),
  passed: passes.map(rule => rule.id),
}))"""

# Everything that takes the focus, in document order, kept for the scripts below.
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
  // Which of them has the focus, and what is wrong with how it looks.
  window.focused = () => {
    const one = document.activeElement, at = stops.indexOf(one), wrong = [];
    if (at < 0) return {at, wrong};
    const box = one.getClientRects()[0];
    const x = box.left + box.width / 2, y = box.top + box.height / 2;
    if (looks(one) === before[at]) wrong.push("looks the same without focus");
    if (!one.contains(document.elementFromPoint(x, y))) wrong.push("is not visible");
    return {at, wrong: wrong.map(what => `${one.outerHTML.slice(0, 80)} ${what}`)};
  };
  return stops.length;
})()"""
FOCUSED = "focused()"

# Focuses each of them in turn. The focus looks as with the Tab key, which was pressed before.
EVERY_FOCUS = """(() => {
  document.activeElement.blur();
  before = stops.map(looks);
  return stops.flatMap(one => {
    one.focus();
    return document.activeElement === one ? focused().wrong : [`${one.outerHTML} has no focus`];
  });
})()"""


def test_axe_finds_nothing_and_contrast_is_aaa(chromium: Chromium, site: BrowsedSite) -> None:
    """Axe reports nothing on any page, light or dark, and contrast is AAA."""
    axe = node_module("axe-core/axe.min.js").read_text(encoding="utf-8")
    wrong = {}
    with chromium.tab() as tab:
        tab.size(360, 740, phone=True)
        for path in site.pages:
            tab.visit(site.url(path))
            tab.evaluate(f"{axe}; 0")
            for scheme in SCHEMES:
                tab.media(scheme)
                found: dict[str, Any] = tab.evaluate(RUN_AXE)
                assert "color-contrast-enhanced" in found["passed"]
                if found["wrong"]:
                    wrong[f"{path} {scheme}"] = found["wrong"]
    assert wrong == {}, listed(wrong)


def press_tab(tab: Tab) -> None:
    """Press the Tab key."""
    tab.call("Input.dispatchKeyEvent", type="rawKeyDown", key="Tab", windowsVirtualKeyCode=9)


def test_tab_key_visits_every_link_in_order(chromium: Chromium, site: BrowsedSite) -> None:
    """The Tab key visits every link in document order, and the focus is visible, light or dark."""
    light, dark = SCHEMES
    wrong = {}
    with chromium.tab() as tab:
        tab.size(1280, 900)
        tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for path in site.pages:
            tab.media(light)
            tab.visit(site.url(path))
            count = tab.evaluate(STOPS)
            links = outline(site.release.files[path].body).links()
            assert count == len(links), f"{path}: something other than links takes the focus"
            seen, problems = [], []
            for _ in range(count):
                press_tab(tab)
                focused = tab.evaluate(FOCUSED)
                seen.append(focused["at"])
                problems += focused["wrong"]
            if seen != list(range(count)):
                problems.append(f"the order is {seen}")
            tab.media(dark)
            problems += tab.evaluate(EVERY_FOCUS)
            if problems:
                wrong[path] = problems
    assert wrong == {}, listed(wrong)


def test_skip_link_leads_to_the_text(chromium: Chromium, site: BrowsedSite) -> None:
    """Enter on the first link skips the header and the menus."""
    with chromium.tab() as tab:
        tab.size(360, 740, phone=True)
        tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for path in site.pages:
            page = outline(site.release.files[path].body)
            if path in SHARED:
                continue  # a section for each language, without menus to skip
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
            assert not tab.evaluate(inside) & 4, f"{path}: the next Tab moves before the text"
