"""One EPUB a language."""

from __future__ import annotations

import io
import os
import posixpath
import shutil
import subprocess
import zipfile
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.command import SHORT_LIVED
from support.pages import every_language
from support.parsed import Page, dead_links
from support.photographs import photo, put_photo
from support.serving import ADDRESSES
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.languages import EN, WRITTEN, ZH_HANS, Language
from cccr_web.release import Release
from cccr_web.render import build_release
from cccr_web.render.copies import epub_url, single_url

OPF = "{http://www.idpf.org/2007/opf}"
DC = "{http://purl.org/dc/elements/1.1/}"

# A text with all of our Markdown, and with what XML must escape.
HARD = """+++
title = "Less < more & “more” > 'less'"
description = "A text that tries XML: < & >."
updated = 2026-11-22
date = "2014-06-04"
place = "A & B"
+++
A line with a hard break,\\
an [outside link](https://example.org/?a=1&b=2), an [inner one](../pages/who-we-are.md#former-site)
and the [list](/SHA256SUMS) & `<code>`.

***

> [!NOTE 2026-11-22]

> A quotation, which is not a note.

## A name that begins with a digit {#1989}

### Three {#three}

#### Four {#four}

##### Five {#five}

###### Six {#six}

| a | b |
|---|---|
| 1 & 2 | <https://example.org/> |

See [above](#1989).
"""

# The same in Chinese, where it would be taken for a text that nobody translated.
IN_CHINESE = {
    "A line with a hard break,": "这一行硬换行，",
    "an [outside link]": "[站外链接]",
    "an [inner one]": "[站内链接]",
    "and the [list]": "和[清单]",
    "A name that begins with a digit": "以数字开头的名字",
}


def parse(body: bytes) -> ET.Element:
    """Parse XML that we have made ourselves."""
    return ET.fromstring(body)  # noqa: S314


def build_with_every_construct(folder: Path) -> Release:
    """Return the site with a photo, addresses and a statement that uses every construct."""
    tree = copy_texts(folder)
    for language in WRITTEN:
        file = tree / language.locale / "statements" / "2014-06-04-hard.md"
        text = HARD
        for english, chinese in IN_CHINESE.items() if language is ZH_HANS else ():
            assert english in text
            text = text.replace(english, chinese)
        file.write_text(text, encoding="utf-8")
    put_photo(tree, "square.jpg", photo())
    return build_release(tree, find_tree("templates"), addresses=ADDRESSES)


def book_of(release: Release, language: Language) -> zipfile.ZipFile:
    """Open the book of one language."""
    return zipfile.ZipFile(io.BytesIO(release.files[epub_url(language)].body))


def chapters_of(book: zipfile.ZipFile) -> dict[str, Page]:
    """Return the pages of a book, by path."""
    return {name: Page(book.read(name)) for name in book.namelist() if name.endswith(".xhtml")}


def epubcheck(body: bytes, folder: Path) -> None:
    """Run EPUBCheck over a book; its warnings are errors."""
    # Debian's command is a JAR, which runs by itself only where jarwrapper is set up.
    jar, java = shutil.which("epubcheck"), shutil.which("java")
    assert jar, "Install Debian's package epubcheck."
    assert java, "Install Debian's package epubcheck; it brings Java."
    file = folder / "book.epub"
    file.write_bytes(body)
    done = subprocess.run(
        [java, *SHORT_LIVED, "-jar", jar, "--failonwarnings", str(file)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"LC_ALL": "C.UTF-8"},  # in the locale C, Java finds only ASCII names
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 fatals / 0 errors / 0 warnings / 0 infos" in done.stdout


@every_language
def test_epubcheck_finds_nothing(release: Release, language: Language, tmp_path: Path) -> None:
    """The book passes EPUBCheck without even a hint."""
    epubcheck(release.files[epub_url(language)].body, tmp_path)


def test_epubcheck_finds_nothing_in_a_text_with_every_construct(tmp_path: Path) -> None:
    """Everything that a writer may write becomes a valid book."""
    release = build_with_every_construct(tmp_path)
    epubcheck(release.files[epub_url(EN)].body, tmp_path)
    book = book_of(release, EN)
    images = {name for name in book.namelist() if name.endswith((".png", ".jpg"))}
    assert images == {"EPUB/onion.png", "EPUB/photos/square-480.jpg"}
    page = Page(book.read("EPUB/text/statements/2014-06-04-hard.xhtml"))
    assert page.headings[0] == (1, "Less < more & “more” > 'less'")
    assert "at-1989" in page.ids
    assert "../who-we-are.xhtml#at-former-site" in page.links
    assert "2014-06-04-hard.xhtml#at-1989" in page.links
    # On the one page everything is a level lower, but HTML has no seventh.
    levels = [level for level, _ in Page(release.files[single_url(EN)].body).headings]
    assert max(levels) == 6
    # The list is not in the book, so its name is not a link.
    assert "and the list & <code>." in page.text
    assert not any("SHA256SUMS" in link for link in page.links)


@every_language
def test_the_media_type_comes_first_and_uncompressed(release: Release, language: Language) -> None:
    """The first file is the media type, without an extra field (OCF, 4.3.2); all are stored."""
    body = release.files[epub_url(language)].body
    assert body[30:58] == b"mimetypeapplication/epub+zip"
    entries = book_of(release, language).infolist()
    assert [entry.filename for entry in entries[1:]] == sorted(
        entry.filename for entry in entries[1:]
    )
    assert {entry.date_time for entry in entries} == {(2026, 11, 29, 0, 0, 0)}
    assert not any(entry.extra for entry in entries)
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}


