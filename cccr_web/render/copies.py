"""The copies to take away: which exist, the order of their texts, and the HTML files."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask_babel import force_locale
from markupsafe import Markup

from cccr_web.content import Content, Text
from cccr_web.content.dates import PartialDate, StatementDate
from cccr_web.languages import LANGUAGES, Language
from cccr_web.release import ARCHIVE, media_type
from cccr_web.render.formats import format_years
from cccr_web.render.layout import PageLayout
from cccr_web.render.lists import NEWEST
from cccr_web.render.template_renderer import TemplateRenderer

ZIP: Final = ARCHIVE

# A larger HTML file takes minutes over a slow line, and an old phone cannot show it. Only a year
# that is larger on its own makes a larger file.
MOST_BYTES: Final = 5_000_000
# More than the frame of an HTML file has, and than a text adds to the contents and to links.
_FRAME: Final = 50_000
_IN_CONTENTS: Final = 400

# A link to a section of the HTML file, or to a heading in it.
_LINK: Final = re.compile(r'(?<=href=")#([^".]+)')


def single_url(language: Language) -> str:
    """Return the URL of the whole site in one HTML file, or of its newest part."""
    return f"{language.slug}/cccr-{language.slug}.html"


def epub_url(language: Language) -> str:
    """Return the URL of the EPUB, or of its newest part."""
    return f"{language.slug}/cccr-{language.slug}.epub"


COPIES: Final = tuple(url(language) for language in LANGUAGES for url in (single_url, epub_url))


def lists_copies(text: Text) -> bool:
    """Whether the page of ``text`` lists the copies with their sizes."""
    return text.head.template == "copies"


def reading_order(content: Content, language: Language) -> list[Text]:
    """Return the texts of a copy in order: all but the error pages.

    The home page comes first, then the menu with the statements after their list, then
    the pages outside the menu.
    """
    order = {text.url: text for text in [content.home(language)]}
    for text in content.navigation(language):
        order[text.url] = text
        if text is content.archive(language):
            order |= {statement.url: statement for statement in content.statements(language)}
    for text in content.texts[language].values():
        if not text.is_error_page:
            order.setdefault(text.url, text)
    return list(order.values())


@dataclass(frozen=True, slots=True)
class CopyPart:
    """The texts of one HTML file and of one EPUB, in order.

    The newest part has every page, and the statements from ``first_year`` to ``last_year``.
    Each older part has the statements of one year.
    """

    language: Language
    texts: Sequence[Text]
    first_year: int
    last_year: int
    is_newest: bool = True

    @property
    def name(self) -> str:
        """The name of both files, without an extension."""
        year = "" if self.is_newest else f"-{self.first_year}"
        return f"cccr-{self.language.slug}{year}"

    @property
    def urls(self) -> tuple[str, str]:
        """The URLs of the HTML file and of the EPUB."""
        path = f"{self.language.slug}/{self.name}"
        return f"{path}.html", f"{path}.epub"

    @property
    def years(self) -> str:
        """The years of its statements, in the language being rendered."""
        first, last = PartialDate(self.first_year), PartialDate(self.last_year)
        return format_years(StatementDate(first, last if last != first else None))


class Copies:
    """The copies in every language: in one part each, or in several if one would be too large.

    Each text is rendered once as a section of an HTML file, without its body. The sizes of the
    sections decide which years leave the newest part; the parts of the EPUB have the same texts.
    """

    def __init__(self, renderer: TemplateRenderer) -> None:
        self._renderer = renderer
        self._ids = {
            language: {
                text.url: _section_id(text) for text in texts.values() if not text.is_error_page
            }
            for language, texts in renderer.content.texts.items()
        }
        self._sections: dict[str, str] = {}
        self._parts: dict[Language, list[CopyPart]] = {}

    def urls(self, language: Language) -> list[str]:
        """Return the URL of every copy in a language, those of the newest part first."""
        return [url for part in self.parts(language) for url in part.urls]

    def listed(self, language: Language) -> dict[str, Any]:
        """Return what the copies page lists: the reader's own language first."""
        languages = sorted(LANGUAGES, key=lambda other: other != language)
        return {
            "zip": ZIP,
            "copies": [(other, self.urls(other)) for other in languages],
            "divided": any(len(self.parts(other)) > 1 for other in languages),
        }

    def parts(self, language: Language) -> list[CopyPart]:
        """Return the parts of the copies in a language, the newest first."""
        if language not in self._parts:
            with force_locale(language.locale):
                self._parts[language] = self._divide(language)
        return self._parts[language]

    def facts(self, part: CopyPart, extension: str) -> dict[str, Any]:
        """Return what the templates need to know of a part and of its other files."""
        parts = self.parts(part.language)
        return {"part": part, "parts": parts, "extension": extension, "newest": NEWEST}

    def render_single(self, part: CopyPart) -> str:
        """Return the texts of a part on one self-contained page, with its images.

        Links between texts become links within the page, or to the file of another part; no link
        leads to another file. The id of a section is its page's path (``en/who-we-are``), the id
        of a heading adds its name, so that all ids differ.
        """
        facts = self.facts(part, ".html")
        for text in part.texts:
            # The list of the statements, where it depends on the parts.
            if text.url not in self._sections:
                self._sections[text.url] = self._section(text, **facts)
        home = self._renderer.content.home(part.language)
        page = self._renderer.render_part(
            "copy/single.html",
            home,
            self._layout(home),
            order=part.texts,
            sections=[Markup(self._filled(text)) for text in part.texts],  # noqa: S704  # our templates
            **facts,
        )
        others = {
            _section_id(text): f"{other.name}.html"
            for other in self.parts(part.language)
            if other is not part
            for text in other.texts
        }
        return _LINK.sub(lambda link: others.get(link[1], "") + link[0], page) if others else page

    def _divide(self, language: Language) -> list[CopyPart]:
        """Return the parts of the copies in ``language``, which is being rendered."""
        content = self._renderer.content
        order = reading_order(content, language)
        archive = content.archive(language)
        years: dict[int, list[Text]] = {}
        for text in order:
            if text is not archive:
                self._sections[text.url] = self._section(text)
            if text.head.date is not None:
                years.setdefault(text.head.date.start.year, []).append(text)
        newest_first = sorted(years, reverse=True)
        whole = CopyPart(language, order, min(years, default=1), max(years, default=1))
        space = MOST_BYTES - _FRAME - self._size(text for text in order if text is not archive)
        if space >= 0 or len(years) < 2:
            self._sections[archive.url] = self._section(archive, parts=[whole])
            if len(self._filled(archive).encode()) <= space or len(years) < 2:
                return [whole]
            del self._sections[archive.url]
        kept = {newest_first[0]}
        pages = [text for text in order if not text.is_statement and text is not archive]
        space = MOST_BYTES - _FRAME - self._size([*pages, *years[newest_first[0]]])
        for year in newest_first[1:]:
            space -= self._size(years[year])
            if space < 0:
                break
            kept.add(year)
        newest = [
            text for text in order if text.head.date is None or text.head.date.start.year in kept
        ]
        return [
            CopyPart(language, newest, min(kept), max(kept)),
            *(
                CopyPart(language, years[year], year, year, is_newest=False)
                for year in newest_first[len(kept) :]
            ),
        ]

    def _size(self, texts: Iterable[Text]) -> int:
        """Return how many bytes ``texts`` add at most to an HTML file."""
        return sum(
            len(self._filled(text).encode()) + 2 * len(text.head.title.encode()) + _IN_CONTENTS
            for text in texts
        )

    def _section(self, text: Text, **more: Any) -> str:
        template = f"{text.head.template}.html"
        return self._renderer.render_frame(
            template, text, self._layout(text), section=_section_id(text), **more
        )

    def _filled(self, text: Text) -> str:
        return self._renderer.fill(self._sections[text.url], text, self._layout(text))

    def _layout(self, text: Text) -> PageLayout:
        section = _section_id(text)

        def href(url: str, heading: str) -> str | None:
            target = self._ids[text.language].get(url)
            if target is None:
                return None
            return f"#{target}.{heading}" if heading else f"#{target}"

        def image(url: str) -> str:
            # RFC 2397
            encoded = base64.b64encode(self._renderer.images[url]).decode()
            return f"data:{media_type(url)};base64,{encoded}"

        return PageLayout(
            "copy/section.html",
            2,
            href,
            lambda heading: f"{section}.{heading}",
            image=image,
            place=section,
        )


def _section_id(text: Text) -> str:
    return f"{text.language.slug}/{text.path}"
