"""The Flask app that renders every page and every copy when a release is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from babel.support import Translations
from flask import Flask, abort, g, render_template
from flask_babel import Babel, Domain, get_locale
from jinja2 import StrictUndefined

from cccr_web.content import Content, SourceTree
from cccr_web.content.catalogue import load_translations
from cccr_web.content.model import people_on_cards
from cccr_web.content.scripts import Convert
from cccr_web.languages import LANGUAGES, Language, by_slug
from cccr_web.release import Metadata
from cccr_web.render.copies import copies_for, epub_url, make_epub, render_single, single_url
from cccr_web.render.feed import render_feed
from cccr_web.render.formats import format_size
from cccr_web.render.layout import Style, page_layout, read_sheet
from cccr_web.render.notice_files import NoticeFiles
from cccr_web.render.photos import ResizedPhoto
from cccr_web.render.shared_pages import ZIP_INDEX, render_error_page, render_zip_index
from cccr_web.render.template_renderer import TemplateRenderer, feed_url
from cccr_web.render.traditional import site_converter

ROBOTS: Final = "robots.txt"
SITEMAP: Final = "sitemap.xml"
# The app's extension that fills the templates.
RENDERER: Final = "cccr_web.render"


class _CatalogueDomain(Domain):  # type: ignore[misc]  # no types
    """Flask-Babel's messages, compiled in memory from the ``.po`` files."""

    def __init__(self, tree: SourceTree, convert: Convert) -> None:
        super().__init__()
        self._catalogues = {
            language.locale: load_translations(tree, language.source.locale, convert)
            if language.source
            else load_translations(tree, language.locale)
            for language in LANGUAGES
        }

    def get_translations(self) -> Translations:
        return self._catalogues[str(get_locale())]


class _CatalogueBabel(Babel):  # type: ignore[misc]  # no types
    """Flask-Babel with the messages of one folder of translations."""

    def __init__(self, tree: SourceTree, convert: Convert) -> None:
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
    translations: SourceTree,
    notices: NoticeFiles | None = None,
    photos: Mapping[str, ResizedPhoto] | None = None,
    images: Mapping[str, bytes] | None = None,
    sizes: Mapping[str, int] | None = None,
    neutral_titles: bool = False,
) -> Flask:
    """Return the app that renders every page of ``content`` at its URL in a release.

    ``facts`` are the release's sequence, day and key, which every page shows. ``notices``
    are the signed notices that the pages of addresses and verification name. ``sizes``
    must hold the sizes of the copies (URL → bytes) when the page that lists them is
    rendered. The app reads only the two folders; no page depends on the address, the
    reader or the time.
    """
    app = Flask("cccr_web.render", static_folder=None, template_folder=str(templates.resolve()))
    app.jinja_options = {
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    babel = _CatalogueBabel(translations, site_converter(content.names))
    babel.init_app(app, locale_selector=lambda: g.language.locale)
    by_file = {text.file: text for text in content.all_texts}
    statements = {language: content.statements(language) for language in content.texts}
    renderer = TemplateRenderer(
        content,
        style,
        facts,
        by_file,
        photos or {},
        images=images or {},
        notices=notices or NoticeFiles(translations.folder),
        people={language: people_on_cards(texts) for language, texts in statements.items()},
        statements=statements,
        neighbours={
            text.url: (newer, older)
            for texts in statements.values()
            for newer, text, older in zip([None, *texts], texts, [*texts[1:], None], strict=False)
        },
        neutral=neutral_titles,
    )
    app.extensions[RENDERER] = renderer
    book_sheet = read_sheet(templates / "copy" / "epub.css")

    @app.get("/<slug>/<path:name>.html")
    def page(slug: str, name: str) -> str:
        language = by_slug(slug)
        text = content.texts[language].get(PurePosixPath(name)) if language else None
        if text is None or text.is_error_page:
            abort(404)
        g.language = text.language
        return renderer.render_text(
            text, page_layout(text), **copies_for(text.language), sizes=sizes, size=format_size
        )

    @app.get(f"/{ZIP_INDEX}")
    def zip_index() -> str:
        return render_zip_index(renderer)

    @app.get("/<name>.html")
    def error_page(name: str) -> str:
        page = render_error_page(renderer, f"{name}.html")
        if page is None:
            abort(404)
        return page

    for name in crawler_files(content):

        @app.get(f"/{name}", endpoint=name.replace(".", "-"))
        def crawler_file(name: str = name) -> str:
            return _render_crawler_file(name, content)

    for language in LANGUAGES:
        _add_copies(app, renderer, language, book_sheet)
    return app


def crawler_files(content: Content) -> tuple[str, ...]:
    """Return the names of the files for search engines that this site has.

    A sitemap must contain absolute URLs (sitemaps.org, "Sitemaps XML format"), so it exists
    only if the site has a clearnet address. No other file of a release contains its own address.
    """
    return (ROBOTS, SITEMAP) if content.site.addresses.clearnet else (ROBOTS,)


def _render_crawler_file(name: str, content: Content) -> str:
    """Return robots.txt (RFC 9309) or the sitemap with each page's translations."""
    texts = [text for text in content.all_texts if not text.is_error_page]
    clearnet = content.site.addresses.clearnet
    return render_template(name, content=content, texts=texts, clearnet=clearnet)


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
