"""The Atom feeds (``render/feed.py``, ``feed.xml``): valid, whole, and right at every address."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from lxml import etree
from support.pages import Element, every_language, pages
from support.parsed import Page
from support.texts import copy_texts

from cccr_web.config import find_tree
from cccr_web.languages import EN, LANGUAGES, WRITTEN, ZH_HANS, ZH_HANT, Language
from cccr_web.release import Release, media_type
from cccr_web.render import build_release
from cccr_web.render.template_renderer import feed_url

ATOM = "{http://www.w3.org/2005/Atom}"
XHTML = "{http://www.w3.org/1999/xhtml}"
XML = "{http://www.w3.org/XML/1998/namespace}"
# RFC 4151, section 2.1.
TAG_URI = re.compile(r"tag:[a-z0-9.-]+,\d{4}(-\d\d(-\d\d)?)?:[A-Za-z0-9._~!$&'()*+,;=:@/?%-]+")


def feed_of(release: Release, language: Language) -> etree._Element:
    """Return the root of a feed."""
    return etree.fromstring(release.files[feed_url(language)].body)


def words(element: etree._Element, name: str) -> list[str]:
    """Return the text of each child of this name."""
    return ["".join(child.itertext()) for child in element.findall(ATOM + name)]


@pytest.fixture(scope="module")
def grammar() -> etree.RelaxNG:
    """The grammar of RFC 4287."""
    return etree.RelaxNG(etree.parse(Path(__file__).with_name("atom.rng")))


@every_language
def test_every_feed_is_valid(release: Release, grammar: etree.RelaxNG, language: Language) -> None:
    """Each feed follows the grammar of RFC 4287."""
    grammar.assertValid(feed_of(release, language))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<updated>2026-11-29T00:00:00Z</updated>", ""),
        ("2026-11-29T00:00:00Z", "2026-11-29"),
        ("<title>", "<name>"),
        ('rel="self"', 'rel="self" lang="en"'),
        ('hreflang="en"', 'hreflang="en_GB!"'),
        ('type="xhtml"', 'type="html"'),
        ("<summary>", "<description>"),
    ],
)
def test_the_grammar_rejects_a_broken_feed(
    release: Release, grammar: etree.RelaxNG, old: str, new: str
) -> None:
    """A feed with one error is invalid, so the test above can fail."""
    text = release.files[feed_url(EN)].body.decode()
    assert old in text
    text = text.replace(old, new).replace("</title>" if "<name>" in new else "\0", "</name>")
    text = text.replace("</summary>" if "<desc" in new else "\0", "</description>")
    assert not grammar.validate(etree.fromstring(text.encode()))


@every_language
def test_ids_authors_and_alternates_follow_the_rfc(release: Release, language: Language) -> None:
    """Each id is unique; there is an author, and each has one alternate (section 4.1)."""
    feed = feed_of(release, language)
    entries = feed.findall(ATOM + "entry")
    ids = [*words(feed, "id"), *(words(entry, "id")[0] for entry in entries)]
    assert len(set(ids)) == len(ids) == 1 + len(entries)
    assert all(TAG_URI.fullmatch(name) for name in ids)
    assert len(feed.findall(f"{ATOM}author/{ATOM}name")) == 1
    assert feed.get(f"{XML}lang") == language.tag
    (own,) = [link for link in feed.findall(ATOM + "link") if link.get("rel") == "self"]
    assert own.attrib == {
        "rel": "self",
        "type": media_type(feed_url(language)),
        "hreflang": language.tag,
        "href": posixpath.basename(feed_url(language)),
    }
    for element in [feed, *entries]:
        assert all(words(element, name) != [""] for name in ("title", "id", "updated"))
        (alternate,) = [
            link for link in element.findall(ATOM + "link") if link.get("rel") == "alternate"
        ]
        assert alternate.get("hreflang") == language.tag
    assert words(feed, "updated") == [max(words(entry, "updated")[0] for entry in entries)]


@every_language
def test_every_statement_is_complete(release: Release, language: Language) -> None:
    """The feed has every statement, newest first, with the text and notes of its page."""
    entries = feed_of(release, language).findall(ATOM + "entry")
    paths = [entry.find(ATOM + "link").get("href") for entry in entries]
    assert paths == [
        "statements/2013-05-07-tiananmen-rally.html",
        "statements/2011-liu-xiaobo-and-chen-guangcheng.html",
    ]
    site = pages(release)
    for entry, path in zip(entries, paths, strict=True):
        page = site[f"{language.slug}/{path}"].one("article")
        content = entry.find(ATOM + "content")
        assert content.get("type") == "xhtml"
        (div,) = content
        text = " ".join("".join(div.itertext()).split())
        for block in page.all("p") + page.all("li"):
            assert block.text in text
        assert len(content.findall(f".//{XHTML}aside")) == len(page.all("aside")) > 0
        assert words(entry, "title") == [page.one("h1").text]


def test_a_statement_has_a_day_only_if_it_is_known(release: Release) -> None:
    """An entry always has the day of its last change, and the day of the statement if known."""
    dated, undated = feed_of(release, EN).findall(ATOM + "entry")
    assert words(dated, "published") == ["2013-05-07T00:00:00Z"]
    assert words(undated, "published") == []
    assert words(dated, "updated") == words(undated, "updated") == ["2026-11-29T00:00:00Z"]
    assert "Between 2011 and April 2012" in words(undated, "content")[0]
    assert "7 May 2013 · United Nations Square" in words(dated, "content")[0]


def test_ids_do_not_depend_on_addresses(release: Release) -> None:
    """An entry's id comes from its path and the fixed authority."""
    ids = [words(entry, "id")[0] for entry in feed_of(release, ZH_HANS).findall(ATOM + "entry")]
    assert ids[0] == (
        "tag:gongminziyoulianmeng.blogspot.com,2013-05-07:"
        "zh-hans/statements/2013-05-07-tiananmen-rally"
    )
    elsewhere = build_release(find_tree("translations"), find_tree("templates"))
    for language in LANGUAGES:
        assert elsewhere.files[feed_url(language)] == release.files[feed_url(language)]


