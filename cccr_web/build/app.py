"""The Flask app that renders each page, once, when a release is made."""

from __future__ import annotations

import posixpath
from datetime import date
from pathlib import Path, PurePosixPath

from babel.support import Translations
from flask import Flask, abort, g, render_template
from flask_babel import Babel, Domain, get_locale, gettext
from jinja2 import StrictUndefined
from markupsafe import Markup

from cccr_web.build.dates import format_day, format_statement_date
from cccr_web.build.html import PageRenderer
from cccr_web.build.style import Style
from cccr_web.content import Content, Text
from cccr_web.content.catalogue import load_translations
from cccr_web.content.links import External, ToFile, ToText, resolve
from cccr_web.languages import LANGUAGES, ZH_HANS, Language, by_slug
from cccr_web.release import Metadata, format_policy, page_policy


class _CatalogueDomain(Domain):  # type: ignore[misc]  # it has no types
    """Flask-Babel's messages, compiled in memory from the ``.po`` files."""

    def __init__(self, tree: Path) -> None:
        super().__init__()
        self._catalogues = {
            language.locale: load_translations(tree, language.locale) for language in LANGUAGES
        }

    def get_translations(self) -> Translations:
        return self._catalogues[str(get_locale())]


class _CatalogueBabel(Babel):  # type: ignore[misc]  # it has no types
    """Flask-Babel with the messages of one tree of translations."""

    def __init__(self, tree: Path) -> None:
        super().__init__()
        self._domain = _CatalogueDomain(tree)

    @property
    def domain_instance(self) -> Domain:
        return self._domain


def create_app(
    content: Content, style: Style, facts: Metadata, *, templates: Path, translations: Path
) -> Flask:
    """Return the app that renders every text of ``content`` at its place in a release.

    ``facts`` are the release's own: its number, day and key stand on each page. It
    reads only the two folders given; nothing depends on the address, the reader or
    the moment.
    """
    app = Flask("cccr_web.build", static_folder=None, template_folder=str(templates.resolve()))
    app.jinja_options = {
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    _CatalogueBabel(translations).init_app(app, locale_selector=lambda: g.language.locale)
    by_file = {text.file: text for texts in content.texts.values() for text in texts.values()}

    @app.get("/<slug>/<path:name>.html")
    def page(slug: str, name: str) -> str:
        language = by_slug(slug)
        text = content.texts[language].get(PurePosixPath(name)) if language else None
        if text is None:
            abort(404)
        g.language = text.language
        return render_template(
            f"{text.head.template}.html",
            page=text,
            body=lambda: _render_body(text, by_file),
            content=content,
            site=content.site,
            release=facts,
            language=text.language,
            languages=LANGUAGES,
            link=lambda url: relative_link(url, text),
            style=Markup(style.text),  # noqa: S704  # our own file
            csp=format_policy(page_policy([style.hash])),
            home=content.texts[text.language][PurePosixPath("index")],
            statements=content.statements(text.language),
            day=format_day,
            when=format_statement_date,
        )

    return app


def relative_link(url: str, source: Text) -> str:
    """Return the way from the page of ``source`` to ``url``, a path in the release.

    It ends in a file name, so that it works from a disk. A page that is shown at
    other addresses than its own gets the way from the root.
    """
    if source.is_error_page:
        return f"/{url}"
    return posixpath.relpath(url, posixpath.dirname(source.url))


def _render_body(text: Text, by_file: dict[Path, Text]) -> Markup:
    def link(target: str) -> str:
        match resolve(target, text, by_file):
            case External(url):
                return url
            case ToFile(path):
                return relative_link(path, text)
            case ToText(other, fragment):
                anchor = f"#{fragment}" if fragment else ""
                return (
                    anchor if other is text and anchor else relative_link(other.url, text) + anchor
                )

    def note_title(when: date) -> str:
        return str(gettext("note.title", date=format_day(when)))

    return PageRenderer(link, note_title, _han_tag(text.language)).page(text.body)


def _han_tag(language: Language) -> str | None:
    """Chinese words stand out by their language only where the page is in another."""
    return None if language.tag.startswith("zh") else ZH_HANS.tag
