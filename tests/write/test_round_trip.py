"""Whatever a document says, the page says the same (with generated documents)."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from cccr_web.content import markdown
from cccr_web.write.dropped import Dropped
from cccr_web.write.html import to_markdown

# Marks of Markdown and HTML, letters, Chinese, quotation marks, and blanks.
WORDS = st.text("ab1 字“”，。*_`#>-+.)([]<&;!|\\~={}:\n\u3000", min_size=1, max_size=12)
STYLES = st.lists(
    st.sampled_from(["b", "i", "code", "span", "a href=https://a.example/"]), max_size=2
)
PARAGRAPHS = st.lists(st.lists(st.tuples(WORDS, STYLES), min_size=1, max_size=4), max_size=3)


def shown(words: str) -> str:
    """Return what is left of a text without blanks, which Markdown does not keep."""
    return re.sub(r"\s+", "", words)


def rendered(source: str) -> str:
    """Return all words that the site would show."""
    tokens = markdown.parse(source).tokens
    parts = (token.children or [token] for token in tokens)
    return shown("".join(one.content for each in parts for one in each if one.type != "inline"))


@given(PARAGRAPHS)
def test_html_keeps_every_word(paragraphs: list[list[tuple[str, list[str]]]]) -> None:
    """The words of each paragraph are shown as they are, whatever marks they have."""
    source = ""
    for runs in paragraphs:
        source += "<p>"
        for words, styles in runs:
            source += "".join(f"<{style}>" for style in styles) + html.escape(words)
            source += "".join(f"</{style.split()[0]}>" for style in reversed(styles))
    blocks = to_markdown(source, Dropped())
    expected = shown("".join(words for runs in paragraphs for words, _ in runs))
    assert rendered("\n\n".join(block.text for block in blocks)) == expected


@given(st.text("<>/!-=\"'&;abpliutrd字 \n", max_size=80))
def test_any_html_is_read_or_rejected(source: str) -> None:
    """No HTML, however broken, ends in anything but Markdown or a sentence."""
    to_markdown(source, Dropped())
