"""The languages and the choice among them (``languages.py``)."""

from __future__ import annotations

import pytest
from babel import Locale

from cccr_web.languages import (
    EN,
    LANGUAGES,
    WRITTEN,
    ZH_HANS,
    ZH_HANT,
    Language,
    by_slug,
    negotiate,
)


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
        ([("zh-HK", 1.0)], ZH_HANT),
        ([("zh-mo", 1.0)], ZH_HANT),
        ([("zh-Hant", 1.0)], ZH_HANT),
        ([("zh-Hant-CN", 1.0)], ZH_HANT),
        ([("zh-Hans-HK", 1.0)], ZH_HANS),
        ([("zh-CN", 1.0)], ZH_HANS),
        ([("zh-Hant", 0.0), ("zh", 0.1)], ZH_HANS),
        ([], EN),
        ([("zh", 1.0)], ZH_HANS),
        ([("zh_TW", 0.1), ("fr", 1.0)], ZH_HANT),
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


def test_a_release_without_traditional() -> None:
    """Where a language is not offered, its source is; where that is not either, English."""
    for accepted in ("zh-TW", "zh-Hant", "zh"):
        assert negotiate([(accepted, 1.0)], {"en": "en", "zh-hans": "zh-Hans"}) is ZH_HANS
        assert negotiate([(accepted, 1.0)], ["en"]) is EN
    assert negotiate([("zh-TW", 1.0)], ["en", "zh-hans", "zh-hant"]) is ZH_HANT


def test_written() -> None:
    """Each language is written by people or made of one that is."""
    assert WRITTEN == (EN, ZH_HANS)
    assert all(language.source in WRITTEN for language in LANGUAGES if language not in WRITTEN)
