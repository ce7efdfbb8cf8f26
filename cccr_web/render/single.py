"""One self-contained HTML file a language: every text on one page."""

from __future__ import annotations

import posixpath

from markupsafe import Markup

from cccr_web.content import Text
from cccr_web.languages import Language
from cccr_web.render.copies import reading_order, single_url
from cccr_web.render.form import Form
from cccr_web.render.typeset import Typesetter


def set_single(typesetter: Typesetter, language: Language) -> str:
    """Return the page.

    Links between texts lead to places on the page. A section is named like its page
    (``en/who-we-are``), a heading by that and its own name, so that no two are alike.
    """
    order = reading_order(typesetter.content, language)
    sections = {text.url: _section_id(text) for text in order}

    def way(url: str, fragment: str) -> str:
        section = sections.get(url)
        if section is None:
            return posixpath.relpath(url, posixpath.dirname(single_url(language)))
        return f"#{section}.{fragment}" if fragment else f"#{section}"

    def form(text: Text) -> Form:
        section = sections[text.url]
        return Form("copy/section.html", 2, way, lambda fragment: f"{section}.{fragment}")

    set_sections = [
        Markup(typesetter.text(text, form(text), section=sections[text.url], sizes={}))  # noqa: S704  # our templates
        for text in order
    ]
    source = language.source
    return typesetter.part(
        "copy/single.html",
        order[0],
        form(order[0]),
        order=order,
        sections=set_sections,
        twin=way(single_url(source), "") if source else None,
    )


def _section_id(text: Text) -> str:
    return f"{text.language.slug}/{text.path}"
