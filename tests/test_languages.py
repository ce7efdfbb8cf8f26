"""The languages and the choice among them (``languages.py``)."""

from __future__ import annotations

import pytest
from babel import Locale

from cccr_web.languages import EN, LANGUAGES, ZH_HANS, Language, by_slug, negotiate


def test_languages() -> None:
    """Each language has its own slug, tag, locale and name, and Babel knows its locale."""
    for name in ("slug", "tag", "locale", "own_name"):
        assert len({getattr(language, name) for language in LANGUAGES}) == len(LANGUAGES)
    for language in LANGUAGES:
        locale = Locale.parse(language.locale)
        assert language.tag == str(locale).replace("_", "-")
        assert language.slug == language.tag.lower()
        assert (locale.get_language_name(language.locale) or "")[:2] in ("En", "中文")


def test_by_slug() -> None:
    """A slug is one of ours exactly, or none."""
    assert [by_slug(language.slug) for language in LANGUAGES] == list(LANGUAGES)
    assert [by_slug(slug) for slug in ("", "EN", "zh", "zh_Hans", "zh-hans/")] == [None] * 5


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ([], EN),
        ([("zh", 1.0)], ZH_HANS),
        ([("zh_TW", 0.1), ("fr", 1.0)], ZH_HANS),
        ([("zh", 0.0)], EN),
        ([("en", 0.5), ("zh", 0.5)], EN),
        ([("zh", 0.5), ("en", 0.5)], ZH_HANS),
        ([("zh", 0.5), ("en", 0.6)], EN),
        ([("*", 1.0)], EN),
        ([("", 1.0), ("-", 1.0), ("zh", 0.001)], ZH_HANS),
    ],
)
def test_negotiation(accepted: list[tuple[str, float]], language: Language) -> None:
    """The best that the reader takes and we have; of equals the first; else English."""
    assert negotiate(accepted) is language
