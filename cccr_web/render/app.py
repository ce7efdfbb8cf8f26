"""The Flask app that renders every page and every copy when a release is built."""

from __future__ import annotations

import functools
import hashlib
import marshal
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from babel.support import Translations
from flask import Flask, abort, g, render_template
from flask_babel import Babel, Domain, force_locale, get_locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from cccr_web.content import Content, SourceTree
from cccr_web.content.catalogue import catalogue_file, load_translations
from cccr_web.content.model import people_on_cards
from cccr_web.languages import LANGUAGES, WRITTEN, Language, by_slug
from cccr_web.release import Metadata
from cccr_web.render.cache import Cache, hash_files
from cccr_web.render.copies import Copies, lists_copies
from cccr_web.render.crawlers import crawler_files
from cccr_web.render.epub import make_epub
from cccr_web.render.feed import feed_documents, render_feed
from cccr_web.render.formats import format_day, format_size
from cccr_web.render.layout import Style, page_layout, read_sheet
from cccr_web.render.lists import FOLDER as LISTS
from cccr_web.render.lists import list_pages, months, steps
from cccr_web.render.notice_files import NoticeFiles
from cccr_web.render.photos import ResizedPhoto
from cccr_web.render.shared_pages import ZIP_INDEX, render_error_page, render_zip_index
from cccr_web.render.template_renderer import Mention, TemplateRenderer, menu
from cccr_web.render.traditional import kept_names, site_converter

_COPIES: Final = "cccr_web.copies"
_PAGES: Final = "cccr_web.pages"
# The app's extension that fills the templates.
RENDERER: Final = "cccr_web.render"


# What this process has compiled, by name and source: the preview builds one site after the other.
_COMPILED: Final[dict[tuple[str, str], bytes]] = {}


class _TemplateLoader(FileSystemLoader):
    """Loads templates, compiled by an earlier build of this process or in the cache."""

    def __init__(self, templates: Path, cache: Cache) -> None:
        super().__init__(templates.resolve())
        self._cache = cache

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002  # Jinja's name
    ) -> Template:
        source, file, is_current = self.get_source(environment, name)

        def compiled() -> bytes:
            if (name, source) not in _COMPILED:
                _COMPILED[name, source] = marshal.dumps(environment.compile(source, name, file))
            return _COMPILED[name, source]

        made = self._cache.recall(("template", name, file, source), compiled)
        # The cache returns nothing that this program has not made.
        code = marshal.loads(made)  # noqa: S302
        return environment.template_class.from_code(environment, code, globals or {}, is_current)


class _CatalogueDomain(Domain):  # type: ignore[misc]  # no types
    """Flask-Babel's messages, compiled in memory from the ``.po`` files."""

    def __init__(self, tree: SourceTree, names: Mapping[str, str]) -> None:
        super().__init__()
        convert, key = site_converter(names), repr(names)
        self.catalogues = {
            language.locale: load_translations(tree, language.source.locale, convert, key)
            if language.source
            else load_translations(tree, language.locale)
            for language in LANGUAGES
        }

    def get_translations(self) -> Translations:
        return self.catalogues[str(get_locale())]


class _CatalogueBabel(Babel):  # type: ignore[misc]  # no types
    """Flask-Babel with the messages of one folder of translations."""

    def __init__(self, tree: SourceTree, names: Mapping[str, str]) -> None:
        super().__init__()
        self._domain = _CatalogueDomain(tree, names)

    @property
    def domain_instance(self) -> Domain:
        return self._domain

    def messages(self, language: Language) -> Callable[..., Markup]:
        """Return what templates call as ``gettext``; Jinja's takes five times as long."""
        catalogue = self._domain.catalogues[language.locale]

        @functools.cache
        def whole(message: str) -> Markup:
            return filled(message, {})

        def filled(message: str, variables: Mapping[str, Any]) -> Markup:
            # A string without variables is a format string, too.
            return Markup(catalogue.gettext(message)) % variables  # noqa: S704  # of our catalogues

        return lambda message, **more: filled(message, more) if more else whole(message)


def page_urls(app: Flask) -> tuple[str, ...]:
    """Return every URL that the app of ``create_app`` renders, except those of copies."""
    urls: tuple[str, ...] = app.extensions[_PAGES]
    return urls