@every_language
def test_every_file_is_well_formed_xml(
    release_without_addresses: Release, language: Language
) -> None:
    """A strict e-reader can parse every file of the book."""
    book = book_of(release_without_addresses, language)
    for name in book.namelist():
        if not name.endswith((".css", "mimetype")):
            parse(book.read(name))


@every_language
def test_every_link_stays_in_the_book_or_leads_to_another_site(
    release: Release, language: Language
) -> None:
    """No link leads to a file that is not in the book."""
    book = book_of(release, language)
    assert dead_links(chapters_of(book), set(book.namelist())) == set()


@every_language
def test_the_contents_and_the_spine_name_every_chapter(
    release: Release, language: Language
) -> None:
    """Each text but the error pages is a chapter, in the same order everywhere."""
    book = book_of(release, language)
    package = parse(book.read("EPUB/package.opf"))
    files = {str(item.get("id")): str(item.get("href")) for item in package.iter(f"{OPF}item")}
    spine = [files[str(item.get("idref"))] for item in package.iter(f"{OPF}itemref")]
    nav = Page(book.read("EPUB/nav.xhtml"))
    ncx = parse(book.read("EPUB/toc.ncx"))
    sources = [
        item.get("src") for item in ncx.iter("{http://www.daisy.org/z3986/2005/ncx/}content")
    ]
    assert [link for link in nav.links if link.endswith(".xhtml")] == spine == sources
    pages = {
        url.removeprefix(f"{language.slug}/").removesuffix(".html")
        for url in release.files
        if url.startswith(f"{language.slug}/") and url.endswith(".html")
    }
    pages = {page for page in pages if not page.startswith(("errors/", "cccr-"))}
    assert {f"text/{page}.xhtml" for page in pages} | {"front.xhtml"} == set(spine)
    assert spine[:2] == ["front.xhtml", "text/index.xhtml"]
    entries = parse(book.read("EPUB/nav.xhtml")).iter("{http://www.w3.org/1999/xhtml}a")
    names = ["".join(entry.itertext()) for entry in entries]
    assert len(names) == len(set(names)) == len(spine)
    newest = spine.index("text/statements/2013-05-07-tiananmen-rally.xhtml")
    assert spine[newest - 1 : newest + 2] == [
        "text/statements/index.xhtml",
        "text/statements/2013-05-07-tiananmen-rally.xhtml",
        "text/statements/2011-liu-xiaobo-and-chen-guangcheng.xhtml",
    ]


@pytest.mark.parametrize(
    ("language", "title", "identifier"),
    [
        (
            EN,
            "Chinese Coalition for Citizens Rights",
            "urn:uuid:3d5dcda5-316d-56f2-9814-0739855fcd52",
        ),
        (ZH_HANS, "公民自由联盟", "urn:uuid:e4b4435b-acb2-5e9b-ba74-5b51aff6a42a"),
    ],
)
def test_a_later_edition_keeps_the_identifier_and_has_its_own_time(
    language: Language, title: str, identifier: str
) -> None:
    """Title, language and identifier stay the same; the time is that of the release."""
    for time in ("2027-01-15T08:00:00Z", "2030-03-17T17:46:41Z"):
        made = build_release(
            find_tree("translations"), find_tree("templates"), time=datetime.fromisoformat(time)
        )
        package = parse(book_of(made, language).read("EPUB/package.opf"))
        assert package.findtext(f".//{DC}title") == title
        assert package.findtext(f".//{DC}language") == language.tag
        assert package.findtext(f".//{DC}identifier") == identifier
        assert package.findtext(f".//{OPF}meta[@property='dcterms:modified']") == time
        ncx = parse(book_of(made, language).read("EPUB/toc.ncx"))
        uid = ncx.find(".//*[@name='dtb:uid']")
        assert uid is not None
        assert uid.get("content") == identifier


@every_language
def test_each_chapter_names_its_language(release: Release, language: Language) -> None:
    """An e-reader can choose fonts and a voice for each chapter."""
    for name, page in chapters_of(book_of(release, language)).items():
        assert page.language == language.tag, name
        assert page.headings[0][0] == 1, name


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            EN,
            {
                "front": ["Do not open our former site.", "Release 1 of 29 November 2026."],
                "2011-liu-xiaobo-and-chen-guangcheng": [
                    "Between 2011 and April 2012",
                    "Editor’s note, 29 November 2026 Liu Xiaobo, born on",
                    "Last changed on 29 November 2026.",
                ],
                "reach-us": ["private bridge cn"],
            },
        ),
        (
            ZH_HANS,
            {
                "front": ["请勿打开旧网站。", "第1版，2026年11月29日发布。"],
                "2011-liu-xiaobo-and-chen-guangcheng": [
                    "2011年至2012年4月之间",
                    "编者注，2026年11月29日 刘晓波生于",
                ],
                "reach-us": ["private bridge cn"],
            },
        ),
    ],
    ids=["en", "zh-Hans"],
)
def test_a_book_contains_warnings_notes_dates_and_addresses(
    release: Release, language: Language, words: dict[str, list[str]]
) -> None:
    """The book contains what keeps readers safe, and what has happened since."""
    chapters = chapters_of(book_of(release, language))
    pages = {posixpath.basename(name): page for name, page in chapters.items()}
    for name, shown in words.items():
        for each in shown:
            assert each in pages[f"{name}.xhtml"].text


@every_language
def test_notes_have_their_own_style(release: Release, language: Language) -> None:
    """An editor's note is an aside with a class that the book's style sheet formats."""
    book = book_of(release, language)
    appeal = book.read("EPUB/text/statements/2011-liu-xiaobo-and-chen-guangcheng.xhtml").decode()
    assert appeal.count('<aside class="note" role="note"') == 3
    assert ".note{" in book.read("EPUB/style.css").decode()
