"""Preview's own pages: the messages, and the languages of a text next to each other."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urljoin

from markupsafe import Markup

from cccr_web.content import Problem, Text
from cccr_web.content.reader import text_path
from cccr_web.languages import LANGUAGES, WRITTEN, Language
from cccr_web.preview.alignment import align
from cccr_web.preview.changes import Change
from cccr_web.preview.edition import Edition
from cccr_web.preview.overlay import live, message
from cccr_web.preview.suggestions import suggestions
from cccr_web.render import SiteFiles

STYLE: Final = """
body{margin:0 auto;max-width:80rem;padding:0 1rem 3rem;font:16px/1.5 system-ui,sans-serif;
color:#222;background:#fff;overflow-wrap:anywhere}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:1.6rem 0 .3rem}a{color:#0645ad}
ul{padding-left:1.2rem}li{margin:.3rem 0}code{font-size:.85em}
.preview-message{margin:1em 0;padding:.5em .8em;border:2px solid #b00020;border-radius:4px;
background:#fff0f0;color:#300}
.row{display:grid;gap:.5rem 1.5rem;border-top:1px solid #ccc;padding:.6rem 0}
.row>div{min-width:0}.row h1,.row h2,.row h3{margin:0;font-size:1.05rem}
.row p,.row ul,.row ol,.row blockquote{margin-top:0;margin-bottom:0}
.row img{max-width:100%;height:auto}
.tag{display:block;color:#666;font-size:.75rem}.gap{background:#fff0f0;color:#b00020;padding:.3rem}
@media (min-width:56rem){.row{grid-template-columns:repeat(3,1fr)}}
ins{background:#d7f5d7;text-decoration:none}del{background:#ffd9d9}
"""

_IDS: Final = re.compile(r' (?:id|aria-labelledby)="[^"]*"')
_TARGETS: Final = re.compile(r' (href|src)="([^"]*)"')
_SETS: Final = re.compile(r' srcset="[^"]*"')
_ALL: Final = Markup('<a href="/-/">All messages</a>')
_BACK: Final = Markup("<p>{}</p>").format(_ALL)


def url_of(file: Path) -> str | None:
    """Return the URL of the text in ``file`` (``translations/en/…``), read or not."""
    path = _path_of(file)
    if path is None:
        return None
    slug = next(one.slug for one in WRITTEN if one.locale == file.parts[1])
    return f"{path.name}.html" if path.parts[0] == "errors" else f"{slug}/{path}.html"


def _path_of(file: Path) -> PurePosixPath | None:
    """Return the path that a text has in every language."""
    _, *parts = file.parts
    if parts[:1] not in [[one.locale] for one in WRITTEN] or file.suffix != ".md":
        return None
    return text_path(Path(*parts), Path(parts[0]))


def compare_url(path: PurePosixPath) -> str:
    """Return the address of the page that compares the languages of a text."""
    return f"/-/compare/{path}/"


def index_page(edition: Edition) -> bytes:
    """Return the list of all messages and suggestions, with links to the texts."""
    parts = [_heading(edition)]
    for file, problems in itertools.groupby(edition.problems, key=lambda problem: problem.file):
        url = url_of(file)
        line = (
            Markup('<a href="/{url}#line-{line}">line {line}</a>') if url else Markup("line {line}")
        )
        parts.append(Markup("<h2>{}</h2><ul>").format(_links(file)))
        parts += [
            Markup("<li>{}: {}</li>").format(line.format(url=url, line=one.line), one.message)
            for one in problems
        ]
        parts.append(Markup("</ul>"))
    site = edition.draft or edition.good
    if site is not None:
        parts += _suggestions(suggestions(site.content))
        parts.append(Markup("<h2>All texts</h2><ul>"))
        paths = {text.path: text for text in reversed(site.content.all_texts)}
        for path, text in sorted(paths.items(), key=lambda pair: str(pair[0])):
            parts.append(
                Markup('<li><a href="/{}">{}</a> · <a href="{}">compare</a></li>').format(
                    text.url, text.head.title, compare_url(path)
                )
            )
        parts.append(Markup("</ul>"))
    return _page(edition, "Preview", parts)


def problem_page(edition: Edition, path: str) -> bytes | None:
    """Return the messages of a text that cannot be shown at ``path``; ``None`` without any."""
    problems = [one for one in edition.problems if path in _shown_at(one.file)]
    if not problems:
        return None
    return _page(edition, "This text cannot be shown yet", [_BACK, *map(message, problems)])


def failure_page(edition: Edition, error: str) -> bytes:
    """Return the page in place of one that cannot be rendered."""
    html = Markup(
        '<p class="preview-message" role="alert">{} “cccr-web build” shows where it happens.</p>'
    )
    parts = [html.format(error)]
    return _page(edition, "This page cannot be shown", [*parts, *map(message, edition.problems)])


def compare_page(edition: Edition, path: PurePosixPath) -> bytes | None:
    """Return the paragraphs of a text, as it is now, in every language next to each other.

    ``None`` if there is no such text.
    """
    sites = [one for one in (edition.draft, edition.good) if one and _texts(one, path)]
    for site in sites:
        # A draft can lack what it mentions: a page that it links to, the record of a photo.
        with contextlib.suppress(LookupError, ValueError):
            return _comparison(edition, site, path)
    problems = [message(one) for one in edition.problems if _path_of(one.file) == path]
    if not sites and not problems:
        return None
    return _page(edition, "This text cannot be compared yet", [_BACK, *problems])


def _comparison(edition: Edition, site: SiteFiles, path: PurePosixPath) -> bytes:
    first, second = WRITTEN
    blocks = {language: _blocks(site, language, path) for language in LANGUAGES}
    derived = {language.source: language for language in LANGUAGES if language.source}
    rows = []
    for i, j in align(blocks[first], blocks[second]):
        cells = [(first, i), (second, j)]
        cells += [(derived[second], j)] if second in derived else []
        rows.append(
            Markup('<div class="row">{}</div>').format(
                Markup("").join(_cell(language, blocks[language], at) for language, at in cells)
            )
        )
    titles = [text.head.title for text in _texts(site, path)]
    links = Markup(" · ").join(
        Markup('<a href="/{}">{}</a>').format(text.url, text.language.own_name)
        for text in _texts(site, path)
    )
    back = Markup("<p>{} · {}</p>").format(_ALL, links)
    return _page(edition, titles[0], [back, *rows])


def changes_page(edition: Edition, changes: Iterable[Change] | None) -> bytes:
    """Return the list of what differs from the release before; ``None`` if it is not known."""
    parts = [_BACK]
    if changes is None:
        parts.append(Markup("<p>Start preview with --previous and the folder of a release.</p>"))
    else:
        found = [*changes]
        if not found:
            parts.append(Markup("<p>Nothing has changed.</p>"))
        for change in found:
            name = Markup('<a href="/{0}">{0}</a>') if change.is_page else Markup("{}")
            parts.append(
                Markup("<h2>{}</h2><p>{}</p><ul>").format(name.format(change.name), change.what)
            )
            parts += [Markup("<li>{}: <del>{}</del></li>").format(*one) for one in change.gone]
            parts += [Markup("<li>{}: <ins>{}</ins></li>").format(*one) for one in change.new]
            parts.append(Markup("</ul>"))
    return _page(edition, "Changes since the last release", parts)


def _heading(edition: Edition) -> Markup:
    number = len(edition.problems)
    what = f"{number} message{'s' * (number != 1)}." if number else "All texts are in order."
    return Markup('<p>{} <a href="/-/changes/">Changes since the last release</a></p>').format(what)


def _links(file: Path) -> Markup:
    url, path = url_of(file), _path_of(file)
    if url is None or path is None:
        return Markup("{}").format(file)
    return Markup('<a href="/{}">{}</a> · <a href="{}">compare</a>').format(
        url, file, compare_url(path)
    )


def _suggestions(found: Sequence[Problem]) -> Iterable[Markup]:
    if found:
        yield Markup("<h2>Suggestions, which are not problems</h2><ul>")
        for one in found:
            yield Markup("<li>{}:{}: {}</li>").format(one.file, one.line, one.message)
        yield Markup("</ul>")


def _shown_at(file: Path) -> list[str]:
    """Return the URLs of a file's text, also in the languages that are converted from it."""
    url = url_of(file)
    if url is None:
        return []
    slugs = {one.slug: one.source.slug for one in LANGUAGES if one.source and one.source in WRITTEN}
    found = [url]
    for slug, source in slugs.items():
        if url.startswith(f"{source}/"):
            found.append(f"{slug}/{url.removeprefix(f'{source}/')}")
    return found


def _texts(site: SiteFiles, path: PurePosixPath) -> list[Text]:
    return [texts[path] for texts in site.content.texts.values() if path in texts]


def _blocks(site: SiteFiles, language: Language, path: PurePosixPath) -> list[Markup]:
    """Return the title and the blocks of a text, with links that work on another page."""
    text = site.content.texts[language].get(path)
    if text is None:
        return []
    title = Markup("<h1>{}</h1>").format(text.head.title)
    summary = Markup("<p>{}</p>").format(text.head.description)

    def from_root(match: re.Match[str]) -> str:
        return f' {match[1]}="{urljoin(f"/{text.url}", match[2])}"'

    blocks = (_SETS.sub("", _IDS.sub("", html)) for _, html in site.blocks(text))
    return [title, summary, *(Markup(_TARGETS.sub(from_root, html)) for html in blocks)]  # noqa: S704


def _cell(language: Language, blocks: list[Markup], at: int | None) -> Markup:
    tag = Markup('<span class="tag" lang="{0}">{1}</span>').format(language.tag, language.own_name)
    if at is None or at >= len(blocks):
        return Markup('<div class="gap">{}missing</div>').format(tag)
    return Markup('<div lang="{}">{}{}</div>').format(language.tag, tag, blocks[at])


def _page(edition: Edition, title: str, parts: Iterable[Markup]) -> bytes:
    page = Markup(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>{0}</title>{1}</head><body><main><h1>{0}</h1>{2}</main></body></html>\n"
    )
    return page.format(title, live(edition, STYLE), Markup("\n").join(parts)).encode()
