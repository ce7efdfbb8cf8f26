"""What a reader sees first on a phone of 360×640 pixels, in Chromium and in Firefox ESR.

On 2026-11-29 somebody who had read no text of the site looked at nine first screens for five
seconds each. In all three languages the home page said who speaks, what they demand and what to
do next. A statement and “Verify” had only the name: a sentence on who speaks would push a
statement's demands down. What was unclear has been fixed, except that the one-line warning has no
room to say that the address is the organisation's former site, and that the rally's title reads
like an announcement.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.browser.browsing import BrowsedSite, listed, serif_fonts
from support.browser.outlines import is_copy
from support.pages import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.browser.devtools import Chromium
    from support.browser.marionette import Firefox

WIDTH, HEIGHT = 360, 640
LANGUAGES = ("en", "zh-hans", "zh-hant")
STATEMENTS = (
    "statements/2013-05-07-tiananmen-rally.html",
    "statements/2011-liu-xiaobo-and-chen-guangcheng.html",
)

# The boxes of a page, in pixels from its top and left: top, bottom, width.
BOXES = """(font => {
  document.documentElement.style.fontFamily = font;
  const box = one => {
    const {top, bottom, width} = one.getBoundingClientRect();
    return [top, bottom, width];
  };
  const all = selector => [...document.querySelectorAll(selector)].map(box);
  return {
    window: [[innerWidth, innerHeight, document.scrollingElement.scrollWidth]],
    header: all("header"),
    links: all("header a, header [aria-current]"),
    title: all("h1"),
    who: all(".who p"),
    lead: all("main article.lead h2 a"),
    demands: all("main article.lead .demands li"),
    warning: all(".warning"),
    record: all(".record .demands li"),
    act: all(".record [href='#pass-on']"),
    steps: all("main [href='#shortest']"),
  };
})"""
# Our own fonts, of which a phone has one; and the widest serif of the tests.
FONTS = ("", "DejaVu Serif")

Boxes = dict[str, list[list[float]]]
Look = Callable[[str, str], Boxes]


@pytest.fixture(params=["chromium", "firefox"])
def look(request: pytest.FixtureRequest) -> Iterator[Look]:
    """A function that opens a URL on a phone in a font, and returns the boxes of the page."""
    if request.param == "firefox":
        firefox: Firefox = request.getfixturevalue("firefox")
        firefox.visit("about:blank")
        while firefox.page("return [innerWidth, innerHeight]") != [WIDTH, HEIGHT]:
            firefox.size(WIDTH, HEIGHT)

        def in_firefox(url: str, font: str) -> Boxes:
            firefox.visit(url)
            boxes: Boxes = firefox.page(f"return {BOXES}({font!r})")
            return boxes

        yield in_firefox
        return
    chromium: Chromium = request.getfixturevalue("chromium")
    with chromium.tab() as tab:
        tab.size(WIDTH, HEIGHT, phone=True)

        def in_chromium(url: str, font: str) -> Boxes:
            tab.visit(url)
            boxes: Boxes = tab.evaluate(f"{BOXES}({font!r})")
            return boxes

        yield in_chromium


def header_faults(boxes: Boxes, size: tuple[float, float] = (WIDTH, HEIGHT)) -> Iterator[str]:
    """Yield what is wrong with the header and the width of a page in a window of this size."""
    ((*window, page),) = boxes["window"]
    if tuple(window) != size or page > size[0]:
        yield f"the window is {window}, the page {page} wide"
    ((top, bottom, _),) = boxes["header"]
    if top or bottom > 96:
        yield f"the header ends at {bottom}"
    for start, end, width in boxes["links"]:
        if end - start < 44 or width < 24:
            yield f"a link of the header is {width} × {end - start}"


def home_faults(boxes: Boxes) -> Iterator[str]:
    """Yield what is wrong with a home page's first screen."""
    yield from header_faults(boxes)
    ((title, named, _),) = boxes["title"]
    ((who, said, _),) = boxes["who"]
    ((lead, led, _),) = boxes["lead"]
    demands = boxes["demands"]
    if title > 200:
        yield f"the name begins at {title}"
    if not named <= who < said <= lead < led <= demands[0][0]:
        yield f"name, sentence, statement and demands are at {named}, {who}, {lead}, {demands}"
    if demands[-1][1] > HEIGHT:
        yield f"the demands end at {demands[-1][1]}"


