"""robots.txt and the sitemap (``render/app.py``)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from support.serving import DOMAIN

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.languages import LANGUAGES
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.serve.policy import media_type

SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
XHTML = "{http://www.w3.org/1999/xhtml}"


@pytest.fixture(scope="module")
def urls(release: Release) -> list[ET.Element]:
    """The pages that the sitemap names."""
    root = ET.fromstring(release.files["sitemap.xml"].body)  # noqa: S314  # our own
    assert root.tag == f"{SITEMAP}urlset"
    return list(root)


def test_every_page_once(release: Release, urls: list[ET.Element]) -> None:
    """The sitemap names each page by its whole address, and no error page and no copy."""
    named = [url.findtext(f"{SITEMAP}loc") for url in urls]
    expected = {
        f"https://{DOMAIN}/{path}"
        for path in release.files
        if path.endswith(".html") and "/errors/" not in path and "/cccr-" not in path
    } - {f"https://{DOMAIN}/index.html"}
    assert set(named) == expected
    assert len(named) == len(expected)


def test_each_names_its_twins_and_itself(urls: list[ET.Element]) -> None:
    """The alternates of a page are the same on each of its twins: the set is closed."""
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


def test_the_day_of_the_last_change(urls: list[ET.Element]) -> None:
    """Each page is dated by its own text."""
    assert {url.findtext(f"{SITEMAP}lastmod") for url in urls} == {"2026-11-22"}


def test_robots(release: Release) -> None:
    """Everybody may read everything, and is told where the sitemap is."""
    assert release.files["robots.txt"].body.decode() == (
        f"User-agent: *\nAllow: /\n\nSitemap: https://{DOMAIN}/sitemap.xml\n"
    )
    assert media_type("robots.txt") == "text/plain; charset=utf-8"
    assert media_type("sitemap.xml") == "application/xml"


def test_without_a_clearnet_address_there_is_no_sitemap() -> None:
    """A sitemap must name whole addresses; an onion alone is not put into one."""
    trees = find_tree("translations"), find_tree("templates")
    release = build_release(*trees, addresses=Addresses(None, ("a" * 56 + ".onion",)), environ={})
    assert "sitemap.xml" not in release.files
    assert release.files["robots.txt"].body == b"User-agent: *\nAllow: /\n"
