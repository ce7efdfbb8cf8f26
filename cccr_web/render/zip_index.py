"""The first page of a copy: for a reader to whom a friend gave the folder or the ZIP."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import force_locale, gettext
from markupsafe import Markup

from cccr_web.content import Content
from cccr_web.errors import CccrError
from cccr_web.languages import LANGUAGES, Language
from cccr_web.render.copies import FROM_A_FRIEND
from cccr_web.render.layout import PageLayout
from cccr_web.render.template_renderer import TemplateRenderer


@dataclass(frozen=True, slots=True)
class Part:
    """What the page says in one language."""

    language: Language
    name: str
    section: Markup


def _href(url: str, fragment: str) -> str:
    # The page stands at the root of the release.
    return f"{url}#{fragment}" if fragment else url


def _layout(language: Language) -> PageLayout:
    # The same names of headings stand in every language's section.
    return PageLayout("copy/first_section.html", 2, _href, lambda name: f"{language.slug}.{name}")


def refuse_without_words(content: Content) -> None:
    """Raise ``CccrError`` if a language has no text for whoever was handed a copy."""
    for language in LANGUAGES:
        if FROM_A_FRIEND not in content.texts[language]:
            raise CccrError(
                f"translations/{language.locale}/pages/{FROM_A_FRIEND}.md is missing.",
                "The first page of every copy is made of it.",
            )


def render_zip_index(renderer: TemplateRenderer) -> str:
    """Return the page, in every language; Chinese stands before English."""
    languages = sorted(LANGUAGES, key=lambda language: not language.tag.startswith("zh"))
    parts = [_part(renderer, language) for language in languages]
    # Two languages may write the name alike.
    names = {part.name: part.language for part in reversed(parts)}
    text = renderer.content.texts[languages[0]][FROM_A_FRIEND]
    with force_locale(languages[0].locale):
        return renderer.render_part(
            "copy/first.html",
            text,
            _layout(languages[0]),
            parts=parts,
            names=list(reversed(names.items())),
        )


def _part(renderer: TemplateRenderer, language: Language) -> Part:
    text = renderer.content.texts[language][FROM_A_FRIEND]
    with force_locale(language.locale):
        section = Markup(renderer.render_text(text, _layout(language)))  # noqa: S704  # our templates
        return Part(language, str(gettext("site.name")), section)
