"""Sites with many statements, generated with words that differ, as real statements do."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from flask import Flask

from cccr_web.config import PACKAGE, find_tree
from cccr_web.content import Addresses, Content, SourceTree, Text, read_site
from cccr_web.content.body import Body
from cccr_web.content.dates import parse_date
from cccr_web.content.model import ARCHIVE
from cccr_web.content.reader import read_content
from cccr_web.content.rules import DEMAND_COLUMNS, DEMANDS, LINE_COLUMNS
from cccr_web.release import Metadata
from cccr_web.render.app import create_app
from cccr_web.render.layout import read_style
from cccr_web.render.traditional import with_derived

# The words of the pages, and the frequent words of Chinese.
_TREE = find_tree("translations")
_PAGES = " ".join(file.read_text("utf-8") for file in (_TREE / "en" / "pages").glob("*.md"))
_ENGLISH = sorted(set(re.findall(r"\b[a-z]{4,}\b", _PAGES)))
_CHINESE = re.findall("[\u4e00-\u9fff]{2,4}", (PACKAGE / "render" / "words.txt").read_text("utf-8"))


def many(count: int, first: date, last: date) -> list[date]:
    """Return the days of so many statements, spread evenly from ``first`` to ``last``."""
    span = (last - first).days
    return [first + timedelta(span * number // max(count - 1, 1)) for number in range(count)]


def with_statements(
    content: Content, days: Sequence[date], *, updated: date | None = None, body: Body | None = None
) -> Content:
    """Return the texts with a statement of each day in every language.

    Each has the longest demands and outcomes that ``check`` allows, and the text ``body``, by
    default that of another statement. It was changed last on the day ``updated``, by default on
    its own day.
    """
    texts = {}
    for language in content.texts:
        own = content.texts[language]
        model = replace(content.statements(language)[0], body=body or content.home(language).body)
        made = [_statement(model, number, day, updated or day) for number, day in enumerate(days)]
        texts[language] = {**own, **{text.path: text for text in made}}
    return replace(content, texts=texts)


def _statement(model: Text, number: int, day: date, updated: date) -> Text:
    words = _CHINESE if model.language.is_chinese else _ENGLISH
    pick = random.Random(f"{model.language.slug}{number}")  # noqa: S311  # not for a secret
    name = f"{day}-made-{number:05}"
    head = replace(
        model.head,
        title=f"{_line(pick, words, 60)} {number}",
        description=_line(pick, words, 120),
        updated=updated,
        date=parse_date(str(day)),
        place=None,
        people=(),
        demands=tuple(_line(pick, words, DEMAND_COLUMNS) for _ in range(DEMANDS)),
        since=f"{day.year} {_line(pick, words, LINE_COLUMNS - 5)}",
        open=f"{day.year} {_line(pick, words, LINE_COLUMNS - 5)}",
    )
    return replace(
        model,
        path=ARCHIVE.with_name(name),
        file=model.file.with_name(f"{name}.md"),
        head=head,
    )


def _line(pick: random.Random, words: Sequence[str], columns: int) -> str:
    chinese = words is _CHINESE
    line = pick.choice(words).capitalize()
    while True:
        longer = f"{line}{'' if chinese else ' '}{pick.choice(words)}"
        if len(longer) * (2 if chinese else 1) > columns:
            return line
        line = longer


def real_texts(addresses: Addresses | None = None) -> Content:
    """Return the texts of this checkout in every language, with other addresses if given."""
    tree = SourceTree(_TREE)
    site, _, _ = read_site(tree)
    content, problems = read_content(tree, site)
    assert content is not None, problems
    if addresses is not None:
        content = replace(content, site=replace(content.site, addresses=addresses))
    return with_derived(content).for_signers(policy=False)


def app_of(content: Content, sizes: Mapping[str, int] | None = None) -> Flask:
    """Return the app that renders each page of the site when it is asked for."""
    templates = find_tree("templates")
    style = read_style(templates)
    return create_app(
        content,
        style,
        Metadata(
            sequence=1,
            time=datetime(2026, 11, 29, tzinfo=UTC),
            expires=datetime(2027, 11, 29, tzinfo=UTC),
            fingerprint=None,
            languages={language.slug: language.tag for language in content.texts},
            clearnet=content.site.addresses.clearnet,
            onions=content.site.addresses.onions,
            style_hashes=(style.hash,),
        ),
        templates=templates,
        translations=SourceTree(_TREE),
        sizes=sizes,
    )
