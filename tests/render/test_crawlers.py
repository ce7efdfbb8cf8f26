"""robots.txt and the sitemap (``render/crawlers.py``)."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree as ET

import pytest
from support.many import app_of, real_texts, with_statements
from support.pages import SHARED
from support.serving import ADDRESSES, DOMAIN

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.languages import LANGUAGES
from cccr_web.release import Release, media_type
from cccr_web.render import build_release, crawlers
from cccr_web.render.crawlers import crawler_files

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


@pytest.mark.parametrize(
    ("limit", "value"), [("MOST_URLS", 50), ("MOST_BYTES", 40_000), ("MOST_BYTES", 29_999)]
)
def test_a_site_above_the_limits_has_an_index_of_sitemaps(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    """Above a limit of the protocol, sitemap.xml lists sitemaps, each of which is within it."""
    content = with_statements(real_texts(ADDRESSES), [date(2026, 11, day) for day in range(1, 19)])
    client = app_of(content).test_client()
    assert [*crawler_files(content)] == ["robots.txt", "sitemap.xml"]
    whole = ET.fromstring(client.get("/sitemap.xml").get_data())  # noqa: S314  # our own
    monkeypatch.setattr(crawlers, limit, value)
    client = app_of(content).test_client()
    index = ET.fromstring(client.get("/sitemap.xml").get_data())  # noqa: S314  # our own
    assert index.tag == f"{SITEMAP}sitemapindex"
    names = [item.findtext(f"{SITEMAP}loc", "").rpartition("/")[2] for item in index]
    assert [*crawler_files(content)] == ["robots.txt", "sitemap.xml", *names]
    assert len(names) > 1
    named: list[str | None] = []
    for name, item in zip(names, index, strict=True):
        body = client.get(f"/{name}").get_data()
        urls = list(ET.fromstring(body))  # noqa: S314  # our own
        days = [url.findtext(f"{SITEMAP}lastmod", "") for url in urls]
        assert item.findtext(f"{SITEMAP}lastmod") == max(days)
        assert (len(urls) if limit == "MOST_URLS" else len(body)) <= value
        named += [url.findtext(f"{SITEMAP}loc") for url in urls]
    assert named == [url.findtext(f"{SITEMAP}loc") for url in whole]


def test_the_limits_are_those_of_the_protocol() -> None:
    """A sitemap has at most 50,000 URLs and 50 MB."""
    assert (crawlers.MOST_URLS, crawlers.MOST_BYTES) == (50_000, 52_428_800)