def copy_urls(app: Flask) -> list[str]:
    """Return the URL of every copy that the app of ``create_app`` renders."""
    copies: Copies = app.extensions[_COPIES]
    with app.app_context():
        return [url for language in LANGUAGES for url in copies.urls(language)]


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
    cache: Cache | None = None,
) -> Flask:
    """Return the app that renders every page of ``content`` at its URL in a release.

    ``facts`` are the release's sequence, day and key, which every page shows. ``notices``
    are the signed notices that the pages of addresses and verification name. ``sizes``
    must hold the sizes of the copies (URL → bytes) when the page that lists them is
    rendered. The app reads only the two folders; no page depends on the address, the
    reader or the time.
    """
    app = Flask("cccr_web.render", static_folder=None)
    app.jinja_options = {
        "loader": _TemplateLoader(templates, cache or Cache()),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    babel = _CatalogueBabel(translations, content.names)
    babel.init_app(app, locale_selector=lambda: g.language.locale)
    by_file = {text.file: text for text in content.all_texts}
    kept = kept_names(content.names)
    statements = {language: content.statements(language) for language in content.texts}
    facts_of_all = (
        replace(content.site, sequence=0, valid_days=0),
        (style, facts.fingerprint, facts.has_policy, kept, content.names, neutral_titles),
        [(language, menu(content, language)) for language in content.texts],
        [translations.read(catalogue_file(translations.folder, it.locale)) for it in WRITTEN],
        hash_files(templates),
    )
    site_key = hashlib.sha256(repr(facts_of_all).encode()).hexdigest()

    @functools.cache
    def release_line(language: Language) -> str:
        with force_locale(language.locale):
            day = format_day(facts.time.date())
            return render_template("parts/release.html", number=facts.sequence, date=day)

    renderer = TemplateRenderer(
        app.jinja_env,
        content,
        style,
        facts,
        by_file,
        photos or {},
        images=images or {},
        notices=notices or NoticeFiles(translations.folder),
        people={language: people_on_cards(texts) for language, texts in statements.items()},
        statements=statements,
        shared={
            language: {**menu(content, language), "gettext": babel.messages(language)}
            for language in content.texts
        },
        neighbours={
            text.url: (
                None if newer is None else Mention.of(newer),
                None if older is None else Mention.of(older),
            )
            for texts in statements.values()
            for newer, text, older in zip([None, *texts], texts, [*texts[1:], None], strict=False)
        },
        kept=kept,
        release_line=release_line,
        cache=cache or Cache(),
        site_key=site_key,
        neutral=neutral_titles,
    )
    app.extensions[RENDERER] = renderer
    copies = app.extensions[_COPIES] = Copies(renderer)
    lists = {language: list_pages(content, language) for language in content.texts}
    list_page_at = {page.text.url: page for pages in lists.values() for page in pages}
    book_sheet = read_sheet(templates / "copy" / "epub.css")

    @app.get("/<slug>/<path:name>.html")
    def page(slug: str, name: str) -> str:
        language = by_slug(slug)
        text = content.texts[language].get(PurePosixPath(name)) if language else None
        if text is None or text.is_error_page:
            abort(404)
        g.language = text.language
        more: dict[str, Any] = {}
        if text is content.archive(text.language):
            more = months(lists[text.language])
        if lists_copies(text):
            more = {**copies.listed(text.language), "sizes": sizes, "size": format_size}
        return renderer.render_text(text, page_layout(text), **more)

    @app.get(f"/<slug>/{LISTS}/<name>.html")
    def list_page(slug: str, name: str) -> str:
        page = list_page_at.get(f"{slug}/{LISTS}/{name}.html")
        if page is None:
            abort(404)
        g.language = page.text.language
        text, others = page.titled(), steps(lists[g.language], page)
        return renderer.render_text(text, page_layout(text), listed=page.statements, **others)

    @app.get(f"/{ZIP_INDEX}")
    def zip_index() -> str:
        return render_zip_index(renderer)

    @app.get("/<name>.html")
    def error_page(name: str) -> str:
        page = render_error_page(renderer, f"{name}.html")
        if page is None:
            abort(404)
        return page

    feeds = {
        file.url: file for language in content.texts for file in feed_documents(content, language)
    }

    @app.get("/<path:name>.<any(xml, atom):kind>")
    def feed(name: str, kind: str) -> str:
        file = feeds.get(f"{name}.{kind}")
        if file is None:
            abort(404)
        g.language = file.language
        return render_feed(renderer, file)

    crawlers = crawler_files(content)
    for name, render in crawlers.items():
        app.get(f"/{name}", endpoint=name.replace(".", "-"))(render)

    @app.get("/<slug>/cccr-<name>.<any(html, epub):kind>")
    def copy(slug: str, name: str, kind: str) -> str | bytes:
        language = by_slug(slug)
        url = f"{slug}/cccr-{name}.{kind}"
        part = (
            next((one for one in copies.parts(language) if url in one.urls), None)
            if language
            else None
        )
        if part is None:
            abort(404)
        g.language = language
        return (
            copies.render_single(part)
            if kind == "html"
            else make_epub(renderer, copies, part, book_sheet)
        )

    urls = [text.url for text in content.all_texts]
    # The languages share an error page.
    app.extensions[_PAGES] = (*dict.fromkeys([*urls, *list_page_at, *feeds, ZIP_INDEX, *crawlers]),)
    return app
