"""Pages that all languages share: the ZIP's start page and the error pages.

A reader who got a copy from a friend opens ``index.html`` first; on the server, ``/`` redirects
to a language instead. Some static hosts show only one error page, ``404.html``.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from flask_babel import force_locale, gettext
from markupsafe import Markup

from cccr_web.content import Content, SourceTree, Text
from cccr_web.content.model import VERIFY_POLICY
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import INDEX
from cccr_web.render.layout import PageLayout, relative_link
from cccr_web.render.template_renderer import TemplateRenderer

ZIP_INDEX: Final = INDEX

# The text for readers who got a copy from somebody else; it fills the ZIP's start page.
_COPY: Final = PurePosixPath("copy")
_USES: Final = {
    _COPY: "The start page of every copy is made from it.",
    VERIFY_POLICY: "With several signers, it is on the page about verification.",
}


@dataclass(frozen=True, slots=True)
class Part:
    """The page's section in one language, and what is shown above all sections."""

    language: Language
    name: str
    leave: str
    title: str
    home: str
    section: Markup


def require_texts(content: Content, tree: SourceTree, *, policy: bool) -> None:
    """Raise ``CccrError`` if a text that is part of another page is missing in a language.

    They are that of the ZIP's start page and, under a ``policy``, that of its verification.
    """
    needed = _USES if policy else [_COPY]
    for language, path in itertools.product(LANGUAGES, needed):
        if path not in content.texts[language]:
            raise CccrError(
                f"{tree.name(f'{language.locale}/pages/{path}.md')} is missing.", _USES[path]
            )


def render_zip_index(renderer: TemplateRenderer) -> str:
    """Return the ZIP's start page."""
    return _render(renderer, _COPY)


def render_error_page(renderer: TemplateRenderer, url: str) -> str | None:
    """Return the error page at ``url``, such as ``404.html``; ``None`` if there is none."""
    texts = renderer.content.texts[LANGUAGES[0]].values()
    path = next((text.path for text in texts if text.is_error_page and text.url == url), None)
    return None if path is None else _render(renderer, path)


def _render(renderer: TemplateRenderer, path: PurePosixPath) -> str:
    """Return the text at ``path`` in every language on one page; Chinese comes before English."""
    languages = sorted(LANGUAGES, key=lambda language: not language.is_chinese)
    parts = [_part(renderer, renderer.content.texts[language][path]) for language in languages]
    # The name can be the same in two languages; it is shown once.
    names = {part.name: part.language for part in reversed(parts)}
    text = renderer.content.texts[languages[0]][path]
    with force_locale(languages[0].locale):
        return renderer.render_part(
            "shared/page.html",
            text,
            _layout(text),
            parts=parts,
            names=list(reversed(names.items())),
        )


def _part(renderer: TemplateRenderer, text: Text) -> Part:
    layout = _layout(text)
    home = renderer.content.home(text.language)
    source = text.language.source
    source_href = f"#{source.slug}" if source else None
    with force_locale(text.language.locale):
        html = renderer.render_text(text, layout, source_href=source_href)
        return Part(
            text.language,
            str(gettext("site.name")),
            str(gettext("exit.label")),
            text.head.title,
            layout.link(home.url),
            Markup(html),  # noqa: S704  # our templates
        )


def _layout(text: Text) -> PageLayout:
    def href(url: str, heading: str) -> str:
        # The start page is at the root of the release.
        link = relative_link(url, text) if text.is_error_page else url
        return f"{link}#{heading}" if heading else link

    # Headings have the same names in every language, so their ids start with the language.
    slug = text.language.slug
    return PageLayout("shared/section.html", 2, href, lambda name: f"{slug}.{name}")
