"""The languages of the site, and the choice of one for a reader."""

from __future__ import annotations

import re
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

    @property
    def is_chinese(self) -> bool:
        """Whether it is written in Chinese characters."""
        return self.tag.startswith("zh")


EN = Language(slug="en", tag="en", locale="en", own_name="English")
ZH_HANS = Language(slug="zh-hans", tag="zh-Hans", locale="zh_Hans", own_name="简体中文")
ZH_HANT = Language(
    slug="zh-hant", tag="zh-Hant", locale="zh_Hant", own_name="繁體中文", source=ZH_HANS
)

LANGUAGES: tuple[Language, ...] = (EN, ZH_HANS, ZH_HANT)
# The languages that people write, each with a folder below translations/.
WRITTEN: tuple[Language, ...] = tuple(lang for lang in LANGUAGES if lang.source is None)
DEFAULT = EN

# Chinese and the languages that ISO 639-3 counts as Chinese.
CHINESE = "zh|chi|zho|cdo|cjy|cmn|cnp|cpx|csp|czh|czo|gan|hak|hnm|hsn|lzh|luh|mnp|nan|sjc|wuu|yue"
# What indicates the script: its own subtag, what older systems called it, and the regions where
# readers of Chinese most likely read Traditional (CLDR 42, likely subtags).
SIMPLIFIED = "hans|chs"
TRADITIONAL = "hant|hanb|bopo|cht|au|bn|gb|gf|hk|id|mo|pa|pf|ph|sr|th|tw|us|vn"

# nginx and mirrors use these expressions too, in programs without look-ahead, and where braces have
# another meaning.
# A language range for which we have a language, without extensions and a system's encoding.
RANGE = f"(?:i[-_]hak|en|{CHINESE})(?:[-_][0-9a-z][0-9a-z]+)*"
# One that can be the first part of a path.
SEGMENT = f"(?:en|{CHINESE})(?:[-_](?:han[st]|ch[st]|[a-z][a-z][a-z]?|[0-9][0-9][0-9]))*"
# What such a range means: the first expression that is found in it decides. For English only the
# primary subtag counts. The script of Chinese follows from its script subtag, or else from its
# region, or else from the language, of which only Cantonese is written in Traditional (RFC 5646,
# section 2.2).
MEANINGS: tuple[tuple[str, Language], ...] = (
    ("^en(?:[-_]|$)", EN),
    (f"[-_](?:{SIMPLIFIED})(?:[-_]|$)", ZH_HANS),
    (f"[-_](?:{TRADITIONAL})(?:[-_]|$)", ZH_HANT),
    ("[-_]cn(?:[-_]|$)", ZH_HANS),
    ("(?:^|[-_])yue(?:[-_]|$)", ZH_HANT),
    (".", ZH_HANS),
)

_RANGE = re.compile(f"({RANGE})(?:[^0-9a-z]|$)", re.IGNORECASE)
_SEGMENT = re.compile(SEGMENT, re.IGNORECASE)
_MEANINGS = tuple((re.compile(tag, re.IGNORECASE), language) for tag, language in MEANINGS)


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
        language = available(_best_match(tag), offered)
        if language is not None and quality > 0:
            return language
    return DEFAULT


def slug_for(segment: str, offered: Collection[str]) -> str | None:
    """Return the slug that a reader meant by ``zh-tw`` or ``EN`` at the start of a path.

    ``None`` if it is no language tag, or a slug as it must be.
    """
    language = available(_best_match(segment), offered) if _SEGMENT.fullmatch(segment) else None
    return language.slug if language is not None and language.slug != segment else None


def available(language: Language | None, offered: Collection[str] | None) -> Language | None:
    """Return ``language``, or its source if only that is among the slugs ``offered``.

    A reader in Taiwan reads Traditional most easily, then Simplified, then English.
    """
    while language is not None and offered is not None and language.slug not in offered:
        language = language.source
    return language


def _best_match(tag: str) -> Language | None:
    """Return our best language for a reader who asks for ``tag``."""
    found = _RANGE.match(tag)
    if found is None:
        return None
    return next(language for pattern, language in _MEANINGS if pattern.search(found[1]))
