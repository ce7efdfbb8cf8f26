"""The copies to take away: which exist, the order of their texts, and the files themselves.

Each language has a single HTML file, and an EPUB (EPUB 3.3, with EPUB 2's table of contents for
old e-readers). The same texts and release time give the same bytes.

Sources: W3C, "EPUB 3.3"; section 4 is the Open Container Format (OCF).
"""

from __future__ import annotations

import base64
import posixpath
import uuid
from typing import Any, Final

from markupsafe import Markup

from cccr_web.content import Content, Text
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import ARCHIVE, format_time, media_type, pack_zip
from cccr_web.render.layout import PageLayout
from cccr_web.render.template_renderer import TemplateRenderer

ZIP: Final = ARCHIVE

_MIMETYPE = b"application/epub+zip"

# The book's identifier is the same in every release, so that e-readers treat a new
# release as a new edition of the same book.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "cccr-web")


def single_url(language: Language) -> str:
    """Return the URL of the whole site in one HTML file."""
    return f"{language.slug}/cccr-{language.slug}.html"


def epub_url(language: Language) -> str:
    """Return the URL of the EPUB."""
    return f"{language.slug}/cccr-{language.slug}.epub"


COPIES: Final = tuple(url(language) for language in LANGUAGES for url in (single_url, epub_url))


def lists_copies(text: Text) -> bool:
    """Whether the page of ``text`` lists the copies with their sizes."""
    return text.head.template == "copies"


def copies_for(language: Language) -> dict[str, Any]:
    """Return what the copies page lists: the reader's own language first."""
    languages = sorted(LANGUAGES, key=lambda other: other != language)
    return {
        "zip": ZIP,
        "copies": [(other, (single_url(other), epub_url(other))) for other in languages],
    }


def reading_order(content: Content, language: Language) -> list[Text]:
    """Return the texts of a copy in order: all but the error pages.

    The home page comes first, then the menu with the statements after their list, then
    the pages outside the menu.
    """
    texts = content.texts[language]
    order = [content.home(language)]
    for text in content.navigation(language):
        order.append(text)
        if text is content.archive(language):
            order += content.statements(language)
    order += [text for text in texts.values() if not text.is_error_page and text not in order]
    return order


def render_single(renderer: TemplateRenderer, language: Language) -> str:
    """Return every text of a language on one self-contained page, with its images.

    Links between texts become links within the page, and no link leads to another file. The id
    of a section is its page's path (``en/who-we-are``), the id of a heading adds its name, so
    that all ids differ.
    """
    order = reading_order(renderer.content, language)
    section_ids = {text.url: f"{language.slug}/{text.path}" for text in order}

    def href(url: str, heading: str) -> str | None:
        section = section_ids.get(url)
        if section is None:
            return None
        return f"#{section}.{heading}" if heading else f"#{section}"

    def image(url: str) -> str:
        # RFC 2397
        encoded = base64.b64encode(renderer.images[url]).decode()
        return f"data:{media_type(url)};base64,{encoded}"

    def layout(text: Text) -> PageLayout:
        section = section_ids[text.url]
        return PageLayout(
            "copy/section.html", 2, href, lambda heading: f"{section}.{heading}", image=image
        )

    sections = [
        Markup(renderer.render_text(text, layout(text), section=section_ids[text.url]))  # noqa: S704  # our templates
        for text in order
    ]
    return renderer.render_part(
        "copy/single.html",
        order[0],
        layout(order[0]),
        order=order,
        sections=sections,
    )


def _identifier(language: Language) -> str:
    """Return the book's permanent identifier (EPUB 3.3, 5.5.3.1)."""
    return uuid.uuid5(_NAMESPACE, language.slug).urn


def _chapter(text: Text) -> str:
    """Return the path of a text in the book, below ``EPUB/``."""
    return f"text/{text.path}.xhtml"


def make_epub(renderer: TemplateRenderer, language: Language, sheet: str) -> bytes:
    """Return the book; ``sheet`` is its own style sheet.

    No link leads to a file of the release that is not in the book; its images are in it.
    """
    time = renderer.facts.time
    order = reading_order(renderer.content, language)
    chapters = {text.url: _chapter(text) for text in order}
    images: dict[str, bytes] = {}

    def layout(file: str) -> PageLayout:
        def relative(target: str) -> str:
            return posixpath.relpath(target, posixpath.dirname(file))

        def href(url: str, heading: str) -> str | None:
            target = chapters.get(url)
            anchor = f"#{_heading_id(heading)}" if heading else ""
            return None if target is None else relative(target) + anchor

        def image(url: str) -> str:
            images[url] = renderer.images[url]
            return relative(url)

        return PageLayout("copy/chapter.html", 1, href, _heading_id, xhtml=True, image=image)

    facts = {
        "order": order,
        "images": images,
        "media_type": media_type,
        "chapter": _chapter,
        "identifier": _identifier(language),
        "modified": format_time(time),
    }

    def part(template: str, file: str) -> str:
        return renderer.render_part(f"copy/{template}", order[0], layout(file), **facts)

    book = {
        "front.xhtml": part("front.html", "front.xhtml"),
        "nav.xhtml": part("contents.html", "nav.xhtml"),
        "style.css": sheet,
        "toc.ncx": part("ncx.xml", "toc.ncx"),
    }
    for text in order:
        file = _chapter(text)
        sheet_href = posixpath.relpath("style.css", posixpath.dirname(file))
        book[file] = renderer.render_text(text, layout(file), sheet=sheet_href)
    # Last, because it lists the images that the chapters show.
    book["package.opf"] = part("package.xml", "package.opf")
    files = {name: body.encode() for name, body in book.items()} | images
    files = {f"EPUB/{name}": body for name, body in sorted(files.items())}
    container = part("container.xml", "container.xml").encode()
    # The media type must come first and be uncompressed (OCF, 4.3.2).
    files = {"mimetype": _MIMETYPE, **files, "META-INF/container.xml": container}
    return pack_zip(files, time, stored={"mimetype"})


def _heading_id(heading: str) -> str:
    # A heading's name may start with a digit; an XML id must not.
    return f"at-{heading}"
