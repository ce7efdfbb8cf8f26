"""Feeds of many statements, in several documents (RFC 5005, section 4)."""

from __future__ import annotations

import json
import posixpath
import subprocess
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from support.many import app_of, many, real_texts, with_statements
from support.pages import every_language

from cccr_web.content import Content, Text
from cccr_web.content.dates import parse_date
from cccr_web.languages import EN, LANGUAGES, Language
from cccr_web.release import media_type
from cccr_web.render.feed import MOST_ENTRIES, feed_documents
from cccr_web.render.template_renderer import feed_url

ATOM = "{http://www.w3.org/2005/Atom}"
ARCHIVE = "{http://purl.org/syndication/history/1.0}archive"
HOST = "https://cccr.example/"
LATER = date(2026, 11, 30)
# Debian's feedparser is for the system's Python. It reads the documents of a folder as if they had
# come from their URLs, from the current one backwards.
FEEDPARSER = """
import feedparser, json, pathlib, sys
folder, host, url = sys.argv[1:]
entries, archives = {}, []
while url:
    body = pathlib.Path(folder, url[len(host):]).read_bytes()
    headers = {"content-location": url, "content-type": "application/atom+xml"}
    feed = feedparser.parse(body, response_headers=headers)
    assert not feed.bozo, feed.bozo_exception
    archives.append("fh_archive" in feed.feed)
    for entry in feed.entries:
        if entry.id not in entries or entries[entry.id][1] < entry.updated:
            entries[entry.id] = [entry.link, entry.updated, len(entry.content[0].value)]
    url = next((link.href for link in feed.feed.links if link.rel == "prev-archive"), None)
print(json.dumps([entries, archives]))
"""


@pytest.fixture(scope="module")
def content() -> Content:
    """A site that published 400 statements in eight years."""
    days = many(400, date(2019, 1, 1), date(2026, 11, 28))
    return with_statements(real_texts(), days)


def documents_of(content: Content, language: Language = EN) -> dict[str, bytes]:
    """Return the documents of a feed, the current one first."""
    client = app_of(content).test_client()
    urls = [document.url for document in feed_documents(content, language)]
    return {url: client.get(f"/{url}").get_data() for url in urls}


def changed(content: Content, path: PurePosixPath, **facts: Any) -> Content:
    """Return the site with other facts in the front matter of a statement, in each language."""
    texts = {}
    for language, own in content.texts.items():
        text = own.get(path) or replace(content.statements(language)[0], path=path)
        head = replace(text.head, **facts)
        texts[language] = {**own, path: replace(text, head=head)}
    return replace(content, texts=texts)


def archives_of(content: Content) -> dict[str, set[PurePosixPath]]:
    """Return the paths of the statements in each archive."""
    return {
        document.url: {text.path for text in document.statements}
        for document in feed_documents(content, EN)
        if document.is_archive
    }


def link(feed: etree._Element, rel: str) -> str | None:
    """Return where the only link of this kind leads, as it is written."""
    links = [one.get("href") for one in feed.findall(ATOM + "link") if one.get("rel") == rel]
    assert len(links) <= 1
    return links[0] if links else None


@every_language
def test_the_current_document_and_its_archives_follow_the_rfc(
    content: Content, language: Language
) -> None:
    """Each document is valid, short, and linked; archives say that they are (section 4)."""
    grammar = etree.RelaxNG(etree.parse(Path(__file__).with_name("atom.rng")))
    documents = documents_of(content, language)
    assert len(documents) > 10
    urls = list(documents)
    for url, before in zip(urls, [*urls[1:], None], strict=True):
        feed = etree.fromstring(documents[url])
        grammar.assertValid(feed)
        assert media_type(url) == "application/atom+xml"
        assert len(feed.findall(ATOM + "entry")) <= MOST_ENTRIES

        def target(rel: str, url: str = url, feed: etree._Element = feed) -> str | None:
            found = link(feed, rel)
            return found and posixpath.normpath(posixpath.join(posixpath.dirname(url), found))

        is_archive = url != feed_url(language)
        assert target("self") == url
        assert target("prev-archive") == before
        assert target("current") == (feed_url(language) if is_archive else None)
        assert (feed.find(ARCHIVE) is not None) == is_archive
        assert feed.findtext(ATOM + "id") == etree.fromstring(
            documents[feed_url(language)]
        ).findtext(ATOM + "id")
        latest = max(entry.findtext(ATOM + "updated") for entry in feed.findall(ATOM + "entry"))
        assert is_archive <= (feed.findtext(ATOM + "updated") == latest)


