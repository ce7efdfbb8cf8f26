"""The languages, and the choice of one for a reader (``languages.py``)."""

from __future__ import annotations

import re

import pytest
from babel import Locale
from babel.core import get_global

from cccr_web.languages import (
    EN,
    LANGUAGES,
    WRITTEN,
    ZH_HANS,
    ZH_HANT,
    Language,
    by_slug,
    negotiate,
    slug_for,
)

CHINESE = re.compile("zh|cdo|cjy|cnp|cpx|csp|czh|gan|hak|hsn|lzh|mnp|nan|wuu|yue")


def test_each_language_has_its_own_slug_tag_locale_and_name() -> None:
    """No two languages share a slug, tag, locale or name, and Babel knows each locale."""
    for name in ("slug", "tag", "locale", "own_name"):
        assert len({getattr(language, name) for language in LANGUAGES}) == len(LANGUAGES)
    for language in LANGUAGES:
        locale = Locale.parse(language.locale)
        assert language.tag == str(locale).replace("_", "-")
        assert language.slug == language.tag.lower()
        assert (locale.get_language_name(language.locale) or "")[:2] in ("En", "中文")


def test_a_language_is_found_by_its_exact_slug() -> None:
    """A slug that differs in any character finds no language."""
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
def test_the_best_accepted_language_is_chosen(
    accepted: list[tuple[str, float]], language: Language
) -> None:
    """The language with the highest quality is chosen, the first of equals, or else English."""
    assert negotiate(accepted) is language


def test_the_script_of_each_chinese_language_is_that_of_cldr() -> None:
    """A reader of Cantonese, Hakka or Wu gets the script that CLDR finds most likely."""
    likely = get_global("likely_subtags")
    tags = {tag: whole for tag, whole in likely.items() if CHINESE.fullmatch(tag.split("_")[0])}
    assert len(tags) > 30
    for tag, whole in tags.items():
        script = whole.split("_")[1]
        wanted = ZH_HANT if script in {"Hant", "Hanb", "Bopo"} else ZH_HANS
        assert negotiate([(tag, 1.0)]) is wanted, tag


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("zh-CHT", ZH_HANT),
        ("zh-CHS", ZH_HANS),
        ("zh_TW.Big5", ZH_HANT),
        ("zh_CN.UTF-8@x", ZH_HANS),
        ("zho", ZH_HANS),
        ("cmn-TW", ZH_HANT),
        ("zh-yue", ZH_HANT),
        ("zh-yue-CN", ZH_HANS),
        ("zh-min-nan", ZH_HANS),
        ("i-hak", ZH_HANS),
        ("gan-HK", ZH_HANT),
        ("zh-CN-u-rg-twzzzz", ZH_HANS),
        ("zh-x-hant", ZH_HANS),
        ("yuex", EN),
    ],
)
def test_older_and_longer_tags_of_chinese_are_understood(tag: str, language: Language) -> None:
    """Tags of older systems, extended languages and extensions name a script as well."""
    assert negotiate([(tag, 1.0)]) is language


@pytest.mark.parametrize(
    ("segment", "slug"),
    [
        ("zh", "zh-hans"),
        ("ZH-cn", "zh-hans"),
        ("zh_TW", "zh-hant"),
        ("zh-hk", "zh-hant"),
        ("yue", "zh-hant"),
        ("EN", "en"),
        ("en-us", "en"),
        ("ZH-Hans", "zh-hans"),
        ("zh-hans", None),
        ("en", None),
        ("en.html", None),
        ("zh-hanst", None),
        ("fr", None),
        ("", None),
    ],
)
def test_a_tag_at_the_start_of_a_path_has_a_slug(segment: str, slug: str | None) -> None:
    """Any tag of a language leads to its slug; a slug leads nowhere else."""
    assert slug_for(segment, ["en", "zh-hans", "zh-hant"]) == slug


def test_a_language_that_is_not_offered_is_replaced_by_its_source() -> None:
    """Without Traditional Chinese a reader gets Simplified, and without both English."""
    for accepted in ("zh-TW", "zh-Hant", "zh"):
        assert negotiate([(accepted, 1.0)], {"en": "en", "zh-hans": "zh-Hans"}) is ZH_HANS
        assert negotiate([(accepted, 1.0)], ["en"]) is EN
    assert negotiate([("zh-TW", 1.0)], ["en", "zh-hans", "zh-hant"]) is ZH_HANT


def test_each_language_is_written_or_converted_from_a_written_one() -> None:
    """English and Simplified Chinese are written; the others are converted from one of them."""
    assert WRITTEN == (EN, ZH_HANS)
    assert all(language.source in WRITTEN for language in LANGUAGES if language not in WRITTEN)
