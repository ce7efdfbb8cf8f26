"""The copies to take away: which there are, and in which order a reader finds the texts."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Final

from cccr_web.content import Content, Text
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import ARCHIVE

ZIP: Final = ARCHIVE
ZIP_INDEX: Final = "index.html"
VERIFY: Final = "verify.py"

# Read as data: readers get its very bytes.
VERIFY_SOURCE: Final = Path(__file__).resolve().parent.parent / "standalone" / "verify.py"

# The text for whoever was handed a copy; it also fills the first page of the ZIP.
FROM_A_FRIEND: Final = PurePosixPath("copy")

_HOME: Final = PurePosixPath("index")
_STATEMENTS: Final = PurePosixPath("statements/index")

_ROUND_TO: Final = 10_000
# The three signatures inside, and the ZIP's own line on the pages that tell its size.
_NOT_YET_THERE: Final = 4_096


def single_url(language: Language) -> str:
    """Return where the whole site in one HTML file stands in a release."""
    return f"{language.slug}/cccr-{language.slug}.html"


def epub_url(language: Language) -> str:
    """Return where the EPUB stands in a release."""
    return f"{language.slug}/cccr-{language.slug}.epub"


COPIES: Final = tuple(url(language) for language in LANGUAGES for url in (single_url, epub_url))


def copies_for(language: Language) -> dict[str, Any]:
    """Return what the page of the copies lists: the reader's own language first."""
    languages = sorted(LANGUAGES, key=lambda other: other != language)
    return {
        "zip": ZIP,
        "copies": [(other, (single_url(other), epub_url(other))) for other in languages],
    }


def tells_sizes(text: Text) -> bool:
    """Whether the page of ``text`` names the sizes of the copies, so is made after them."""
    return text.head.template == "copies"


def reading_order(content: Content, language: Language) -> list[Text]:
    """Return what stands in a copy, in order: all but the error pages.

    The home page, the menu with the statements behind their list, then the pages
    outside the menu.
    """
    texts = content.texts[language]
    order = [texts[_HOME]]
    for text in content.navigation(language):
        order.append(text)
        if text.path == _STATEMENTS:
            order += content.statements(language)
    order += [text for text in texts.values() if not text.is_error_page and text not in order]
    return order


def zip_bound(unsigned: int) -> int:
    """Return a round number of bytes that the ZIP is smaller than, signed or not.

    A ZIP that holds the page with its own size cannot be measured first. So the page
    tells a bound: ``unsigned`` is the length of a ZIP without signatures whose pages
    do not tell it yet; room is added for both, and the sum rounded up.
    """
    return -(-(unsigned + _NOT_YET_THERE) // _ROUND_TO) * _ROUND_TO
