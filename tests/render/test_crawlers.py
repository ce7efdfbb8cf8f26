"""robots.txt and the sitemap (``render/app.py``)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from support.pages import SHARED
from support.serving import DOMAIN

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.languages import LANGUAGES
from cccr_web.release import Release, media_type
from cccr_web.render import build_release

SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def urls(release: Release) -> list[ET.Element]:
    """The pages in the sitemap."""
    root = ET.fromstring(release.files["sitemap.xml"].body)  # noqa: S314  # our own
    assert root.tag == f"{SITEMAP}urlset"
    return list(root)


def test_the_sitemap_names_every_page_once(release: Release, urls: list[ET.Element]) -> None:
    """The sitemap has the absolute URL of each page, and no error pages or copies."""
    named = [url.findtext(f"{SITEMAP}loc") for url in urls]
    expected = {
        f"https://{DOMAIN}/{path}"
        for path in release.files
        if path.endswith(".html") and path not in SHARED and "/cccr-" not in path
    }
    assert set(named) == expected
    assert len(named) == len(expected)


def test_the_sitemap_names_every_translation_of_a_page(urls: list[ET.Element]) -> None:
    """All translations of a page have the same set of alternates."""
    sets: dict[str | None, dict[str | None, str | None]] = {
        url.findtext(f"{SITEMAP}loc"): {
            link.get("hreflang"): link.get("href") for link in url.findall(f"{XHTML}link")
        }
        for url in urls
    }
    for own, twins in sets.items():
        assert own in twins.values()
        assert twins.keys() == {language.tag for language in LANGUAGES}
        assert all(sets[twin] == twins for twin in twins.values())


def test_the_sitemap_dates_each_page_by_its_text(urls: list[ET.Element]) -> None:
    """The date of a page is the date in its own front matter."""
    assert {url.findtext(f"{SITEMAP}lastmod") for url in urls} == {"2026-11-29"}


def test_robots_allows_everything_and_names_the_sitemap(release: Release) -> None:
    """All crawlers may read everything, and learn where the sitemap is."""
    assert release.files["robots.txt"].body.decode() == (
        f"User-agent: *\nAllow: /\n\nSitemap: https://{DOMAIN}/sitemap.xml\n"
    )
    assert media_type("robots.txt") == "text/plain; charset=utf-8"
    assert media_type("sitemap.xml") == "application/xml"


def test_without_a_clearnet_address_there_is_no_sitemap() -> None:
    """A sitemap needs absolute URLs, and onions are not put into one."""
    trees = find_tree("translations"), find_tree("templates")
    release = build_release(*trees, addresses=Addresses(None, ("a" * 56 + ".onion",)))
    assert "sitemap.xml" not in release.files
    assert release.files["robots.txt"].body == b"User-agent: *\nAllow: /\n"
