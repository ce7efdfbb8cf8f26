"""Set texts with the templates, in whatever form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

from flask import render_template
from flask_babel import gettext
from markupsafe import Markup

from cccr_web.build.dates import format_day, format_statement_date
from cccr_web.build.form import Form
from cccr_web.build.html import PageRenderer
from cccr_web.build.style import Style
from cccr_web.content import Content, Text
from cccr_web.content.links import External, ToFile, ToText, resolve
from cccr_web.languages import LANGUAGES, ZH_HANS, Language
from cccr_web.release import Metadata, format_policy, page_policy


@dataclass(frozen=True, slots=True)
class Typesetter:
    """What every template is given: the texts, the release's facts and the style sheet."""

    content: Content
    style: Style
    facts: Metadata
    by_file: Mapping[Path, Text]

    def text(self, text: Text, form: Form, **more: Any) -> str:
        """Return ``text`` in ``form``, by the template that it names itself."""
        return self.part(f"{text.head.template}.html", text, form, **more)

    def part(self, template: str, text: Text, form: Form, **more: Any) -> str:
        """Return a template filled with ``text`` in ``form`` and with ``more``."""
        content, language = self.content, text.language
        return render_template(
            template,
            layout=form.layout,
            level=form.level,
            page=text,
            body=lambda: self._body(text, form),
            content=content,
            site=content.site,
            release=self.facts,
            language=language,
            languages=LANGUAGES,
            link=form.link,
            way=lambda url: form.way(url, ""),
            style=Markup(self.style.text),  # noqa: S704  # our own file
            csp=format_policy(page_policy([self.style.hash])),
            home=content.texts[language][PurePosixPath("index")],
            verify=content.texts[language][PurePosixPath("verify")],
            archive=content.texts[language][PurePosixPath("statements/index")],
            statements=content.statements(language),
            day=format_day,
            when=format_statement_date,
            **more,
        )

    def _body(self, text: Text, form: Form) -> Markup:
        def link(target: str) -> str | None:
            match resolve(target, text, self.by_file):
                case External(url):
                    return url
                case ToFile(path):
                    return form.way(path, "")
                case ToText(other, fragment):
                    return form.way(other.url, fragment)

        def note_title(when: date) -> str:
            return str(gettext("note.title", date=format_day(when)))

        return PageRenderer(form, link, note_title, _han_tag(text.language)).page(text.body)


def _han_tag(language: Language) -> str | None:
    """Chinese words stand out by their language only where the page is in another."""
    return None if language.tag.startswith("zh") else ZH_HANS.tag
