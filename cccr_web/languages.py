"""The languages of the site, and how one is chosen for a reader."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the site.

    ``slug`` stands in addresses (``/zh-hans/``), ``tag`` in HTML and HTTP
    (BCP 47), ``locale`` names Babel's data and the folder below
    ``translations/``, ``own_name`` is what its readers call it.
    """

    slug: str
    tag: str
    locale: str
    own_name: str


EN = Language(slug="en", tag="en", locale="en", own_name="English")
ZH_HANS = Language(slug="zh-hans", tag="zh-Hans", locale="zh_Hans", own_name="简体中文")

LANGUAGES: tuple[Language, ...] = (EN, ZH_HANS)
DEFAULT = EN

_BY_PRIMARY_SUBTAG = {"en": EN, "zh": ZH_HANS}


def by_slug(slug: str) -> Language | None:
    """Return the language whose addresses begin with ``/slug/``, if there is one."""
    return next((language for language in LANGUAGES if language.slug == slug), None)


def negotiate(accepted: Iterable[tuple[str, float]]) -> Language:
    """Choose a language for an ``Accept-Language`` header (RFC 9110, section 12.5.4).

    ``accepted`` holds (language range, quality) pairs, such as Werkzeug's
    ``request.accept_languages``; of equal ones the first counts. Only the primary subtag
    is compared: whoever asks for ``zh-TW`` is better served with Chinese than
    with English. A quality of 0 means "not this one". Nothing known: English.
    """
    for tag, quality in sorted(accepted, key=lambda pair: -pair[1]):
        language = _BY_PRIMARY_SUBTAG.get(tag.replace("_", "-").split("-")[0].lower())
        if language is not None and quality > 0:
            return language
    return DEFAULT
