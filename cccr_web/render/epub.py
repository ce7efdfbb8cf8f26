"""One EPUB per language (EPUB 3.3, with EPUB 2's table of contents for old e-readers).

Sources: W3C, "EPUB 3.3"; section 4 is the Open Container Format (OCF). The same texts and
release time give the same bytes.
"""

from __future__ import annotations

import posixpath
import uuid

from cccr_web.content import Text
from cccr_web.languages import Language
from cccr_web.release import format_time, pack_zip
from cccr_web.render.copies import reading_order
from cccr_web.render.layout import PageLayout
from cccr_web.render.template_renderer import TemplateRenderer

_MIMETYPE = "application/epub+zip"

# The book's identifier is the same in every release, so that e-readers treat a new
# release as a new edition of the same book.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "cccr-web")


def identifier(language: Language) -> str:
    """Return the book's permanent identifier (EPUB 3.3, 5.5.3.1)."""
    return uuid.uuid5(_NAMESPACE, language.slug).urn


def chapter(text: Text) -> str:
    """Return the path of a text in the book, below ``EPUB/``."""
    return f"text/{text.path}.xhtml"


def chapter_href(file: str, source: Text) -> str:
    """Return the link from the chapter of ``source`` to another file of the book."""
    return posixpath.relpath(file, posixpath.dirname(chapter(source)))


def make_epub(renderer: TemplateRenderer, language: Language, sheet: str) -> bytes:
    """Return the book; ``sheet`` is its own style sheet.

    No link leads to a file of the release that is not in the book.
    """
    time = renderer.facts.time
    order = reading_order(renderer.content, language)
    chapters = {text.url: chapter(text) for text in order}

    def layout(text: Text) -> PageLayout:
        def href(url: str, heading: str) -> str | None:
            file = chapters.get(url)
            anchor = f"#{_heading_id(heading)}" if heading else ""
            return None if file is None else chapter_href(file, text) + anchor

        return PageLayout("copy/chapter.html", 1, href, _heading_id, xhtml=True)

    facts = {
        "order": order,
        "chapter": chapter,
        "identifier": identifier(language),
        "modified": format_time(time),
    }

    def part(template: str) -> str:
        return renderer.render_part(f"copy/{template}", order[0], layout(order[0]), **facts)

    book = {
        "front.xhtml": part("front.html"),
        "nav.xhtml": part("contents.html"),
        "package.opf": part("package.xml"),
        "style.css": sheet,
        "toc.ncx": part("ncx.xml"),
    }
    for text in order:
        sheet_href = chapter_href("style.css", text)
        book[chapter(text)] = renderer.render_text(text, layout(text), sheet=sheet_href)
    files = {f"EPUB/{name}": body for name, body in sorted(book.items())}
    files = {"mimetype": _MIMETYPE, **files, "META-INF/container.xml": part("container.xml")}
    # The media type must come first and be uncompressed (OCF, 4.3.2).
    encoded = {name: body.encode() for name, body in files.items()}
    return pack_zip(encoded, time, stored={"mimetype"})


def _heading_id(heading: str) -> str:
    # A heading's name may start with a digit; an XML id must not.
    return f"at-{heading}"
