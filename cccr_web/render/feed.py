"""One Atom feed per language, with the full text of every statement (RFC 4287).

A feed of many statements has a document with those that were added or changed last, and archives
(RFC 5005, section 4). ``updated`` says when that was, so a back-dated statement comes last, and an
edited one leaves its archive and comes last. What else an archive holds never changes: it ends at
an entry that its own name selects, not at a place that moves when another is added or leaves. Only
a second release of the same day can still add to an archive, if that day has more than 50 entries.

Its links are relative to the URL of the feed (RFC 4287, section 2; RFC 3986, section 5.1.3),
so the same bytes work on the clearnet, on the onion, on a mirror and from a disk. The links in
the content are relative to the entry's page, which ``xml:base`` says: many readers ignore it,
but resolve them against the entry's link, which is the same page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from markupsafe import Markup

from cccr_web.content import Content, Text
from cccr_web.languages import Language
from cccr_web.render.layout import PageLayout, relative
from cccr_web.render.template_renderer import TemplateRenderer, feed_url

# In one document: a reader who was away for weeks misses nothing, and over Tor it loads in seconds.
MOST_ENTRIES: Final = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One statement: its permanent id, and its content as XHTML."""

    text: Text
    id: str
    content: Markup
    published: str | None


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """One file of a feed: ``feed.xml``, or an archive; ``previous`` is the URL of the one before.

    No document names the one after it, which RFC 5005 advises: the newest archive would change.
    Clients go from ``feed.xml`` backwards.
    """

    language: Language
    url: str
    statements: Sequence[Text]
    previous: str | None
    is_archive: bool


def feed_documents(content: Content, language: Language) -> list[FeedDocument]:
    """Return ``feed.xml`` and then its archives, the newest first.

    There are none as long as ``feed.xml`` has room for every statement. The statements of each are
    in the order of ``Content.statements``.
    """
    statements = content.statements(language)
    own = feed_url(language)
    if len(statements) <= MOST_ENTRIES:
        return [FeedDocument(language, own, statements, None, is_archive=False)]
    by_change = sorted(statements, key=lambda text: (text.head.updated, text.path))
    documents: list[FeedDocument] = []
    previous = None
    for batch in _batches(by_change):
        url = f"{language.slug}/feed/{batch[-1].path.name}.atom"
        in_order = sorted(batch, key=lambda text: text.path, reverse=True)
        documents.append(FeedDocument(language, url, in_order, previous, is_archive=True))
        previous = url
    newest = sorted(by_change[-MOST_ENTRIES:], key=lambda text: text.path, reverse=True)
    documents.append(FeedDocument(language, own, newest, previous, is_archive=False))
    return documents[::-1]


def _batches(statements: Sequence[Text]) -> Iterator[list[Text]]:
    """Yield the statements of each archive; what follows the last one is only in ``feed.xml``."""
    batch: list[Text] = []
    for text in statements:
        batch.append(text)
        if len(batch) == MOST_ENTRIES or _ends_archive(text):
            yield batch
            batch = []


def _ends_archive(text: Text) -> bool:
    """Whether this is one of the statements, about one in 16, with which an archive ends."""
    return hashlib.sha256(str(text.path).encode()).digest()[0] < 256 // 16


def render_feed(renderer: TemplateRenderer, document: FeedDocument) -> str:
    """Return one file of a feed."""
    content, language = renderer.content, document.language

    def tag(name: str) -> str:
        """Return an id that stays the same when addresses change (RFC 4151)."""
        return f"tag:{content.site.feed_authority}:{language.slug}/{name}"

    def layout(text: Text, base: str) -> PageLayout:
        def href(url: str, heading: str) -> str:
            anchor = f"#{heading}" if heading else ""
            return relative(url, base) + anchor

        return PageLayout(
            "feed.xml", 1, href, lambda name: f"{text.path.name}.{name}", xhtml=True, place=base
        )

    def entry(text: Text) -> Entry:
        body = Markup(renderer.render_part("parts/entry.html", text, layout(text, text.url)))  # noqa: S704  # our template
        return Entry(text, tag(str(text.path)), body, _published(text))

    archive = content.archive(language)
    dated = document.statements if document.is_archive else [archive, *document.statements]
    return renderer.render_part(
        "feed.xml",
        archive,
        layout(archive, document.url),
        id=tag("feed"),
        document=document,
        entries=[entry(text) for text in document.statements],
        updated=rfc_3339(max(text.head.updated for text in dated)),
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
