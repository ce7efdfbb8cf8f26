"""One self-contained HTML file a language: every text on one page."""

from __future__ import annotations

import posixpath

from markupsafe import Markup

from cccr_web.content import Text
from cccr_web.languages import Language
from cccr_web.render.copies import reading_order, single_url
from cccr_web.render.layout import PageLayout
from cccr_web.render.template_renderer import TemplateRenderer


def render_single(renderer: TemplateRenderer, language: Language) -> str:
    """Return the page.

    Links between texts lead to places on the page. A section is named like its page
    (``en/who-we-are``), a heading by that and its own name, so that no two are alike.
    """
    order = reading_order(renderer.content, language)
    sections = {text.url: _section_id(text) for text in order}

    def href(url: str, fragment: str) -> str:
        section = sections.get(url)
        if section is None:
            return posixpath.relpath(url, posixpath.dirname(single_url(language)))
        return f"#{section}.{fragment}" if fragment else f"#{section}"

    def layout(text: Text) -> PageLayout:
        section = sections[text.url]
        return PageLayout("copy/section.html", 2, href, lambda fragment: f"{section}.{fragment}")

    rendered = [
        Markup(renderer.render_text(text, layout(text), section=sections[text.url], sizes={}))  # noqa: S704  # our templates
        for text in order
    ]
    source = language.source
    return renderer.render_part(
        "copy/single.html",
        order[0],
        layout(order[0]),
        order=order,
        sections=rendered,
        twin=href(single_url(source), "") if source else None,
    )


def _section_id(text: Text) -> str:
    return f"{text.language.slug}/{text.path}"
