"""Fill the templates with texts, in any layout."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from flask import render_template
from flask_babel import gettext
from markupsafe import Markup

from cccr_web.content import Content, Text
from cccr_web.content.body import NameCard
from cccr_web.content.links import External, ToFile, ToText, resolve
from cccr_web.content.model import Person
from cccr_web.languages import ZH_HANS, Language
from cccr_web.release import Metadata, format_policy, page_policy
from cccr_web.render import onion_code
from cccr_web.render.formats import (
    format_day,
    format_language,
    format_statement_date,
    format_years,
    region,
)
from cccr_web.render.html import PageRenderer, mark_languages
from cccr_web.render.layout import PageLayout, Style
from cccr_web.render.notice_files import NoticeFiles
from cccr_web.render.photos import ResizedPhoto
from cccr_web.render.traditional import kept_names


def feed_url(language: Language) -> str:
    """Return the URL of the feed, to which every page links."""
    return f"{language.slug}/feed.xml"


@dataclass(frozen=True, slots=True)
class TemplateRenderer:
    """What every template needs: the texts, the release's facts and the style sheet.

    ``people`` are those on name cards, by the name of the heading above; ``statements`` are
    sorted, newest first, and ``neighbours`` are the newer and the older statement, by URL.
    ``images`` holds the bytes of every image file of the release by URL. ``neutral`` gives every
    page the same title, which says nothing about its subject.
    """

    content: Content
    style: Style
    facts: Metadata
    by_file: Mapping[Path, Text]
    photos: Mapping[str, ResizedPhoto]
    images: Mapping[str, bytes]
    notices: NoticeFiles
    people: Mapping[Language, Mapping[str, Person]]
    statements: Mapping[Language, list[Text]]
    neighbours: Mapping[str, tuple[Text | None, Text | None]]
    neutral: bool = False

    def render_text(self, text: Text, layout: PageLayout, **more: Any) -> str:
        """Return ``text`` in ``layout``, using the template that its front matter names."""
        return self.render_part(f"{text.head.template}.html", text, layout, **more)

    def render_part(self, template: str, text: Text, layout: PageLayout, **more: Any) -> str:
        """Return a template filled with ``text`` in ``layout`` and with ``more`` variables."""
        content, language = self.content, text.language
        texts = content.texts[language]
        more.setdefault("source_href", self._source_href(text, layout))
        return render_template(
            template,
            layout=layout.template,
            level=layout.level,
            page=text,
            body=lambda: self._renderer(text, layout).page(text.body),
            people=list(self.people[language].values()),
            people_in=self._people_in,
            card=lambda person: self._renderer(person.text, layout).card(person.card),
            words=lambda person, inline: self._renderer(person.text, layout).words(inline),
            content=content,
            site=content.site,
            release=self.facts,
            language=language,
            marked=lambda words: self._marked(words, language),
            link=layout.link,
            image=layout.image,
            xhtml=layout.xhtml,
            notices=self.notices,
            onion_code=onion_code,
            href=lambda url, heading="": layout.href(url, heading),
            style=Markup(self.style.text),  # noqa: S704  # our own file
            csp=format_policy(page_policy([self.style.hash])),
            home=content.home(language),
            who=texts[PurePosixPath("who-we-are")],
            reach=texts[PurePosixPath("reach-us")],
            verify=texts[PurePosixPath("verify")],
            copies_page=texts[PurePosixPath("copies")],
            archive=content.archive(language),
            statements=self.statements[language],
            by_year=lambda: _by_year(self.statements[language]),
            neighbours=self.neighbours.get(text.url),
            feed=feed_url(language),
            neutral=self.neutral,
            region=region(),
            day=format_day,
            when=format_statement_date,
            **more,
        )

    def blocks(self, text: Text, layout: PageLayout) -> list[tuple[int, Markup]]:
        """Return the parts of ``text``, as ``PageRenderer.blocks`` does."""
        return self._renderer(text, layout).blocks(text.body)

    def _source_href(self, text: Text, layout: PageLayout) -> str | None:
        """Return the link to the text from which ``text`` was converted, if any."""
        source = text.language.source
        return layout.href(self.content.texts[source][text.path].url, "") if source else None

    def _people_in(self, statement: Text) -> list[Person]:
        """Return the people whom a statement names, in its front matter or on cards of its own."""
        known = self.people[statement.language]
        own = [item.heading for item in statement.body.items if isinstance(item, NameCard)]
        names = dict.fromkeys([*own, *statement.head.people])
        return [known[name] for name in names if name is not None]

    def _renderer(self, text: Text, layout: PageLayout) -> PageRenderer:
        def link(target: str) -> str | None:
            match resolve(target, text, self.by_file):
                case External(url):
                    return url
                case ToFile(path):
                    return layout.href(path, "")
                case ToText(other, fragment):
                    return layout.href(other.url, fragment)

        def note_title(when: date) -> str:
            return str(gettext("note.title", date=format_day(when)))

        def photo(name: str) -> str:
            resized = self.photos[name]
            alt = resized.record.alt[text.language.locale]
            # A copy contains only the smallest file.
            is_separate = layout.href(resized.sizes[0].url, "") is not None
            return self.render_part(
                "parts/photo.html",
                text,
                layout,
                record=resized.record,
                sizes=resized.sizes if is_separate else resized.sizes[:1],
                alt=alt,
            )

        def last_checked(name: str) -> str:
            when = text.head.checked.get(name)
            return str(gettext("page.checked", date=format_statement_date(when))) if when else ""

        def original_title(tag: str) -> str:
            return str(gettext("original.title", language=format_language(tag)))

        han_tag = _han_tag(text.language)
        return PageRenderer(
            layout,
            link,
            note_title,
            han_tag,
            photo,
            original_title,
            last_checked,
            self._kept(text.language),
            str(gettext("card.label")),
        )

    def _marked(self, words: str, language: Language) -> Markup:
        """Return plain text as HTML, with words in another script marked as in running text."""
        html = mark_languages(words, _han_tag(language), self._kept(language))
        return Markup(html)  # noqa: S704  # it escapes

    def _kept(self, language: Language) -> tuple[str, ...]:
        """Return the names that a page in a derived language shows as they were written."""
        return kept_names(self.content.names) if language.source else ()


def _by_year(statements: list[Text]) -> list[tuple[str, list[Text]]]:
    """Return the statements grouped by the years that their dates show, in order."""
    dated = ((text, text.head.date) for text in statements)
    years = [(format_years(when), text) for text, when in dated if when is not None]
    groups = itertools.groupby(years, key=lambda pair: pair[0])
    return [(year, [text for _, text in group]) for year, group in groups]


def _han_tag(language: Language) -> str | None:
    """Return the tag that marks Chinese characters; ``None`` in a Chinese page."""
    return None if language.is_chinese else ZH_HANS.tag
