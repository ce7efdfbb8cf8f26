"""Dates in the words of each language (``render/formats.py``)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask, g

from cccr_web.config import find_tree
from cccr_web.content import SourceTree, read_site
from cccr_web.content.dates import parse_date
from cccr_web.content.reader import read_content
from cccr_web.languages import EN, ZH_HANS, ZH_HANT
from cccr_web.render import build_release
from cccr_web.render.app import create_app
from cccr_web.render.formats import format_day, format_statement_date
from cccr_web.render.layout import read_style


@pytest.fixture(scope="module")
def app() -> Flask:
    """Return the app that renders the site."""
    templates, translations = find_tree("templates"), find_tree("translations")
    tree = SourceTree(translations)
    content, _ = read_content(tree, read_site(tree)[0])
    assert content is not None
    facts = build_release(translations, templates).metadata
    style = read_style(templates)
    return create_app(content, style, facts, templates=templates, translations=tree)


@pytest.fixture
def in_language(request: pytest.FixtureRequest, app: Flask) -> Iterator[None]:
    """Render in the given language during the test."""
    with app.test_request_context():
        g.language = request.param
        yield


@pytest.mark.parametrize(
    ("in_language", "date", "words"),
    [
        (EN, "2013-05-07", "7 May 2013"),
        (EN, "2013-05", "May 2013"),
        (EN, "2013", "2013"),
        (EN, "[2011..2012-04]", "Between 2011 and April 2012"),
        (EN, "[2013-05-07..2013-05-09]", "Between 7 May 2013 and 9 May 2013"),
        (ZH_HANS, "2013-05-07", "2013年5月7日"),
        (ZH_HANS, "2013-05", "2013年5月"),
        (ZH_HANS, "2013", "2013年"),
        (ZH_HANS, "[2011..2012-04]", "2011年至2012年4月之间"),
        (ZH_HANT, "2013-05-07", "2013年5月7日"),
        (ZH_HANT, "[2011..2012-04]", "2011年至2012年4月之間"),
    ],
    indirect=["in_language"],
)
@pytest.mark.usefixtures("in_language")
def test_a_date_is_no_more_exact_than_known(date: str, words: str) -> None:
    """Dates appear in each language's format, with only the known parts."""
    when = parse_date(date)
    assert format_statement_date(when) == words
    if when.end is None and when.start.day is not None:
        assert format_day(when.start.first_day()) == words
