"""The Flask app that renders each page and each copy, once, when a release is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from babel.support import Translations
from flask import Flask, abort, g
from flask_babel import Babel, Domain, get_locale
from jinja2 import StrictUndefined

from cccr_web.content import Content
from cccr_web.content.catalogue import load_translations
from cccr_web.languages import LANGUAGES, Language, by_slug
from cccr_web.release import Metadata
from cccr_web.render.copies import ZIP_INDEX, copies_for, epub_url, single_url
from cccr_web.render.crawlers import crawler_files, render_crawler_file
from cccr_web.render.epub import make_epub
from cccr_web.render.feed import feed_url, render_feed
from cccr_web.render.layout import page_layout
from cccr_web.render.photos import ResizedPhoto
from cccr_web.render.single import render_single
from cccr_web.render.sizes import format_size
from cccr_web.render.style import Style, read_sheet
from cccr_web.render.template_renderer import TemplateRenderer
from cccr_web.render.traditional import Convert, converter
from cccr_web.render.zip_index import render_zip_index

# The setting that holds the sizes of the copies (path → bytes), once they are known.
SIZES = "SIZES"


class _CatalogueDomain(Domain):  # type: ignore[misc]  # it has no types
    """Flask-Babel's messages, compiled in memory from the ``.po`` files."""

    def __init__(self, tree: Path, convert: Convert) -> None:
        super().__init__()
        self._catalogues = {
            language.locale: load_translations(tree, language.source.locale, convert)
            if language.source
            else load_translations(tree, language.locale)
            for language in LANGUAGES
        }

    def get_translations(self) -> Translations:
        return self._catalogues[str(get_locale())]


class _CatalogueBabel(Babel):  # type: ignore[misc]  # it has no types
    """Flask-Babel with the messages of one tree of translations."""

    def __init__(self, tree: Path, convert: Convert) -> None:
        super().__init__()
        self._domain = _CatalogueDomain(tree, convert)

    @property
    def domain_instance(self) -> Domain:
        return self._domain


def create_app(
    content: Content,
    style: Style,
    facts: Metadata,
    *,
    templates: Path,
    translations: Path,
    pictures: Mapping[str, ResizedPhoto] | None = None,
    neutral_titles: bool = False,
) -> Flask:
    """Return the app that renders every text of ``content`` at its place in a release.

    ``facts`` are the release's own: its number, day and key stand on each page. It
    reads only the two folders given; nothing depends on the address, the reader or
    the moment.
    """
    app = Flask("cccr_web.render", static_folder=None, template_folder=str(templates.resolve()))
    app.jinja_options = {
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    babel = _CatalogueBabel(translations, converter(content.names))
    babel.init_app(app, locale_selector=lambda: g.language.locale)
    by_file = {text.file: text for texts in content.texts.values() for text in texts.values()}
    renderer = TemplateRenderer(
        content, style, facts, by_file, pictures or {}, neutral=neutral_titles
    )
    book_sheet = read_sheet(templates / "copy" / "epub.css")

    @app.get("/<slug>/<path:name>.html")
    def page(slug: str, name: str) -> str:
        language = by_slug(slug)
        text = content.texts[language].get(PurePosixPath(name)) if language else None
        if text is None:
            abort(404)
        g.language = text.language
        sizes = app.config.get(SIZES, {})
        return renderer.render_text(
            text, page_layout(text), **copies_for(text.language), sizes=sizes, size=format_size
        )

    @app.get(f"/{ZIP_INDEX}")
    def zip_index() -> str:
        return render_zip_index(renderer)

    for name in crawler_files(content):

        @app.get(f"/{name}", endpoint=name.replace(".", "-"))
        def crawler_file(name: str = name) -> str:
            return render_crawler_file(name, content)

    for language in LANGUAGES:
        _add_copies(app, renderer, language, book_sheet)
    return app


def _add_copies(
    app: Flask, renderer: TemplateRenderer, language: Language, book_sheet: str
) -> None:
    def single() -> str:
        g.language = language
        return render_single(renderer, language)

    def epub() -> bytes:
        g.language = language
        return make_epub(renderer, language, book_sheet)

    def feed() -> str:
        g.language = language
        return render_feed(renderer, language)

    views: dict[str, Callable[[], str | bytes]]
    views = {single_url(language): single, epub_url(language): epub, feed_url(language): feed}
    for url, view in views.items():
        app.add_url_rule(f"/{url}", url.replace(".", "-"), view)
