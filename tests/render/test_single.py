"""The whole site in one HTML file for each language."""

from __future__ import annotations

import itertools

from support.pages import every_language
from support.parsed import Page

from cccr_web.languages import EN, ZH_HANS, Language
from cccr_web.release import Release
from cccr_web.render.copies import single_url


def page_of(release: Release, language: Language) -> Page:
    """Return the file of one language."""
    return Page(release.files[single_url(language)].body)


@every_language
def test_the_file_contains_every_text_except_the_error_pages(
    release: Release, language: Language
) -> None:
    """The file has the content of each page under the same heading."""
    whole = page_of(release, language)
    titles = [words for level, words in whole.headings if level == 2]
    pages = {
        url: Page(file.body)
        for url, file in release.files.items()
        if url.startswith(f"{language.slug}/") and url.endswith(".html")
    }
    del pages[single_url(language)]
    for url, page in pages.items():
        title = page.headings[0][1]
        assert title in titles, url
        shifted = [(level + 1, words) for level, words in page.headings]
        if url.endswith("/copies.html"):
            # Without the list of files and sizes: a file cannot contain its own size.
            shifted = shifted[:-1]
        if "/statements/2" in url:
            # Without the ways to pass on the page.
            shifted = shifted[:-1]
        start = whole.headings.index(shifted[0])
        assert whole.headings[start : start + len(shifted)] == shifted, url


@every_language
def test_headings_descend_from_one_title(release: Release, language: Language) -> None:
    """The file has one h1 and skips no level (WCAG 1.3.1)."""
    levels = [level for level, _ in page_of(release, language).headings]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@every_language
def test_links_between_pages_lead_to_a_section_of_the_file(
    release: Release, language: Language
) -> None:
    """Each link leads to a section of the file or to another site: the file can be alone."""
    page = page_of(release, language)
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert link.startswith("https://"), link
    assert "SHA256SUMS" in page.text
    assert f"#{language.slug}/statements/2011-liu-xiaobo-and-chen-guangcheng.liu-xiaobo" in (
        page.links
    )


@every_language
def test_the_contents_name_every_section(release: Release, language: Language) -> None:
    """The list at the top links to each section, in order."""
    page = page_of(release, language)
    sections = [
        name for name in page.ids if name.startswith(f"{language.slug}/") and "." not in name
    ]
    listed = [link[1:] for link in page.links if link[1:] in sections]
    # The name of the site above the list leads home.
    assert listed[0] == f"{language.slug}/index"
    assert listed[1 : len(sections) + 1] == sections


@every_language
def test_the_file_has_the_policy_and_style_sheet_of_the_pages(
    release_without_addresses: Release, language: Language
) -> None:
    """Opened from a disk, the file may load nothing, like any page."""
    release = release_without_addresses
    home = release.files[f"{language.slug}/index.html"].body
    whole = release.files[single_url(language)].body
    for mark in (b"<style>", b'<meta http-equiv="Content-Security-Policy"'):
        start, end = home.index(mark), home.index(b"\n", home.index(mark))
        assert home[start:end] in whole
    page = Page(whole)
    assert page.language == language.tag
    assert page.elements.isdisjoint({"script", "img", "iframe", "object", "form", "base"})


def test_the_english_file_contains_warnings_notes_dates_and_addresses(release: Release) -> None:
    """The file contains what keeps readers safe, and what has happened since."""
    text = page_of(release, EN).text
    for words in (
        "Do not open our former site.",
        "Editor’s note, 29 November 2026 Liu Xiaobo, born on 28 December 1955, died",
        "Between 2011 and April 2012",
        "7 May 2013 · United Nations Square",
        "Last changed on 29 November 2026.",
        "private bridge cn",
        "Release 1 of 29 November 2026.",
    ):
        assert words in text


def test_the_chinese_file_contains_warnings_notes_dates_and_addresses(release: Release) -> None:
    """The file contains what keeps readers safe, and what has happened since."""
    text = page_of(release, ZH_HANS).text
    for words in (
        "请勿打开旧网站。",
        "编者注，2026年11月29日 刘晓波生于1955年12月28日",
        "2011年至2012年4月之间",
        "2013年5月7日 · 联合国广场",
        "最近修改：2026年11月29日。",
        "private bridge cn",
        "第1版，2026年11月29日发布。",
    ):
        assert words in text