def statement_faults(boxes: Boxes) -> Iterator[str]:
    """Yield what is wrong with a statement's first screen."""
    yield from header_faults(boxes)
    ((begins, ends, _),) = boxes["title"]
    ((top, bottom, _),) = boxes["warning"]
    if begins > 220 or ends > 340:
        yield f"the title is from {begins} to {ends}"
    if bottom - top > 30:
        yield f"the warning has {bottom - top} pixels: more than one line"
    if boxes["record"][-1][1] > HEIGHT:
        yield f"the demands end at {boxes['record'][-1][1]}"
    if [one[1] for one in boxes["act"]] > [HEIGHT] or len(boxes["act"]) != 1:
        yield f"what to do is at {boxes['act']}"


@pytest.mark.parametrize("font", FONTS)
def test_home_says_who_speaks_and_what_they_demand(
    site: BrowsedSite, look: Look, font: str
) -> None:
    """The first screen of a home page has the name, one sentence, a statement and its demands."""
    wrong = {one: [*home_faults(look(site.url(f"{one}/index.html"), font))] for one in LANGUAGES}
    assert not any(wrong.values()), listed(wrong)


@pytest.mark.parametrize("font", FONTS)
def test_a_statement_begins_high_on_the_first_screen(
    site: BrowsedSite, look: Look, font: str
) -> None:
    """A statement's title is between 220 and 340 pixels; its demands and what to do follow."""
    paths = [f"{one}/{name}" for one in LANGUAGES for name in STATEMENTS]
    wrong = {path: [*statement_faults(look(site.url(path), font))] for path in paths}
    assert not any(wrong.values()), listed(wrong)


@pytest.mark.parametrize("font", FONTS)
def test_the_verify_page_says_what_to_do(site: BrowsedSite, look: Look, font: str) -> None:
    """The first screen of the page links to the steps for the reader's device."""
    wrong = {}
    for one in LANGUAGES:
        boxes = look(site.url(f"{one}/verify.html"), font)
        ends = [bottom for _, bottom, _ in boxes["steps"]]
        if len(ends) != 1 or ends[0] > HEIGHT:
            wrong[one] = ends
    assert wrong == {}, listed(wrong)


@pytest.mark.parametrize("width", [320, WIDTH])
def test_the_header_has_two_rows_on_every_page(
    chromium: Chromium, site: BrowsedSite, width: int
) -> None:
    """On a narrow phone, too, the header has two rows, and its links are large enough.

    Each page marks its own item of the menu, which must not make the menu wider.
    """
    wrong = {}
    with chromium.tab() as tab:
        tab.size(width, 568, phone=True)
        for path in site.pages:
            if path in SHARED or is_copy(path):
                continue  # without a menu
            tab.visit(site.url(path))
            boxes: Boxes = tab.evaluate(f"{BOXES}('')")
            wrong[path] = [*header_faults(boxes, (width, 568))]
    assert set(wrong) > {f"{one}/who-we-are.html" for one in LANGUAGES}
    assert not any(wrong.values()), listed({path: one for path, one in wrong.items() if one})


# What browsers of about 2016 do not know, with the declaration that they ignore.
NEW = re.compile(
    r"[^;{}]*:[^;{}]*(?:clamp|max|min)\([^;{}]*;?"
    r"|(?:color-scheme|gap|text-wrap|text-autospace|overflow-wrap:anywhere)[^;{}]*;?"
    r"|--[a-z-]+:[^;{}]*;?|[^;{}]*:[^;{}]*var\([^;{}]*;?"
)


def test_old_browsers_show_a_tidy_first_screen(
    site: BrowsedSite, look: Look, tmp_path: Path
) -> None:
    """Without gap, custom properties, color-scheme and clamp() nothing moves from its place."""
    wrong = {}
    for one in LANGUAGES:
        for name, faults in (("index.html", home_faults), (STATEMENTS[0], statement_faults)):
            page = site.release.files[f"{one}/{name}"].body.decode()
            start, end = page.index("<style>"), page.index("</style>")
            file = tmp_path / "page.html"
            # The policy in the page allows only the whole style sheet.
            old = page[:start].replace("Content-Security-Policy", "None")
            file.write_text(old + NEW.sub("", page[start:end]) + page[end:], encoding="utf-8")
            wrong[f"{one}/{name}"] = [*faults(look(file.as_uri(), ""))]
    assert not any(wrong.values()), listed(wrong)