def test_a_feed_that_fits_has_one_document() -> None:
    """Up to 50 statements are in one document, which names no archive."""
    texts = real_texts()
    ours = len(texts.statements(EN))
    full = with_statements(texts, many(MOST_ENTRIES - ours, date(2020, 1, 1), date(2026, 1, 1)))
    (document,) = feed_documents(full, EN)
    assert document.previous is None
    assert len(document.statements) == MOST_ENTRIES
    more = with_statements(texts, many(MOST_ENTRIES - ours + 1, date(2020, 1, 1), date(2026, 1, 1)))
    assert len(feed_documents(more, EN)) > 1


@pytest.mark.parametrize(
    ("name", "when"),
    [("2026-11-30-new", "2026-11-30"), ("2019-03-03-back-dated", "2019-03-03"), ("2012-x", "2012")],
)
def test_a_new_statement_changes_no_archive(content: Content, name: str, when: str) -> None:
    """A new statement, also a back-dated one, is in feed.xml, and no archive changes a byte."""
    before = documents_of(content)
    path = PurePosixPath("statements", name)
    with_it = changed(content, path, date=parse_date(when), updated=LATER)
    after = documents_of(with_it)
    current = feed_url(EN)
    assert name.encode() in after[current]
    assert name.encode() not in before[current]
    kept = before.keys() - {current}
    assert {url: after.get(url) for url in kept} == {url: before[url] for url in kept}


def test_an_edited_statement_is_current_again_and_all_others_stay(content: Content) -> None:
    """An edit moves a statement to feed.xml; only its archive and the next can change."""
    before = archives_of(content)
    for path in sorted(before[list(before)[10]]):
        edited = changed(content, path, updated=LATER)
        current, *_ = feed_documents(edited, EN)
        assert path in {text.path for text in current.statements}
        after = archives_of(edited)
        assert sum(after.get(url) != paths for url, paths in before.items()) <= 2
        whole = set().union(*after.values()) | {text.path for text in current.statements}
        assert whole == {text.path for text in content.statements(EN)}


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2_500), st.dates(date(2019, 1, 1), date(2026, 11, 28)), st.booleans()
        ),
        max_size=400,
    )
)
def test_archives_only_grow_in_number(
    content: Content, history: list[tuple[int, date, bool]]
) -> None:
    """Whatever is added on a later day, all archives are as they were, and nothing is missing."""
    model = content.statements(EN)[0]

    def statement(number: int, when: date, updated: date) -> Text:
        head = replace(model.head, updated=updated)
        return replace(model, path=PurePosixPath("statements", f"{when}-{number}"), head=head)

    texts: dict[PurePosixPath, Text] = {}
    before: dict[str, set[PurePosixPath]] = {}
    today = LATER
    for place, (number, when, is_next_day) in enumerate(history):
        today += timedelta(is_next_day)
        text = statement(number, when, today)
        texts.setdefault(text.path, text)
        if is_next_day or place == len(history) - 1:
            site = replace(content, texts={EN: texts})
            yesterday = {path for path, text in texts.items() if text.head.updated < today}
            after = archives_of(site)
            closed = {url: paths for url, paths in before.items() if paths <= yesterday}
            assert closed.items() <= after.items()
            whole = {text.path for file in feed_documents(site, EN) for text in file.statements}
            assert whole == texts.keys()
            before = after


def test_feedparser_reconstructs_the_whole_feed(content: Content, tmp_path: Path) -> None:
    """A client that follows prev-archive from feed.xml finds every statement with its text."""
    for language in LANGUAGES:
        for url, body in documents_of(content, language).items():
            file = tmp_path / url
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        command = ["/usr/bin/python3", "-c", FEEDPARSER, str(tmp_path), HOST]
        done = subprocess.run(
            [*command, HOST + feed_url(language)], check=True, capture_output=True, timeout=120
        )
        entries, archives = json.loads(done.stdout)
        assert archives == [False] + [True] * (len(archives) - 1)
        statements = content.statements(language)
        assert {link for link, _, _ in entries.values()} == {HOST + one.url for one in statements}
        assert len(entries) == len(statements)
        assert all(length > 200 for _, _, length in entries.values())
