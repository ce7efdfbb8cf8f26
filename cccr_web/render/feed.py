"""One Atom feed per language, with the full text of every statement (RFC 4287).

Its links are relative to the URL of the feed (RFC 4287, section 2; RFC 3986, section 5.1.3),
so the same bytes work on the clearnet, on the onion, on a mirror and from a disk. The links in
the content are relative to the entry's page, which ``xml:base`` says: many readers ignore it,
but resolve them against the entry's link, which is the same page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from cccr_web.content import Text
from cccr_web.languages import Language
from cccr_web.render.layout import PageLayout, relative
from cccr_web.render.template_renderer import TemplateRenderer, feed_url


@dataclass(frozen=True, slots=True)
class Entry:
    """One statement: its permanent id, and its content as XHTML."""

    text: Text
    id: str
    content: Markup
    published: str | None


def render_feed(renderer: TemplateRenderer, language: Language) -> str:
    """Return the feed."""
    content = renderer.content
    statements = content.statements(language)

    def tag(name: str) -> str:
        """Return an id that stays the same when addresses change (RFC 4151)."""
        return f"tag:{content.site.feed_authority}:{language.slug}/{name}"

    def layout(text: Text, base: str) -> PageLayout:
        def href(url: str, heading: str) -> str:
            anchor = f"#{heading}" if heading else ""
            return relative(url, base) + anchor

        return PageLayout("feed.xml", 1, href, lambda name: f"{text.path.name}.{name}", xhtml=True)

    def entry(text: Text) -> Entry:
        body = Markup(renderer.render_part("parts/entry.html", text, layout(text, text.url)))  # noqa: S704  # our template
        return Entry(text, tag(str(text.path)), body, _published(text))

    archive = content.archive(language)
    return renderer.render_part(
        "feed.xml",
        archive,
        layout(archive, feed_url(language)),
        id=tag("feed"),
        own=feed_url(language),
        entries=[entry(text) for text in statements],
        updated=rfc_3339(max(text.head.updated for text in [archive, *statements])),
        rfc_3339=rfc_3339,
        summary=_summary,
    )


def _summary(text: Text) -> str:
    """Return what a statement is about, and below it a line for each demand."""
    return "\n".join([text.head.description, *(f"– {demand}" for demand in text.head.demands)])


def rfc_3339(day: date) -> str:
    """Return the time at which a day begins (RFC 4287, section 3.3)."""
    return f"{day.isoformat()}T00:00:00Z"


def _published(text: Text) -> str | None:
    """Return when a statement was made; ``None`` if the exact day is not known."""
    when = text.head.date
    if when is None or when.end is not None or when.start.day is None:
        return None
    return rfc_3339(when.start.first_day())
