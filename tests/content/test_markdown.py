"""Markdown as the writers may use it (``content/markdown.py``)."""

from __future__ import annotations

import pytest
from support.signed import DAY

from cccr_web.content.body import Body, Heading, Item, MarkdownLink, Note, Original, RawHtml
from cccr_web.content.markdown import parse


def items(text: str) -> list[Item]:
    """Return the items to check in a text that starts on the first line of its file."""
    return list(parse(text).items)


def types(body: Body) -> list[str]:
    """Return the types of the block tokens."""
    return [token.type for token in body.tokens]


def test_lines_are_counted_in_the_file() -> None:
    """An item's line is that of the file, whatever comes before the text."""
    text = "one\n\n## Two\n\nthree\n[four](x.md)\n"
    assert parse(text, lines_before=6).items == (Heading(2, None, 9), MarkdownLink("x.md", 12))


def test_each_link_has_its_own_line() -> None:
    """Links of one paragraph, list and table have their own lines."""
    assert items("[a](1.md) and\n[b](2.md)\n\n- [c](3.md)\n- d\n  [e](4.md)\n") == [
        MarkdownLink("1.md", 1),
        MarkdownLink("2.md", 2),
        MarkdownLink("3.md", 4),
        MarkdownLink("4.md", 6),
    ]
    assert items("| a |\n| - |\n| [b](1.md) |\n") == [MarkdownLink("1.md", 3)]


def test_reference_links_and_autolinks_are_links() -> None:
    """Links by reference and in angle brackets are links like any other."""
    assert items("[a][b] <https://example.org/>\n\n[b]: x.md\n") == [
        MarkdownLink("x.md", 1),
        MarkdownLink("https://example.org/", 1),
    ]


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "vbscript:x", "data:text/html,x", "file:///etc/passwd"]
)
def test_dangerous_links_are_found(target: str) -> None:
    """A link that a browser would run is found as a link, not as text."""
    assert items(f"[a]({target}) <{target}>") == [MarkdownLink(target, 1), MarkdownLink(target, 1)]


def test_an_image_has_its_alternative_text() -> None:
    """An image has its alternative text, which can be empty."""
    assert items("![a *b*](x.png)\n![ ](y.png)") == [
        MarkdownLink("x.png", 1, alt="a *b*"),
        MarkdownLink("y.png", 2, alt=""),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<div>\nx\n</div>\n", 1),
        ("x\ny <b>z</b>\n", 2),
        ("x\n\n<!-- y -->\n", 3),
        ("> a\n> <br>\n", 2),
        ("- <script>alert(1)</script>\n", 1),
        ("| a |\n| - |\n| <i> |\n", 3),
    ],
)
def test_raw_html_is_found_with_its_line(text: str, line: int) -> None:
    """HTML is found in every position."""
    assert items(text)[0] == RawHtml(line)


@pytest.mark.parametrize("text", ["`<b>`", "    <b>\n", "1 < 2 > 0", "&lt;b&gt;", r"\<b>"])
def test_escaped_html_is_text(text: str) -> None:
    """Text that only looks like HTML is not HTML."""
    assert items(text) == []


def test_a_headings_name_becomes_its_id() -> None:
    """The name moves from the heading's text to its attributes."""
    body = parse("## 刘晓波 {#liu-xiaobo}\n")
    assert body.items == (Heading(2, "liu-xiaobo", 1),)
    assert body.tokens[0].attrGet("id") == "liu-xiaobo"
    assert [child.content for child in body.tokens[1].children or []] == ["刘晓波"]


@pytest.mark.parametrize("text", ["## a {#B}", "## a {#b} c", "## a {b}", "## a `{#b}`", "##"])
def test_a_malformed_name_stays_in_the_heading(text: str) -> None:
    """Anything but a valid name at the end stays in the heading's text."""
    assert items(text) == [Heading(2, None, 1)]


def test_a_dated_quotation_becomes_a_note() -> None:
    """A block quotation that starts with its date becomes a note."""
    body = parse("> [!NOTE 2026-11-22]\n> He died.\n>\n> Source: x.\n")
    assert body.items == (Note(DAY, 1),)
    assert types(body) == [
        "note_open",
        *("paragraph_open", "inline", "paragraph_close") * 2,
        "note_close",
    ]
    assert body.tokens[0].meta == {"date": DAY}
    assert [child.content for child in body.tokens[2].children or []] == ["He died."]
    assert not body.tokens[1].hidden


@pytest.mark.parametrize(
    ("tag", "language"),
    [("en", "en"), ("zh-Hans", "zh-Hans"), ("English", None), ("", None), ("zh_Hans", None)],
)
def test_a_quotation_with_its_language_is_original_wording(tag: str, language: str | None) -> None:
    """The language is a tag of BCP 47; without one the block has no valid language."""
    body = parse(f"> [!ORIGINAL {tag}]\n> We call on them.\n\nx\n".replace(" ]", "]"))
    assert body.items == (Original(language, 1),)
    assert types(body)[:5] == [
        "original_open",
        *("paragraph_open", "inline", "paragraph_close"),
        "original_close",
    ]
    assert [passage.quoted for passage in body.passages] == [True, False]


def test_a_note_can_continue_after_an_empty_line() -> None:
    """The text after an empty line belongs to the note, and no empty paragraph is left."""
    body = parse("> [!NOTE 2026-11-22]\n>\n> He died.\n")
    assert body.items == (Note(DAY, 1),)
    assert [token.hidden for token in body.tokens[1:4]] == [True] * 3


def test_a_quotation_in_a_note_does_not_end_it() -> None:
    """A note ends with its own quotation, not with one inside it."""
    body = parse("> [!NOTE 2026-11-22]\n> a\n>\n> > b\n")
    names = [name for name in types(body) if "note" in name or "quote" in name]
    assert names == ["note_open", "blockquote_open", "blockquote_close", "note_close"]


@pytest.mark.parametrize("day", ["22 November 2026", "2026-02-30", "20261122x"])
def test_a_note_without_a_valid_date_is_found(day: str) -> None:
    """A note with an invalid date is found, so that check can report it."""
    assert items(f"> [!NOTE {day}]\n> x\n") == [Note(None, 1)]


@pytest.mark.parametrize("text", ["> x\n", "> [!TIP 2026-11-22]\n> x\n", "> *x*\n", ">\n"])
def test_other_quotations_stay_quotations(text: str) -> None:
    """A block quotation that is not a note does not change."""
    body = parse(text)
    assert body.items == ()
    assert types(body)[0] == "blockquote_open"
