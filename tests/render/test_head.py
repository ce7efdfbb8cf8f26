"""What a page says of itself to those who link to it (``templates/parts/head.html``)."""

from __future__ import annotations

import pytest
from support.pages import SHARED, Element, pages

from cccr_web.config import find_tree
from cccr_web.languages import LANGUAGES
from cccr_web.release import Release
from cccr_web.render import build_release

WORDS = {"en": "Document", "zh-hans": "文档", "zh-hant": "文檔"}


def graph(page: Element) -> dict[str, str]:
    """Return the Open Graph texts of a page."""
    return {
        meta.attributes["property"]: meta.attributes["content"]
        for meta in page.one("head").all("meta")
        if "property" in meta.attributes
    }


@pytest.fixture(scope="module")
def neutral() -> Release:
    """The site built with neutral titles."""
    trees = find_tree("translations"), find_tree("templates")
    return build_release(*trees, neutral_titles=True)


def test_open_graph_describes_the_page_without_addresses(release: Release) -> None:
    """A page gives its title, description, type and locale, and no URL."""
    names = {
        "en": "Chinese Coalition for Citizens Rights",
        "zh-hans": "公民自由联盟",
        "zh-hant": "公民自由聯盟",
    }
    locales = {"en": "en_GB", "zh-hans": "zh_CN", "zh-hant": "zh_TW"}
    for path, page in pages(release).items():
        slug = path.partition("/")[0]
        if path in SHARED or "/cccr-" in path:
            assert graph(page) == {}, path
            continue
        dated = path.startswith(f"{slug}/statements/2")
        description = page.one("meta", name="description").attributes["content"]
        assert graph(page) == {
            "og:type": "article" if dated else "website",
            "og:title": page.one("title").text.partition(" · ")[0],
            "og:description": description,
            "og:site_name": names[slug],
            "og:locale": locales[slug],
        }, path


def test_neutral_titles_are_the_same_on_every_page(neutral: Release) -> None:
    """Every page of a language has the same title, and no Open Graph text."""
    site = pages(neutral)
    for path, page in site.items():
        slug = path.partition("/")[0] if "/" in path else "zh-hans"
        assert page.one("title").text == WORDS[slug], path
        assert graph(page) == {}, path
    assert len(site) > 3 * 10


def test_neutral_titles_change_nothing_else(neutral: Release) -> None:
    """The text of the pages is the same as without the option."""
    plain = build_release(find_tree("translations"), find_tree("templates"))
    assert neutral.files.keys() == plain.files.keys()
    for language in LANGUAGES:
        for name in ("who-we-are.html", "statements/2013-05-07-tiananmen-rally.html"):
            path = f"{language.slug}/{name}"
            ours, theirs = (
                release.files[path].body.decode().partition("<body>")[2]
                for release in (neutral, plain)
            )
            assert ours == theirs
