"""Fill the templates with texts, in any layout."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from flask_babel import gettext
from jinja2 import Environment
from markupsafe import Markup

from cccr_web.content import Content, Text
from cccr_web.content.body import MarkdownLink, NameCard
from cccr_web.content.links import ToFile, ToText, resolve
from cccr_web.content.model import Person
from cccr_web.languages import ZH_HANS, Language
from cccr_web.release import Metadata, format_policy, page_policy
from cccr_web.render import onion_code
from cccr_web.render.cache import Cache
from cccr_web.render.formats import (
    format_day,
    format_language,
    format_statement_date,
    format_years,
    region,
)
from cccr_web.render.html import Resolve, TextRenderer, fill, mark_languages
from cccr_web.render.layout import PageLayout, Style
from cccr_web.render.notice_files import NoticeFiles
from cccr_web.render.photos import ResizedPhoto

# Where the body of the text goes, and the release's sequence and day. No text contains these
# control characters.
_BODY = "\x1e"
_RELEASE = "\x1d"


def menu(content: Content, language: Language) -> dict[str, Any]:
    """Return the pages to which every page of a language links, by their names in templates."""
    texts = content.texts[language]
    pages = {
        "home": content.home(language),
        "who": texts[PurePosixPath("who-we-are")],
        "reach": texts[PurePosixPath("reach-us")],
        "verify": texts[PurePosixPath("verify")],
        "copies_page": texts[PurePosixPath("copies")],
        "archive": content.archive(language),
    }
    navigation = [Mention.of(text) for text in content.navigation(language)]
    return {**{name: Mention.of(text) for name, text in pages.items()}, "navigation": navigation}


def identity(text: Text) -> str:
    """Return what differs if anything in a text does, apart from what ``site_key`` covers."""
    # With several signers, the page on verification has the body of another file.
    return repr((text.language.slug, text.file, text.head, text.body.digest))


def feed_url(language: Language) -> str:
    """Return the URL of the feed, to which every page links."""
    return f"{language.slug}/feed.xml"


@dataclass(frozen=True, slots=True)
class Names:
    """What a text is called, and its name in the menu."""

    title: str
    short_title: str


@dataclass(frozen=True, slots=True)
class Mention:
    """What the page of a statement shows of another text."""

    url: str
    language: Language
    head: Names

    @classmethod
    def of(cls, text: Text) -> Mention:
        """Return what is shown of ``text``."""
        return cls(text.url, text.language, Names(text.head.title, text.head.short_title))


@dataclass(frozen=True, slots=True)
class TemplateRenderer:
    """What every template needs: the texts, the release's facts and the style sheet.

    ``people`` are those on name cards, by the name of the heading above; ``statements`` are
    sorted, newest first, and ``neighbours`` are the newer and the older statement, by URL.
    ``shared`` is what every template of a language gets: the menu, and the interface strings.
    ``images`` holds the bytes of every image file of the release by URL. ``kept`` are the names
    that a page in a derived language shows as they were written. ``neutral`` gives every page the
    same title, which says nothing about its subject.

    What is rendered of a statement, or by ``page.html``, is taken from ``cache`` if it is there, so
    these templates get nothing that its key lacks: of other texts only a ``Mention``, and no lists.
    ``site_key`` says what is the same for all of them; ``keys`` fills itself with what each shows,
    ``bodies`` with the body of each text, which is rendered once for all files that show it, and
    ``renderers`` with what renders the bodies of each language.
    """

    environment: Environment
    content: Content
    style: Style
    facts: Metadata
    by_file: Mapping[Path, Text]
    photos: Mapping[str, ResizedPhoto]
    images: Mapping[str, bytes]
    notices: NoticeFiles
    people: Mapping[Language, Mapping[str, Person]]
    statements: Mapping[Language, list[Text]]
    shared: Mapping[Language, Mapping[str, Any]]
    neighbours: Mapping[str, tuple[Mention | None, Mention | None]]
    kept: tuple[str, ...]
    release_line: Callable[[Language], str]
    cache: Cache
    site_key: str
    neutral: bool = False
    keys: dict[Path, tuple[str, list[tuple[str, str]]]] = field(default_factory=dict)
    bodies: dict[Path, bytes] = field(default_factory=dict)
    renderers: dict[Language, TextRenderer] = field(default_factory=dict)

    def render_text(
        self, text: Text, layout: PageLayout, *, listed: Sequence[Text] | None = None, **more: Any
    ) -> str:
        """Return ``text`` in ``layout``, using the template that its front matter names."""
        return self.render_part(f"{text.head.template}.html", text, layout, listed=listed, **more)

    def render_part(
        self,
        template: str,
        text: Text,
        layout: PageLayout,
        *,
        listed: Sequence[Text] | None = None,
        **more: Any,
    ) -> str:
        """Return a template filled with ``text`` in ``layout`` and with ``more`` variables.

        ``listed`` are the statements on a page that lists no others. For such a page, for a
        statement and for ``page.html``, ``more`` has only what JSON can express.
        """
        frame = self.render_frame(template, text, layout, listed=listed, **more)
        return self.fill(frame, text, layout)

    def render_frame(
        self,
        template: str,
        text: Text,
        layout: PageLayout,
        *,
        listed: Sequence[Text] | None = None,
        **more: Any,
    ) -> str:
        """Return what ``render_part`` does, but without what ``fill`` fills in."""
        more.setdefault("source_href", self._source_href(text, layout))
        # All other templates list statements, notices or the parts of a copy.
        if not text.is_statement and listed is None and template != "page.html":
            return self._fill(template, text, layout, **self._lists(text.language) | more)

        def make() -> bytes:
            return self._fill(template, text, layout, listed=listed, **more).encode()

        if not self.cache.remembers:
            return make().decode()
        return self.cache.recall(self._key(template, text, layout, listed, more), make).decode()

    def fill(self, frame: str, text: Text, layout: PageLayout) -> str:
        """Return a frame with the body of its text, and with what every publication changes."""
        if _BODY in frame:
            frame = frame.replace(_BODY, self._filled(self._body(text), text, layout))
        if _RELEASE in frame:
            frame = frame.replace(_RELEASE, self.release_line(text.language))
        return frame

    def _body(self, text: Text) -> str:
        """Return the body of a text as ``TextRenderer`` renders it."""
        if text.file not in self.bodies:
            # Encoded, because Python keeps a text with Chinese in it in twice as much memory.
            self.bodies[text.file] = self.cache.recall(
                ("body", self.site_key, identity(text)),
                lambda: (
                    self._renderer(text.language)
                    .page(text.body, self._resolver(text), self._checked(text))
                    .encode()
                ),
            )
        return self.bodies[text.file].decode()

    def _fill(self, template: str, text: Text, layout: PageLayout, **more: Any) -> str:
        """Return the template with all that the key of a statement covers, and ``more``."""
        language = text.language
        return self.environment.get_template(template).render(
            layout=layout.template,
            level=layout.level,
            page=text,
            body=_BODY,
            item=lambda statement: Markup(self.render_part("parts/item.html", statement, layout)),  # noqa: S704  # our template
            people_in=self._people_in,
            card=lambda person: self._filled(
                self._renderer(language).card(person.card, self._resolver(person.text)),
                person.text,
                layout,
            ),
            words=lambda person, inline: self._filled(
                self._renderer(language).words(inline, self._resolver(person.text)),
                person.text,
                layout,
            ),
            site=self.content.site,
            fingerprint=self.facts.fingerprint,
            has_policy=self.facts.has_policy,
            release=_RELEASE,
            language=language,
            translations=self._translations(text),
            marked=lambda words: self._marked(words, language),
            link=layout.link,
            image=layout.image,
            xhtml=layout.xhtml,
            onion_code=onion_code,
            href=lambda url, heading="": layout.href(url, heading),
            style=Markup(self.style.text),  # noqa: S704  # our own file
            csp=format_policy(page_policy([self.style.hash])),
            neighbours=self.neighbours.get(text.url),
            feed=feed_url(language),
            neutral=self.neutral,
            region=region(),
            day=format_day,
            when=format_statement_date,
            **self.shared[language],
            **more,
        )

    def blocks(self, text: Text, layout: PageLayout) -> list[tuple[int, Markup]]:
        """Return the parts of ``text``, as ``PageRenderer.blocks`` does."""
        blocks = self._renderer(text.language).blocks(
            text.body, self._resolver(text), self._checked(text)
        )
        return [(line, self._filled(marked, text, layout)) for line, marked in blocks]

    def _lists(self, language: Language) -> dict[str, Any]:
        """Return what only pages may show that are rendered for every release."""
        return {
            "notices": self.notices,
            "description": self.content.home(language).head.description,
            "people": list(self.people[language].values()),
            "statements": self.statements[language],
            "listed": None,
            "by_year": lambda: _by_year(self.statements[language]),
        }

    def _translations(self, text: Text) -> list[Mention]:
        return [Mention.of(other) for other in self.content.translations(text)]

    def _key(
        self,
        template: str,
        text: Text,
        layout: PageLayout,
        listed: Sequence[Text] | None,
        more: Mapping[str, Any],
    ) -> tuple[str, ...]:
        """Return everything on which the template depends: see ``render_part``."""
        shown = [self._shown(one) for one in ([text] if listed is None else listed)]
        own = [] if listed is None else [text.language, text.head, self._translations(text)]
        return (
            "statement" if listed is None else "list",
            self.site_key,
            template,
            repr((layout.template, layout.level, layout.xhtml, layout.place)),
            repr([layout.href(*to) for _, targets in shown for to in targets])
            if layout.place is None
            else "",
            repr((own, [digest for digest, _ in shown])),
            json.dumps(more, sort_keys=True),
        )

    def _shown(self, text: Text) -> tuple[str, list[tuple[str, str]]]:
        if text.file not in self.keys:
            self.keys[text.file] = self._shown_by(text)
        return self.keys[text.file]

    def _shown_by(self, text: Text) -> tuple[str, list[tuple[str, str]]]:
        """Return a hash of all that the frame of a text shows anywhere, and what it links to."""
        people = self._people_in(text) if text.is_statement else []
        destinations = [
            resolve(item.target, person.text, self.by_file)
            for person in people
            for item in person.text.body.items
            if isinstance(item, MarkdownLink)
        ]
        shown = (
            [identity(one) for one in (text, *(person.text for person in people))],
            self._translations(text),
            self.neighbours.get(text.url),
        )
        return hashlib.sha256(repr(shown).encode()).hexdigest(), [
            (text.url, ""),
            *((to.text.url, to.fragment) for to in destinations if isinstance(to, ToText)),
            *((to.path, "") for to in destinations if isinstance(to, ToFile)),
            *((person.text.url, person.id) for person in people),
        ]

    def _source_href(self, text: Text, layout: PageLayout) -> str | None:
        """Return the link to the text from which ``text`` was converted, if any."""
        source = text.language.source
        return layout.href(self.content.translation(text, source).url, "") if source else None

    def _people_in(self, statement: Text) -> list[Person]:
        """Return the people whom a statement names, in its front matter or on cards of its own."""
        known = self.people[statement.language]
        own = [item.heading for item in statement.body.items if isinstance(item, NameCard)]
        names = dict.fromkeys([*own, *statement.head.people])
        return [known[name] for name in names if name is not None]

    def _renderer(self, language: Language) -> TextRenderer:
        if language not in self.renderers:
            self.renderers[language] = TextRenderer(
                lambda day: str(gettext("note.title", date=format_day(day))),
                _han_tag(language),
                lambda tag: str(gettext("original.title", language=format_language(tag))),
                self._kept(language),
                str(gettext("card.label")),
            )
        return self.renderers[language]

    def _resolver(self, text: Text) -> Resolve:
        return lambda target: resolve(target, text, self.by_file)

    def _checked(self, text: Text) -> Callable[[str], str]:
        """Return what says when the text below a heading was checked, if the text says so."""

        def line(heading: str) -> str:
            when = text.head.checked.get(heading)
            return str(gettext("page.checked", date=format_statement_date(when))) if when else ""

        return line

    def _filled(self, marked: str, text: Text, layout: PageLayout) -> Markup:
        def photo(name: str) -> str:
            resized = self.photos[name]
            # A copy contains only the smallest file.
            is_separate = layout.href(resized.sizes[0].url, "") is not None
            return self._fill(
                "parts/photo.html",
                text,
                layout,
                record=resized.record,
                sizes=resized.sizes if is_separate else resized.sizes[:1],
                alt=resized.record.alt[text.language.locale],
            )

        return fill(marked, layout, photo)

    def _marked(self, words: str, language: Language) -> Markup:
        """Return plain text as HTML, with words in another script marked as in running text."""
        return _mark(words, _han_tag(language), self._kept(language))

    def _kept(self, language: Language) -> tuple[str, ...]:
        """Return the names that a page in a derived language shows as they were written."""
        return self.kept if language.source else ()


@functools.lru_cache(maxsize=4096)  # Every page has the same menu.
def _mark(words: str, han_tag: str | None, kept: tuple[str, ...]) -> Markup:
    return Markup(mark_languages(words, han_tag, kept))  # noqa: S704  # it escapes


def _by_year(statements: list[Text]) -> list[tuple[str, list[Text]]]:
    """Return the statements grouped by the years that their dates show, in order."""
    dated = ((text, text.head.date) for text in statements)
    years = [(format_years(when), text) for text, when in dated if when is not None]
    groups = itertools.groupby(years, key=lambda pair: pair[0])
    return [(year, [text for _, text in group]) for year, group in groups]


def _han_tag(language: Language) -> str | None:
    """Return the tag that marks Chinese characters; ``None`` in a Chinese page."""
    return None if language.is_chinese else ZH_HANS.tag
