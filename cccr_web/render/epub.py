"""One EPUB per language (EPUB 3.3, with EPUB 2's table of contents for old e-readers).

Sources: W3C, "EPUB 3.3"; section 4 is the Open Container Format (OCF). The same texts and
release time give the same bytes.
"""

from __future__ import annotations

import uuid

from cccr_web.content import Text
from cccr_web.release import format_time, media_type, pack_zip
from cccr_web.render.copies import Copies, CopyPart
from cccr_web.render.layout import PageLayout, relative
from cccr_web.render.template_renderer import TemplateRenderer

_MIMETYPE = b"application/epub+zip"

# The book's identifier is the same in every release, so that e-readers treat a new
# release as a new edition of the same book.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "cccr-web")


def _identifier(part: CopyPart) -> str:
    """Return the book's permanent identifier (EPUB 3.3, 5.5.3.1)."""
    return uuid.uuid5(_NAMESPACE, part.name.removeprefix("cccr-")).urn


def _chapter(text: Text) -> str:
    """Return the path of a text in the book, below ``EPUB/``."""
    return f"text/{text.path}.xhtml"


def make_epub(renderer: TemplateRenderer, copies: Copies, part: CopyPart, sheet: str) -> bytes:
    """Return the book with the texts of a part; ``sheet`` is its own style sheet.

    No link leads to a file of the release that is not in the book; its images are in it. A book
    cannot link to another book's chapters (EPUB 3.3, 3.6), so one in several parts names them.
    """
    time = renderer.facts.time
    order = part.texts
    home = renderer.content.home(part.language)
    chapters = {text.url: _chapter(text) for text in order}
    images: dict[str, bytes] = {}

    def layout(file: str) -> PageLayout:
        def href(url: str, heading: str) -> str | None:
            target = chapters.get(url)
            anchor = f"#{_heading_id(heading)}" if heading else ""
            return None if target is None else relative(target, file) + anchor

        def image(url: str) -> str:
            images[url] = renderer.images[url]
            return relative(url, file)

        return PageLayout("copy/chapter.html", 1, href, _heading_id, xhtml=True, image=image)

    archive = renderer.content.archive(part.language)
    facts_of_parts = copies.facts(part, ".epub")
    facts = {
        **facts_of_parts,
        "order": order,
        "images": images,
        "media_type": media_type,
        "chapter": _chapter,
        "identifier": _identifier(part),
        "modified": format_time(time),
    }

    def frame(template: str, file: str) -> str:
        return renderer.render_part(f"copy/{template}", home, layout(file), **facts)

    book = {
        "front.xhtml": frame("front.html", "front.xhtml"),
        "nav.xhtml": frame("contents.html", "nav.xhtml"),
        "style.css": sheet,
        "toc.ncx": frame("ncx.xml", "toc.ncx"),
    }
    for text in order:
        file = _chapter(text)
        # Only the list of the statements depends on the parts.
        more = facts_of_parts if text is archive else {}
        book[file] = renderer.render_text(
            text, layout(file), sheet=relative("style.css", file), **more
        )
    # Last, because it lists the images that the chapters show.
    book["package.opf"] = frame("package.xml", "package.opf")
    files = {name: body.encode() for name, body in book.items()} | images
    files = {f"EPUB/{name}": body for name, body in sorted(files.items())}
    container = frame("container.xml", "container.xml").encode()
    # The media type must come first and be uncompressed (OCF, 4.3.2).
    files = {"mimetype": _MIMETYPE, **files, "META-INF/container.xml": container}
    return pack_zip(files, time, stored={"mimetype"}, deflate=renderer.cache.deflate)


def _heading_id(heading: str) -> str:
    # A heading's name may start with a digit; an XML id must not.
    return f"at-{heading}"
