"""The lists of statements on sites with many (``render/lists.py``)."""

from __future__ import annotations

import gzip
import posixpath
from dataclasses import replace
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from support.many import app_of, many, real_texts, with_statements
from support.pages import Element, every_language, parse
from support.serving import ADDRESSES, DOMAIN, Server, talk

from cccr_web.content.dates import parse_date
from cccr_web.languages import EN, LANGUAGES, ZH_HANS, ZH_HANT, Language
from cccr_web.render.lists import NEWEST, PER_PAGE, list_pages

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from cccr_web.content import Content

INITIAL_WINDOW = 14_600  # bytes: TCP's initial window of ten segments of 1,460 (RFC 6928)
ARCHIVE = "statements/index.html"


class ManySite:
    """A site of which pages are rendered when a test asks for them."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.client: FlaskClient = app_of(content).test_client()
        self._pages: dict[str, bytes] = {}

    def body(self, url: str) -> bytes:
        """Return a page."""
        if url not in self._pages:
            answer = self.client.get(f"/{url}")
            assert answer.status_code == 200, url
            self._pages[url] = answer.get_data()
        return self._pages[url]

    def main(self, url: str) -> Element:
        """Return the main part of a page."""
        return parse(self.body(url)).one("main")

    def links(self, url: str) -> dict[str, str]:
        """Return the files that the main part of a page links to, and the words of each link."""
        return {
            posixpath.normpath(posixpath.join(posixpath.dirname(url), target)): link.text
            for link in self.main(url).all("a")
            if (target := link.attributes["href"].partition("#")[0]) and ":" not in target
        }

    def lists(self, language: Language) -> list[str]:
        """Return the URLs of every list page of a language, the archive first."""
        others = [page.text.url for page in list_pages(self.content, language)]
        return [f"{language.slug}/{ARCHIVE}", *others]

    def statements(self, language: Language) -> set[str]:
        """Return the URL of every statement."""
        return {text.url for text in self.content.statements(language)}


def site_with(days: list[date]) -> ManySite:
    """Return the real site with a statement of each day."""
    return ManySite(with_statements(real_texts(ADDRESSES), days))


def eight_years(count: int) -> list[date]:
    """Return so many days within eight years."""
    return many(count, date(2019, 1, 1), date(2026, 11, 28))


def some(urls: list[str]) -> list[str]:
    """Return the first URL, and at most 20 of the others."""
    return [urls[0], *urls[1 :: max(1, len(urls) // 20)]]


@pytest.fixture(scope="module")
def site() -> ManySite:
    """A site of 402 statements, of which two are the real ones."""
    return site_with(eight_years(400))


@pytest.fixture(scope="module")
def head(server: Server) -> int:
    """Return the bytes of the headers of a compressed page with a long URL."""
    request = f"GET /zh-hant/index.html HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n"
    sent = talk(server.clearnet, request.encode()).partition(b"\r\n\r\n")[0]
    # Onion-Location repeats the URL.
    return len(sent) + len(
        "statements/archive/2026-11-page-10.html\r\nContent-Encoding: gzip\r\n\r\n"
    )


@pytest.mark.parametrize(
    "days",
    [
        pytest.param(eight_years(10), id="10"),
        pytest.param(eight_years(PER_PAGE - 2), id="one full page"),
        pytest.param(eight_years(400), id="400"),
        pytest.param(many(1200, date(1926, 1, 1), date(2026, 11, 28)), id="a month each"),
        pytest.param(many(1200, date(2026, 11, 1), date(2026, 11, 28)), id="1200 in a month"),
        pytest.param(eight_years(10_000), id="10000", marks=pytest.mark.long),
    ],
)
def test_a_list_page_fits_into_the_initial_tcp_window(head: int, days: list[date]) -> None:
    """However many statements there are, each list page fits, compressed, with its headers."""
    site = site_with(days)
    sizes = {
        url: head + len(gzip.compress(site.body(url), 9))
        for language in LANGUAGES
        for url in some(site.lists(language))
    }
    assert {url: size for url, size in sizes.items() if size > INITIAL_WINDOW} == {}


@every_language
@pytest.mark.parametrize("crowded", [False, True], ids=["8 years", "a crowded month"])
def test_every_statement_is_at_most_three_links_from_the_list(
    site: ManySite, language: Language, crowded: bool
) -> None:
    """Followed from the list of statements, three links lead to each of them."""
    if crowded:
        site = site_with([date(2026, 11, 1)] * 300)
    lists, statements = set(site.lists(language)), site.statements(language)
    assert len(lists) > 10
    pages, reached = {f"{language.slug}/{ARCHIVE}"}, set[str]()
    for _ in range(3):
        links = {link for page in pages for link in site.links(page)}
        reached |= links & statements
        pages = links & lists
    assert reached == statements


def test_a_few_statements_are_all_on_one_page_under_their_years() -> None:
    """As long as they fit on one page, the list has every statement, and there is no other."""
    site = site_with(eight_years(PER_PAGE - 2))
    (url,) = site.lists(EN)
    main = site.main(url)
    assert site.statements(EN) <= site.links(url).keys()
    years = [heading.text for heading in main.all("h2")]
    assert years == [*map(str, range(2026, 2018, -1)), "2013", "2011–2012"]
    one_more = site_with(eight_years(PER_PAGE - 1))
    assert len(one_more.lists(EN)) > 1


@pytest.mark.parametrize(
    ("language", "years", "months"),
    [
        (EN, ["Newest statements", "2026", "2025"], ["November (4)", "October (5)"]),
        (ZH_HANS, ["最新声明", "2026年", "2025年"], ["11月 （4篇）", "10月 （5篇）"]),
        (ZH_HANT, ["最新聲明", "2026年", "2025年"], ["11月 （4篇）", "10月 （5篇）"]),
    ],
)
def test_the_list_names_each_month_with_its_number_of_statements(
    site: ManySite, language: Language, years: list[str], months: list[str]
) -> None:
    """Below the newest statements, each year is a heading, and its months link to their pages."""
    main = site.main(f"{language.slug}/{ARCHIVE}")
    assert [heading.text for heading in main.all("h2")][:3] == years
    newest, *of_years = main.all("ul", class_="statements") + main.all("ul", class_="columns")
    titles = [title.text for title in newest.all("p", class_="title")]
    assert titles == [text.head.title for text in site.content.statements(language)[:NEWEST]]
    items = [item for year in of_years for item in year.all("li")]
    shown = [f"{item.one('a').text} {item.one('span').text}" for item in items]
    assert shown[:2] == months
    assert len(shown) == len(site.lists(language)) - 1


def test_a_date_without_a_month_is_listed_under_its_years() -> None:
    """A statement that is not known to the month is in a list of its year, or of its years."""
    content = with_statements(real_texts(), eight_years(30))
    texts = dict(content.texts[EN])
    model = content.statements(EN)[0]
    for name, when in (("2022-a", "2022"), ("2022-05-b", "[2022-05..2022-08]")):
        path = PurePosixPath("statements", name)
        texts[path] = replace(model, path=path, head=replace(model.head, date=parse_date(when)))
    site = ManySite(replace(content, texts={**content.texts, EN: texts}))
    pages = {page.text.path.name: page for page in list_pages(site.content, EN)}
    assert {text.path.name for text in pages["2022"].statements} == {"2022-a", "2022-05-b"}
    links = site.links(f"en/{ARCHIVE}")
    assert links["en/statements/archive/2022.html"] == "Month not known"
    assert links["en/statements/archive/2011-2012.html"] == "Month not known"
    title = site.main("en/statements/archive/2011-2012.html").one("h1").text
    assert title == "Statements: 2011–2012, month not known"


@pytest.mark.parametrize(
    ("language", "title", "newer", "older"),
    [
        (EN, "Statements: October 2026", "Newer: November 2026", "Older: September 2026"),
        (ZH_HANS, "声明：2026年10月", "较新：2026年11月", "较早：2026年9月"),
        (ZH_HANT, "聲明：2026年10月", "較新：2026年11月", "較早：2026年9月"),
    ],
)
def test_a_list_page_has_its_own_title_and_leads_to_its_neighbours(
    site: ManySite, language: Language, title: str, newer: str, older: str
) -> None:
    """The page of a month says so in its title, and links to the months before and after it."""
    page = parse(site.body(f"{language.slug}/statements/archive/2026-10.html"))
    assert page.one("h1").text == title
    assert page.one("title").text.startswith(title)
    assert [line.text for line in page.one("nav", class_="steps").all("p")][:2] == [newer, older]
    for other in LANGUAGES:
        (link,) = page.one("head").all("link", hreflang=other.tag)
        target = posixpath.join(language.slug, "statements/archive", link.attributes["href"])
        assert posixpath.normpath(target) == f"{other.slug}/statements/archive/2026-10.html"


def test_a_crowded_month_has_numbered_pages() -> None:
    """Each page of a month links to the others, and names its number."""
    site = site_with([date(2026, 11, 1)] * (2 * PER_PAGE + 1) + [date(2026, 10, 1)])
    names = ["2026-11", "2026-11-page-2", "2026-11-page-3"]
    pages = [f"en/statements/archive/{name}.html" for name in names]
    for number, url in enumerate(pages, start=1):
        numbers = parse(site.body(url)).one("main").one("nav", class_="more")
        assert [item.text for item in numbers.all("li")] == ["1", "2", "3"]
        assert numbers.one("span", aria_current="page").text == str(number)
    assert site.main(pages[1]).one("h1").text == "Statements: November 2026, page 2"


def test_a_new_statement_changes_no_url() -> None:
    """Where there were list pages, all of them stay."""
    days = eight_years(60)
    before = site_with(days).lists(EN)
    after = site_with([*days, date(2020, 2, 3), days[-1] + timedelta(1)]).lists(EN)
    assert set(before) <= set(after)


def test_the_sitemap_names_every_list_page(site: ManySite) -> None:
    """Search engines find the list pages, too."""
    sitemap = site.body("sitemap.xml").decode()
    for language in LANGUAGES:
        for url in site.lists(language):
            assert f"<loc>https://{DOMAIN}/{url}</loc>" in sitemap
