"""The languages of the site, and the choice of one for a reader."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the site.

    ``slug`` is used in URLs (``/zh-hans/``), ``tag`` in HTML and HTTP (BCP 47), ``locale``
    for Babel's data and the folder below ``translations/``. ``own_name`` is what its
    readers call it. ``source`` is the language from which this one is converted when a
    release is built: nobody writes it, and it has no folder. It is ``None`` for a language
    that people write.
    """

    slug: str
    tag: str
    locale: str
    own_name: str
    source: Language | None = None


EN = Language(slug="en", tag="en", locale="en", own_name="English")
ZH_HANS = Language(slug="zh-hans", tag="zh-Hans", locale="zh_Hans", own_name="简体中文")
ZH_HANT = Language(
    slug="zh-hant", tag="zh-Hant", locale="zh_Hant", own_name="繁體中文", source=ZH_HANS
)

LANGUAGES: tuple[Language, ...] = (EN, ZH_HANS, ZH_HANT)
# The languages that people write, each with a folder below translations/.
WRITTEN: tuple[Language, ...] = tuple(lang for lang in LANGUAGES if lang.source is None)
DEFAULT = EN

# Regions that use Traditional characters (CLDR, likely subtags of zh-TW, zh-HK, zh-MO).
_TRADITIONAL_REGIONS = {"tw", "hk", "mo"}


def by_slug(slug: str) -> Language | None:
    """Return the language with this slug, if there is one."""
    return next((language for language in LANGUAGES if language.slug == slug), None)


def negotiate(
    accepted: Iterable[tuple[str, float]], offered: Collection[str] | None = None
) -> Language:
    """Choose a language for an ``Accept-Language`` header (RFC 9110, section 12.5.4).

    ``accepted`` holds pairs of language range and quality, such as Werkzeug's
    ``request.accept_languages``; the first of equal pairs wins. ``offered`` are the slugs of
    the available languages; ``None`` means all. A quality of 0 means "not this one". The
    default is English.
    """
    for tag, quality in sorted(accepted, key=lambda pair: -pair[1]):
        language = _best_match(tag)
        while language is not None and offered is not None and language.slug not in offered:
            language = language.source
        if language is not None and quality > 0:
            return language
    return DEFAULT


def _best_match(tag: str) -> Language | None:
    """Return our best language for a reader who asks for ``tag``.

    For English only the primary subtag counts. The script of Chinese follows from its
    script subtag, or else from its region (RFC 5646, section 2.2). A reader in Taiwan reads
    Traditional most easily, then Simplified, then English.
    """
    primary, *others = tag.replace("_", "-").lower().split("-")
    if primary == "en":
        return EN
    if primary != "zh":
        return None
    if "hant" in others or ("hans" not in others and _TRADITIONAL_REGIONS & {*others}):
        return ZH_HANT
    return ZH_HANS
