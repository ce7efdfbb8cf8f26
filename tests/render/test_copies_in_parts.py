"""Copies of a site that is too large for one file: parts by year, with links between them."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.many import app_of, many, real_texts, with_statements
from support.pages import every_language
from support.parsed import Page, dead_links
from test_epub import epubcheck

from cccr_web.content import Content, Text
from cccr_web.content.markdown import parse
from cccr_web.languages import EN, LANGUAGES, ZH_HANS, ZH_HANT, Language
from cccr_web.render import copies
from cccr_web.render.app import copy_urls
from cccr_web.render.copies import COPIES, epub_url, single_url

LIMIT = 300_000
DC = "{http://purl.org/dc/elements/1.1/}"
# Every statement has links to an old one, to a page, and to a heading of each.
BODY = (
    """Release all of them, as in [the rally](2013-05-07-tiananmen-rally.md), and [verify](
../pages/verify.md) it, or read [what happened](../pages/who-we-are.md#former-site).
See [Liu Xiaobo](2011-liu-xiaobo-and-chen-guangcheng.md#liu-xiaobo).

"""
    + "We ask the court to hear them. " * 100
)


class MadeCopies:
    """Every file of the copies of one site."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.sizes: dict[str, int] = {}
        app = app_of(content, self.sizes)
        client = app.test_client()
        self.files: dict[str, bytes] = {}
        for url in copy_urls(app):
            self.files[url] = client.get(f"/{url}").get_data()
            self.sizes[url] = len(self.files[url])
        self.lists = {
            language: client.get(f"/{language.slug}/copies.html").get_data()
            for language in LANGUAGES
        }

    def pages(self, language: Language) -> dict[str, Page]:
        """Return the HTML files of a language, the newest part first."""
        return {
            url: Page(body)
            for url, body in self.files.items()
            if url.startswith(f"{language.slug}/") and url.endswith(".html")
        }

    def book(self, url: str) -> zipfile.ZipFile:
        """Open an EPUB."""
        return zipfile.ZipFile(io.BytesIO(self.files[url]))


@pytest.fixture(scope="module")
def made() -> MadeCopies:
    """The copies of a site of 162 statements over eight years, with a limit of 300 KB."""
    days = many(160, date(2019, 1, 1), date(2026, 11, 28))
    content = with_statements(real_texts(), days, body=parse(BODY, lines_before=0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "MOST_BYTES", LIMIT)
        return MadeCopies(content)


def sections(page: Page, language: Language) -> set[str]:
    """Return the ids of the sections of an HTML file."""
    return {name for name in page.ids if name.startswith(f"{language.slug}/") and "." not in name}


@every_language
def test_each_part_is_within_the_limit_and_each_text_in_one_of_them(
    made: MadeCopies, language: Language
) -> None:
    """The parts are small enough; together they have every text once, each older one a year."""
    pages = made.pages(language)
    main, *older = pages
    assert main == single_url(language)
    assert len(older) > 3
    assert all(len(made.files[url]) <= LIMIT for url in pages)
    found = [name for page in pages.values() for name in sections(page, language)]
    texts = [text for text in made.content.texts[language].values() if not text.is_error_page]
    assert sorted(found) == sorted(f"{language.slug}/{text.path}" for text in texts)
    kept = {year_of(text) for text in texts if id_of(text) in sections(pages[main], language)}
    assert {None, 2026} <= kept
    for url in older:
        year = int(url.removesuffix(".html")[-4:])
        assert year not in kept
        assert {year} == {
            year_of(text) for text in texts if id_of(text) in sections(pages[url], language)
        }


def id_of(text: Text) -> str:
    """Return the id of the section of a text."""
    return f"{text.language.slug}/{text.path}"


def year_of(text: Text) -> int | None:
    """Return the year of a statement; ``None`` for a page."""
    return text.head.date.start.year if text.head.date else None


@every_language
def test_links_lead_from_part_to_part(made: MadeCopies, language: Language) -> None:
    """Every link leads to a section or a heading of the same part, of another one, or outside."""
    pages = made.pages(language)
    assert dead_links(pages, set(pages)) == set()
    slug = language.slug
    main, newest = single_url(language), pages[single_url(language)]
    rally = f"{slug}/statements/2013-05-07-tiananmen-rally"
    assert f"cccr-{slug}-2013.html#{rally}" in newest.links
    part = pages[f"{slug}/cccr-{slug}-2013.html"]
    assert rally in part.ids
    assert f"cccr-{slug}.html#{slug}/index" in part.links
    assert {url.rpartition("/")[2] for url in pages if url != main} <= set(newest.links)
    assert main.rpartition("/")[2] in part.links


@every_language
def test_the_books_have_the_same_parts(made: MadeCopies, language: Language) -> None:
    """Each HTML file has an EPUB with the same texts, its own title and its own identifier."""
    names = set()
    for url, page in made.pages(language).items():
        book = made.book(url.replace(".html", ".epub"))
        chapters = {name for name in book.namelist() if name.startswith("EPUB/text/")}
        assert chapters == {
            f"EPUB/text/{name.removeprefix(language.slug + '/')}.xhtml"
            for name in sections(page, language)
        }
        texts = {name: Page(book.read(name)) for name in book.namelist() if ".xhtml" in name}
        assert dead_links(texts, set(book.namelist())) == set()
        package = ET.fromstring(book.read("EPUB/package.opf"))  # noqa: S314  # our own
        names.add((package.findtext(f".//{DC}title"), package.findtext(f".//{DC}identifier")))
        front = texts["EPUB/front.xhtml"].text
        assert all(
            other.rpartition("/")[2] in front
            for other in made.files
            if ".epub" in other and other.startswith(f"{language.slug}/")
        )
    assert len({title for title, _ in names}) == len({name for _, name in names}) == len(names)


def test_the_newest_book_keeps_its_identifier(made: MadeCopies) -> None:
    """An e-reader treats the newest part as the next edition of the whole book."""
    package = ET.fromstring(made.book(epub_url(EN)).read("EPUB/package.opf"))  # noqa: S314
    assert package.findtext(f".//{DC}identifier") == "urn:uuid:3d5dcda5-316d-56f2-9814-0739855fcd52"


@pytest.mark.parametrize("url", ["en/cccr-en.epub", "zh-hans/cccr-zh-hans-2013.epub"])
def test_epubcheck_finds_nothing_in_a_part(made: MadeCopies, url: str, tmp_path: Path) -> None:
    """A part is a valid book of its own."""
    epubcheck(made.files[url], tmp_path)


@every_language
def test_the_copies_page_lists_every_part_with_its_size(
    made: MadeCopies, language: Language
) -> None:
    """Readers see each file of each language, how large it is, and what the years mean."""
    page = Page(made.lists[language])
    words = {EN: "with a year in its name", ZH_HANS: "文件名带年份的", ZH_HANT: "檔名帶年份的"}
    assert words[language] in page.text
    for url, body in made.files.items():
        name = url.rpartition("/")[2]
        size = re.search(rf"{re.escape(name)} [(（](\d+) kB[)）]", page.text)
        assert size, name
        assert int(size[1]) == -(-len(body) // 1000)
    assert {link.removeprefix("../") for link in page.links} >= made.files.keys() - {
        url for url in made.files if url.startswith(f"{language.slug}/")
    }


@pytest.mark.parametrize(
    ("language", "newest", "older"),
    [
        (EN, "All pages, and the statements of 2025–2026", "Statements of 2013"),
        (ZH_HANS, "全部页面，以及2025–2026年的声明", "2013年的声明"),
        (ZH_HANT, "全部頁面，以及2025–2026年的聲明", "2013年的聲明"),
    ],
)
def test_each_part_says_what_it_has(
    made: MadeCopies, language: Language, newest: str, older: str
) -> None:
    """The heading of a part names its years."""
    pages = made.pages(language)
    slug = language.slug
    assert pages[single_url(language)].headings[0] == (1, newest)
    assert pages[f"{slug}/cccr-{slug}-2013.html"].headings[0] == (1, older)


def test_a_year_above_the_limit_is_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A year is not divided, and the newest part has at least one."""
    days = [date(2026, 1, 1)] * 40 + [date(2025, 1, 1)] * 40
    content = with_statements(real_texts(), days, body=parse(BODY, lines_before=0))
    monkeypatch.setattr(copies, "MOST_BYTES", 100_000)
    made = MadeCopies(content)
    names = [url.rpartition("/")[2] for url in made.pages(EN)]
    assert names == [f"cccr-en{year}.html" for year in ("", "-2025", "-2013", "-2011")]


def test_the_limit_is_reached_only_by_large_sites() -> None:
    """Up to 5 MB there is one file in each format."""
    assert copies.MOST_BYTES == 5_000_000
    days = many(60, date(2019, 1, 1), date(2026, 11, 28))
    assert set(MadeCopies(with_statements(real_texts(), days)).files) == set(COPIES)
