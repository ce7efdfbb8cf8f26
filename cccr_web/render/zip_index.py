"""``index.html`` at the root of a release: the start page of the ZIP and of every copied folder.

A reader who got the copy from a friend opens it first. The server redirects ``/`` to a
language instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from flask_babel import force_locale, gettext
from markupsafe import Markup

from cccr_web.content import Content
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import INDEX
from cccr_web.render.layout import PageLayout
from cccr_web.render.template_renderer import TemplateRenderer

ZIP_INDEX: Final = INDEX

# The text for readers who got a copy from somebody else; it fills the page.
_TEXT: Final = PurePosixPath("copy")


@dataclass(frozen=True, slots=True)
class Part:
    """The page's section in one language."""

    language: Language
    name: str
    section: Markup


def require_text(content: Content) -> None:
    """Raise ``CccrError`` if the text of the page is missing in a language."""
    for language in LANGUAGES:
        if _TEXT not in content.texts[language]:
            raise CccrError(
                f"translations/{language.locale}/pages/{_TEXT}.md is missing.",
                "The start page of every copy is made from it.",
            )


def render_zip_index(renderer: TemplateRenderer) -> str:
    """Return the page in every language; Chinese comes before English."""
    languages = sorted(LANGUAGES, key=lambda language: not language.tag.startswith("zh"))
    parts = [_part(renderer, language) for language in languages]
    # The name can be the same in two languages; it is shown once.
    names = {part.name: part.language for part in reversed(parts)}
    text = renderer.content.texts[languages[0]][_TEXT]
    with force_locale(languages[0].locale):
        return renderer.render_part(
            "copy/zip_index.html",
            text,
            _layout(languages[0]),
            parts=parts,
            names=list(reversed(names.items())),
        )


def _part(renderer: TemplateRenderer, language: Language) -> Part:
    text = renderer.content.texts[language][_TEXT]
    with force_locale(language.locale):
        section = Markup(renderer.render_text(text, _layout(language)))  # noqa: S704  # our templates
        return Part(language, str(gettext("site.name")), section)


def _layout(language: Language) -> PageLayout:
    # Headings have the same names in every language, so their ids start with the language.
    return PageLayout(
        "copy/zip_index_section.html", 2, _href, lambda name: f"{language.slug}.{name}"
    )


def _href(url: str, heading: str) -> str:
    # The page is at the root of the release.
    return f"{url}#{heading}" if heading else url
