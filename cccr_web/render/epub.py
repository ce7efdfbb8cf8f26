"""One EPUB a language (EPUB 3.3, with the table of contents of EPUB 2 for old readers).

Sources: W3C, "EPUB 3.3"; the Open Container Format in its section 4. The same texts
give the same bytes, at the same time of release.
"""

from __future__ import annotations

import io
import posixpath
import uuid
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime

from cccr_web.content import Text
from cccr_web.languages import Language
from cccr_web.render.copies import reading_order
from cccr_web.render.layout import PageLayout
from cccr_web.render.template_renderer import TemplateRenderer

_MIMETYPE = "application/epub+zip"

# The identifier of the book in each language. It stays the same from release to
# release, so that a reading program takes a new one as the newer edition.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "cccr-web")

# What a ZIP can be dated (APPNOTE.TXT, 4.4.6).
_EARLIEST = (1980, 1, 1, 0, 0, 0)
_LATEST = (2107, 12, 31, 23, 59, 58)
_UNIX = 3
_REGULAR_FILE = 0o100644 << 16


def identifier(language: Language) -> str:
    """Return the book's name for all time (EPUB 3.3, 5.5.3.1)."""
    return uuid.uuid5(_NAMESPACE, language.slug).urn


def chapter(text: Text) -> str:
    """Return where a text stands in the book, below ``EPUB/``."""
    return f"text/{text.path}.xhtml"


def chapter_href(file: str, source: Text) -> str:
    """Return the way from the chapter of ``source`` to another file of the book."""
    return posixpath.relpath(file, posixpath.dirname(chapter(source)))


def make_epub(renderer: TemplateRenderer, language: Language, sheet: str) -> bytes:
    """Return the book; ``sheet`` is its own style sheet.

    No way leads out of the book to a file that is not in it.
    """
    time = renderer.facts.time
    order = reading_order(renderer.content, language)
    chapters = {text.url: chapter(text) for text in order}

    def layout(text: Text) -> PageLayout:
        def href(url: str, fragment: str) -> str | None:
            file = chapters.get(url)
            anchor = f"#{_name(fragment)}" if fragment else ""
            return None if file is None else chapter_href(file, text) + anchor

        return PageLayout("copy/chapter.html", 1, href, _name, xhtml=True)

    facts = {
        "order": order,
        "chapter": chapter,
        "identifier": identifier(language),
        "modified": time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
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
        book[chapter(text)] = renderer.render_text(text, layout(text), sheet=sheet_href, sizes={})
    files = {f"EPUB/{name}": body for name, body in book.items()}
    return _pack({"META-INF/container.xml": part("container.xml"), **files}, time)


def _name(fragment: str) -> str:
    # The name of a heading may begin with a digit, an XML id may not.
    return f"at-{fragment}"


def _pack(files: Mapping[str, str], time: datetime) -> bytes:
    """Return the ZIP: its media type first and stored (OCF, 4.3.2), then the files, sorted."""
    stamp = min(max(time.astimezone(UTC).timetuple()[:6], _EARLIEST), _LATEST)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        for name, body in [("mimetype", _MIMETYPE), *sorted(files.items())]:
            entry = zipfile.ZipInfo(name, stamp)
            entry.create_system = _UNIX
            entry.external_attr = _REGULAR_FILE
            stored = name == "mimetype"
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            target.writestr(entry, body.encode(), compresslevel=None if stored else 9)
    return packed.getvalue()
