"""The files for search engines: ``robots.txt`` (RFC 9309) and the sitemap (sitemaps.org).

A sitemap must contain absolute URLs, so it exists only if the site has a clearnet address. No other
file of a release contains its own address. A site too large for one sitemap has several, and
``sitemap.xml`` is their index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from flask import render_template

from cccr_web.content import Content, Text
from cccr_web.render.lists import list_pages

ROBOTS: Final = "robots.txt"
SITEMAP: Final = "sitemap.xml"

# The limits of one sitemap (sitemaps.org, "Using Sitemap index files").
MOST_URLS: Final = 50_000
MOST_BYTES: Final = 50 * 1024 * 1024
# More than the template adds to the URLs: to each page, and to each of its translations.
_AROUND_PAGE: Final = 120
_AROUND_TRANSLATION: Final = 120


def crawler_files(content: Content) -> dict[str, Callable[[], str]]:
    """Return the files for search engines that this site has: name → what renders it.

    They are ``robots.txt``, and one sitemap with each page's translations, or several and an index.
    """
    clearnet = content.site.addresses.clearnet
    files: dict[str, Callable[[], str]] = {ROBOTS: partial(_render, ROBOTS, clearnet=clearnet)}
    if clearnet is None:
        return files
    sitemaps = _sitemaps(content)
    if SITEMAP not in sitemaps:
        days = {name: max(text.head.updated for text in texts) for name, texts in sitemaps.items()}
        files[SITEMAP] = partial(_render, "sitemaps.xml", clearnet=clearnet, days=days)
    for name, texts in sitemaps.items():
        files[name] = partial(_render, SITEMAP, content=content, texts=texts, clearnet=clearnet)
    return files


def _render(template: str, **variables: Any) -> str:
    return render_template(template, **variables)


def _sitemaps(content: Content) -> dict[str, list[Text]]:
    """Return the pages of each sitemap by its name."""
    batches = list(_batches(content))
    if len(batches) == 1:
        return {SITEMAP: batches[0]}
    return {f"sitemap-{number}.xml": batch for number, batch in enumerate(batches, start=1)}


def _batches(content: Content) -> Iterator[list[Text]]:
    pages = [text for text in content.all_texts if not text.is_error_page]
    pages += [page.text for language in content.texts for page in list_pages(content, language)]
    clearnet = len(content.site.addresses.clearnet or "")
    batch: list[Text] = []
    space = MOST_BYTES
    for page in pages:
        urls = [len(text.url) + clearnet for text in content.translations(page)]
        length = _AROUND_PAGE + max(urls) + sum(urls) + _AROUND_TRANSLATION * len(urls)
        # The element around all pages needs some space, too.
        if len(batch) == MOST_URLS or space - length < _AROUND_PAGE * 2:
            yield batch
            batch, space = [], MOST_BYTES
        batch.append(page)
        space -= length
    yield batch
