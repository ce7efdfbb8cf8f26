"""What programs that index the web are told.

A sitemap must name whole addresses (sitemaps.org, "Sitemaps XML format"), so there is one
only where the site has an address on the clearnet. It is the one file of a release that
names its own address; pages never do.
"""

from __future__ import annotations

from typing import Final

from flask import render_template

from cccr_web.content import Content

ROBOTS: Final = "robots.txt"
SITEMAP: Final = "sitemap.xml"


def crawler_files(content: Content) -> tuple[str, ...]:
    """Return which of the files there are."""
    return (ROBOTS, SITEMAP) if content.site.addresses.clearnet else (ROBOTS,)


def render_crawler_file(name: str, content: Content) -> str:
    """Return one of them: robots.txt (RFC 9309) or the sitemap, with each page's twins."""
    texts = [
        text
        for of_language in content.texts.values()
        for text in of_language.values()
        if not text.is_error_page
    ]
    clearnet = content.site.addresses.clearnet
    return render_template(name, content=content, texts=texts, clearnet=clearnet)