# Each paragraph and item of the main part: the characters in its longest line, the number of
# its lines, and its first words. A word in a smaller font is still in the line around it.
LINES = r"""[...document.querySelectorAll("main p, main li, main dd")].filter(
  // Addresses and commands have lines of their own length.
  one => !one.querySelector("code")
).map(one => {
  const walker = document.createTreeWalker(one, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  const words = [];
  while (walker.nextNode()) {
    const parts = walker.currentNode.data.matchAll(/[\u3000-\uffef]|[^\s\u3000-\uffef]+\s?/g);
    for (const {index, 0: word} of parts) {
      range.setStart(walker.currentNode, index);
      range.setEnd(walker.currentNode, index + word.trimEnd().length);
      const box = range.getClientRects()[0];
      if (box) words.push([(box.top + box.bottom) / 2, word.length]);
    }
  }
  let middle = -99, length = 0, longest = 0, lines = 0;
  for (const [y, more] of words) {
    if (y > middle + 9) [middle, length, lines] = [y, 0, lines + 1];
    length += more;
    longest = Math.max(longest, length);
  }
  return [longest, lines, one.textContent.trim().slice(0, 60)];
})"""
PAGES = ("who-we-are.html", "verify.html", "reach-us.html", *STATEMENTS)


def longest_lines(
    chromium: Chromium, site: BrowsedSite, slug: str, font: str, medium: str
) -> dict[str, Any]:
    """Return the longest line of each page, with its text, in a wide window or on wide paper."""
    name, load = serif_fonts()[font]
    longest = {}
    with chromium.tab() as tab:
        tab.size(1280, 900)
        tab.media("light", medium)
        for page in PAGES:
            tab.visit(site.url(f"{slug}/{page}"))
            tab.evaluate(load)
            tab.evaluate(f"document.documentElement.style.fontFamily = {name!r}; 0")
            longest[page] = max(tab.evaluate(LINES))
    return longest


@pytest.mark.parametrize("medium", ["screen", "print"])
@pytest.mark.parametrize("font", ["Times", "Georgia", "DejaVu"])
def test_an_english_line_has_at_most_80_characters(
    chromium: Chromium, site: BrowsedSite, font: str, medium: str
) -> None:
    """In fonts like Times, Georgia and DejaVu no line is longer, on a screen or on paper."""
    longest = longest_lines(chromium, site, "en", font, medium)
    assert max(line for line, *_ in longest.values()) <= 80, listed(longest)
    # The font was really used: in the narrowest lines are longer than 66.
    assert max(line for line, *_ in longest.values()) > 66, listed(longest)


# The width of each paragraph of two or more lines, in characters of its own font. An original in
# English has English lines.
MEASURES = """[...document.querySelectorAll("main p, main li, main dd")]
.filter(one => !one.closest("[lang|=en]")).map(one => {
  const {width, height} = one.getBoundingClientRect();
  const {fontSize, lineHeight} = getComputedStyle(one);
  return [height / parseFloat(lineHeight), width / parseFloat(fontSize), one.textContent.trim()];
}).filter(([lines]) => lines > 1.5).map(([_, width, text]) => [width, text])"""


@pytest.mark.parametrize("slug", ["zh-hans", "zh-hant"])
def test_a_chinese_line_has_34_to_40_characters(
    chromium: Chromium, site: BrowsedSite, slug: str
) -> None:
    """In a wide window each paragraph has room for 34 to 40 characters."""
    wrong, seen = [], 0
    with chromium.tab() as tab:
        tab.size(1280, 900)
        for page in PAGES:
            tab.visit(site.url(f"{slug}/{page}"))
            found = tab.evaluate(MEASURES)
            seen += len(found)
            wrong += [pair for pair in found if not 34 <= pair[0] <= 40]
    assert wrong == []
    assert seen > 20
