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
from cccr_web.content.links import External, ToFile, ToText, resolve
from cccr_web.languages import ZH_HANS, Language
from cccr_web.release import Metadata, format_policy, page_policy
from cccr_web.render import onion_code
from cccr_web.render.formats import format_day, format_statement_date, format_years, region
from cccr_web.render.html import PageRenderer
from cccr_web.render.layout import PageLayout, Style
from cccr_web.render.photos import ResizedPhoto


def feed_url(language: Language) -> str:
    """Return the URL of the feed, to which every page links."""
    return f"{language.slug}/feed.xml"


@dataclass(frozen=True, slots=True)
class TemplateRenderer:
    """What every template needs: the texts, the release's facts and the style sheet.

    ``images`` holds the bytes of every image file of the release by URL. ``neutral`` gives every
    page the same title, which says nothing about its subject.
    """

    content: Content
    style: Style
    facts: Metadata
    by_file: Mapping[Path, Text]
    photos: Mapping[str, ResizedPhoto]
    images: Mapping[str, bytes]
    neutral: bool = False

    def render_text(self, text: Text, layout: PageLayout, **more: Any) -> str:
        """Return ``text`` in ``layout``, using the template that its front matter names."""
        return self.render_part(f"{text.head.template}.html", text, layout, **more)

    def render_part(self, template: str, text: Text, layout: PageLayout, **more: Any) -> str:
        """Return a template filled with ``text`` in ``layout`` and with ``more`` variables."""
        content, language = self.content, text.language
        more.setdefault("source_href", self._source_href(text, layout))
        return render_template(
            template,
            layout=layout.template,
            level=layout.level,
            page=text,
            body=lambda: self._body(text, layout),
            content=content,
            site=content.site,
            release=self.facts,
            language=language,
            link=layout.link,
            image=layout.image,
            xhtml=layout.xhtml,
            onion_code=onion_code,
            href=lambda url: layout.href(url, ""),
            style=Markup(self.style.text),  # noqa: S704  # our own file
            csp=format_policy(page_policy([self.style.hash])),
            home=content.texts[language][PurePosixPath("index")],
            verify=content.texts[language][PurePosixPath("verify")],
            archive=content.archive(language),
            statements=content.statements(language),
            by_year=_by_year(content.statements(language)),
            feed=feed_url(language),
            neutral=self.neutral,
            region=region(),
            day=format_day,
            when=format_statement_date,
            **more,
        )

    def _source_href(self, text: Text, layout: PageLayout) -> str | None:
        """Return the link to the text from which ``text`` was converted, if any."""
        source = text.language.source
        return layout.href(self.content.texts[source][text.path].url, "") if source else None

    def _body(self, text: Text, layout: PageLayout) -> Markup:
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

        han_tag = _han_tag(text.language)
        renderer = PageRenderer(layout, link, note_title, han_tag, photo, last_checked)
        return renderer.page(text.body)


def _by_year(statements: list[Text]) -> list[tuple[str, list[Text]]]:
    """Return the statements grouped by the years that their dates show, in order."""
    dated = ((text, text.head.date) for text in statements)
    years = [(format_years(when), text) for text, when in dated if when is not None]
    groups = itertools.groupby(years, key=lambda pair: pair[0])
    return [(year, [text for _, text in group]) for year, group in groups]


def _han_tag(language: Language) -> str | None:
    """Return the tag that marks Chinese characters; ``None`` in a Chinese page."""
    return None if language.tag.startswith("zh") else ZH_HANS.tag
