"""The copies to take away: which exist, the order of their texts, and the single HTML file."""

from __future__ import annotations

import base64
from typing import Any, Final

from markupsafe import Markup

from cccr_web.content import Content, Text
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import ARCHIVE, media_type
from cccr_web.render.layout import PageLayout
from cccr_web.render.template_renderer import TemplateRenderer

ZIP: Final = ARCHIVE


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
    listed = {text.path for text in order}
    order += [text for path, text in texts.items() if not text.is_error_page | (path in listed)]
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