@every_language
@pytest.mark.parametrize("base", ["https://cccr.example", "http://abc.onion", "file:///tmp/copy"])
def test_links_work_from_any_address(release: Release, language: Language, base: str) -> None:
    """Each link, resolved against the feed's URL, leads to a page and a heading on it.

    A link in the content leads there also from the entry's page, against which many readers
    resolve it. So only the content has a base, which is that page.
    """
    own = f"{base}/{feed_url(language)}"
    feed = feed_of(release, language)
    links = [urljoin(own, link.get("href")) for link in feed.iter(ATOM + "link")]
    for entry in feed.iter(ATOM + "entry"):
        page = urljoin(own, entry.find(ATOM + "link").get("href"))
        (content,) = entry.xpath(".//*[@xml:base]")
        assert content.tag == ATOM + "content"
        assert urljoin(own, content.get(f"{XML}base")) == page
        links += [urljoin(page, link) for link in content.xpath(".//@href")]
    assert feed.get(f"{XML}base") is None
    assert len(links) > 4
    for link in links:
        whole = urlsplit(link)
        if not whole.geturl().startswith(base):
            assert whole.scheme == "https"
            continue
        path = whole.path.removeprefix(urlsplit(base).path).lstrip("/")
        assert path in release.files, link
        if whole.fragment:
            assert whole.fragment in Page(release.files[path].body).ids


@every_language
def test_every_page_links_to_the_feed_of_its_language(release: Release, language: Language) -> None:
    """A feed reader finds the feed from any page."""
    for path, page in pages(release).items():
        if not path.startswith(f"{language.slug}/") or "/cccr-" in path:
            continue
        (link,) = page.one("head").all("link", type="application/atom+xml")
        target = posixpath.join(posixpath.dirname(path), link.attributes["href"])
        assert posixpath.normpath(target).lstrip("/") == feed_url(language)
        assert link.attributes["rel"] == "alternate"
        assert link.attributes["title"]


def test_the_summary_says_what_is_demanded(release: Release) -> None:
    """A summary has the description, and below it each demand and what has happened since."""
    rally, appeal = feed_of(release, EN).findall(ATOM + "entry")
    (text,) = words(appeal, "summary")
    assert text.split("\n")[1:] == [
        "– Release Liu Xiaobo",
        "– Freedom for Chen Guangcheng",
        "Liu Xiaobo · Died on 13 July 2017 in a hospital in Shenyang, under guard.",
        "Chen Guangcheng · Free since May 2012: he reached the United States on the 19th.",
    ]
    lines = words(rally, "summary")[0].split("\n")
    assert [line[:1] for line in lines[1:]] == ["–", "–", "–", "L", "S"]
    assert lines[-1].startswith("Still open: The other demands.")


@every_language
def test_the_feed_is_linked_visibly_where_readers_look_for_news(
    every_page: dict[str, Element], language: Language
) -> None:
    """The home page and the list of statements link to the feed in their text."""
    for path in ("index.html", "statements/index.html"):
        page = every_page[f"{language.slug}/{path}"].one("main")
        (link,) = page.all("a", type="application/atom+xml")
        assert posixpath.normpath(
            posixpath.join(posixpath.dirname(path), link.attributes["href"])
        ) == ("feed.xml")
        assert "Atom" in link.text


def test_traditional_entries_are_labelled(release: Release) -> None:
    """Each Traditional entry says that it was converted, and links to the Simplified one."""
    for entry in feed_of(release, ZH_HANT).findall(ATOM + "entry"):
        label = entry.find(f".//{XHTML}p")
        assert label.get("class") == "derived"
        assert label.find(f"{XHTML}a").get("href").startswith("../../zh-hans/statements/")


def test_xml_special_characters_are_escaped(tmp_path: Path) -> None:
    """Characters that are special in XML appear as the author wrote them."""
    tree = copy_texts(tmp_path)
    for language in WRITTEN:
        file = tree / language.locale / "statements" / "2014-06-hard.md"
        file.write_text(
            '+++\ntitle = "1 < 2 & \\"3\\""\ndescription = "<b>"\nupdated = 2026-11-29\n'
            'date = "2014-06"\nplace = "A & B"\n+++\n`<i>` & one  \ntwo\n\n***\n\n'
            "[here](#later)\n\n## Later {#later}\n",
            encoding="utf-8",
        )
    release = build_release(tree, find_tree("templates"))
    feed = feed_of(release, EN)
    entry = feed.findall(ATOM + "entry")[0]
    assert words(entry, "title") == ['1 < 2 & "3"']
    assert words(entry, "summary") == ["<b>"]
    assert words(entry, "published") == []
    assert words(feed, "updated") == words(entry, "updated") == ["2026-11-29T00:00:00Z"]
    content = entry.find(f"{ATOM}content/{XHTML}div")
    assert content.find(f".//{XHTML}code").text == "<i>"
    assert [len(content.findall(f".//{XHTML}{name}")) for name in ("br", "hr")] == [1, 1]
    assert content.find(f".//{XHTML}a").get("href") == "2014-06-hard.html#later"
