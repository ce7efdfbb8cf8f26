"""Render a parsed text as HTML, once for all files that show it.

What its place decides (links, ids, the levels of headings) is left open: ``TextRenderer`` marks it,
and ``fill`` fills it in.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache
from typing import Any

from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict, OptionsType
from markupsafe import Markup

from cccr_web.content.body import Body
from cccr_web.content.characters import HAN, REDACTED, SELECTORS
from cccr_web.content.links import External, ToFile, ToText
from cccr_web.content.markdown import PHOTOS, language_attributes
from cccr_web.render.layout import PageLayout

# A list of many short items, such as names, is shown in columns.
_LONG_LIST = 9

_CHINESE = rf"\u3005-\u3007{HAN}\uf900-\ufaff《》{SELECTORS}"
_KANA = r"\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
# Scripts that few languages use: the language that they are most likely in here.
_SCRIPTS = {
    "ug": r"\u0600-\u06ff\u0750-\u077f\u0870-\u08ff\u200c\u200d\ufb50-\ufdff\ufe70-\ufefe",
    "he": r"\u0590-\u05ff\ufb1d-\ufb4f",
    "bo": r"\u0f00-\u0fff",
    "ko": r"\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff",
    "ja": _KANA,
}
_RIGHT_TO_LEFT = {"ug", "he"}
# Between the parts of a name.
_DOTS = "·•‧・"
# Punctuation of ASCII, and hyphens and dashes, to be used between the brackets of a pattern.
_ASCII_MARKS = "!\"%',./:;?‐‑–-"
_BRACKETS = ("()", "（）", "[]", "［］")


def _runs_of(scripts: dict[str, str]) -> re.Pattern[str]:
    """Return the pattern of a run of words in one of the scripts.

    It includes the digits, blanks, brackets and punctuation between the words, and what was
    redacted in a Chinese name. From right to left, it also includes ASCII punctuation, and a
    number that a hyphen joins to a word: outside the run, they would put its parts in the wrong
    order.
    """
    marks = rf"\s\d{_DOTS}()（）\[\]［］，。、；：！？…—“”‘’「」『』〈〉"
    runs = []
    for tag, script in scripts.items():
        rtl = tag in _RIGHT_TO_LEFT
        redacted = REDACTED if HAN in script else ""
        between = rf"[{marks}{redacted}{_ASCII_MARKS if rtl else ''}]*"
        before, after = (r"(?:\d+[-‐‑–])?", r"(?:[-‐‑–]\d+)?") if rtl else ("", "")
        if redacted:
            before, after = rf"(?:[{redacted}][{_DOTS}]?)*", rf"(?:[{_DOTS}]?[{redacted}])*"
        runs.append(f"(?P<{tag}>{before}[{script}](?:{between}[{script}])*{after})")
    return re.compile("|".join(runs))


_RUNS = _runs_of(_SCRIPTS)
_RUNS_WITH_HAN = _runs_of({**_SCRIPTS, "ja": _CHINESE + _KANA})

_OPTIONS: OptionsType = {
    "maxNesting": 20,
    "html": False,
    "linkify": False,
    "typographer": False,
    "quotes": "",
    "xhtmlOut": True,
    "breaks": False,
    "langPrefix": "",
    "highlight": lambda code, *_: mark_languages(code, None),
}
_XHTML = OptionsDict(_OPTIONS)

# Around what is left open: its kind, and a value. No text contains this control character.
_MARK = "\x1c"
_HEADING_LEVEL, _ID, _LINK, _LINK_END, _PHOTO, _SOURCE = "nilepS"

Resolve = Callable[[str], External | ToText | ToFile]


def _mark(kind: str, value: str = "") -> str:
    return f"{_MARK}{kind}{value}{_MARK}"


def _leading(kind: str, destination: ToText | ToFile) -> str:
    """Return the mark of what leads to a file of the release, or to a heading in it."""
    match destination:
        case ToText(text, fragment):
            return _mark(kind, f"{text.url}#{fragment}")
        case ToFile(path):
            return _mark(kind, f"{path}#")


def fill(marked: str, layout: PageLayout, photo: Callable[[str], str] = str) -> Markup:
    """Return what ``TextRenderer`` has rendered as HTML that is safe to put into a page.

    ``layout`` shifts headings, names them, closes empty elements and has the links between files.
    ``photo`` renders the photo of that name with its caption.
    """
    pieces = marked.split(_MARK)
    if not layout.xhtml:
        # Text is escaped, so only empty elements end like this.
        pieces[::2] = [piece.replace(" />", ">") for piece in pieces[::2]]
    is_link = False
    for index in range(1, len(pieces), 2):
        kind, value = pieces[index][0], pieces[index][1:]
        if kind == _HEADING_LEVEL:
            # HTML has six levels.
            made = str(min(int(value) + layout.level - 1, 6))
        elif kind == _ID:
            made = escapeHtml(layout.heading_id(value))
        elif kind == _LINK:
            # Links do not contain links.
            href = layout.href(*value.split("#", 1))
            is_link = href is not None
            made = "" if href is None else f'<a href="{escapeHtml(href)}">'
        elif kind == _LINK_END:
            made = "</a>" if is_link else ""
        elif kind == _SOURCE:
            made = escapeHtml(str(layout.href(*value.split("#", 1))))
        else:
            made = photo(value)
        pieces[index] = made
    return Markup("".join(pieces))  # noqa: S704  # all text in it is escaped


def _nothing(_heading: str) -> str:
    return ""


class TextRenderer(RendererHTML):
    """markdown-it's renderer with our links, notes, lists and language marks.

    ``note_title`` returns the title of an editor's note of that day. Words in another
    script are marked with their language (WCAG 3.1.2), Chinese ones with ``han_tag`` if
    it is set. ``kept`` are names in Simplified Chinese on a page in Traditional.
    ``original_title`` returns the title of original wording in a language. ``card_label`` is what
    a screen reader calls a name card. Every method returns what ``fill`` needs. ``resolve`` returns
    where a link leads, by default to another site.
    """

    def __init__(
        self,
        note_title: Callable[[date], str],
        han_tag: str | None = None,
        original_title: Callable[[str], str] = str,
        kept: tuple[str, ...] = (),
        card_label: str = "",
    ) -> None:
        # Not super().__init__(), which takes longer to find the rules than to render a page.
        self.rules = {name: getattr(self, name) for name in _rules()}
        self._note_title = note_title
        self._original_title = original_title
        self._card_label = card_label
        self._han_tag = han_tag
        self._kept = kept
        # Chinese has no spaces: a line break in the source must not become one.
        self._soft_break = "\n" if han_tag else ""

    def page(
        self,
        body: Body,
        resolve: Resolve = External,
        below_heading: Callable[[str], str] = _nothing,
    ) -> str:
        """Return the whole text.

        ``below_heading`` returns a line to show below the heading of that name, or nothing.
        """
        env = {"resolve": resolve, "below": below_heading}
        return self.render([*_with_cards(body.tokens)], _XHTML, env)

    def blocks(
        self, body: Body, resolve: Resolve, below_heading: Callable[[str], str]
    ) -> list[tuple[int, str]]:
        """Return the parts of what ``page`` returns, each with its first line, from 0.

        A part is a paragraph, a list or another block; a card belongs to the heading above it.
        Lines are counted in the Markdown below the front matter.
        """
        groups: list[tuple[int, list[Token]]] = []
        for token in _with_cards(body.tokens):
            if token.level == 0 and token.nesting >= 0 and token.map and token.type != "card_open":
                groups.append((token.map[0], []))
            groups[-1][1].append(token)
        env = {"resolve": resolve, "below": below_heading}
        return [(line, self.render(group, _XHTML, env)) for line, group in groups]

    def card(self, tokens: Sequence[Token], resolve: Resolve) -> str:
        """Return what is on a name card."""
        return self.render([*_named(tokens[:3]), *tokens[3:]], _XHTML, {"resolve": resolve})

    def words(self, inline: Token, resolve: Resolve) -> str:
        """Return the inline content of one block, without the block's own element."""
        return self.renderInline(inline.children or [], _XHTML, {"resolve": resolve})

    def text(self, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
        """Escape text, and mark words in another script unless they are marked already."""
        text = tokens[idx].content
        if "original" in env or (idx and tokens[idx - 1].type == "lang_open"):
            return escapeHtml(text)
        return mark_languages(text, self._han_tag, self._kept)

    def code_inline(self, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
        """Render code; words in another script than Latin or Chinese are marked in it, too."""
        code = tokens[idx].content
        shown = escapeHtml(code) if "original" in env else mark_languages(code, None)
        return f"<code>{shown}</code>"

    def softbreak(self, _tokens: Sequence[Token], _idx: int, _options: Any, env: Any) -> str:
        """Render a line break in the source."""
        if "original" in env:
            return "" if env["original"].startswith("zh") else "\n"
        return self._soft_break

    def link_open(self, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
        """Render the start of a link."""
        destination = env["resolve"](str(tokens[idx].attrGet("href")))
        if isinstance(destination, External):
            env["end"] = "</a>"
            return f'<a href="{escapeHtml(destination.url)}">'
        env["end"] = _mark(_LINK_END)
        return _leading(_LINK, destination)

    def link_close(self, _tokens: Sequence[Token], _idx: int, _options: Any, env: Any) -> str:
        """Render the end of a link."""
        return str(env["end"])

    def heading_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Render a heading below the title of the text; its name becomes its ``id``."""
        token = tokens[idx]
        name = token.attrGet("id")
        attrs = {} if name is None else {"id": _mark(_ID, str(name))}
        token = _shifted(token).copy(attrs=attrs)
        # renderToken looks at the neighbours to decide where a line ends.
        before = tokens[max(idx - 1, 0) : idx]
        return self.renderToken([*before, token, tokens[idx + 1]], len(before), options, env)

    def heading_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Render the end of a heading and the line below it."""
        end = self.renderToken([_shifted(tokens[idx])], 0, options, env)
        name = tokens[idx - 2].attrGet("id")
        below = env["below"](str(name)) if name is not None else ""
        return f'{end}<p class="facts">{escapeHtml(below)}</p>\n' if below else end

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Render a photo, or another image."""
        token = tokens[idx]
        target = str(token.attrGet("src"))
        if target.startswith(PHOTOS):
            return _mark(_PHOTO, target.removeprefix(PHOTOS))
        destination = env["resolve"](target)
        if isinstance(destination, External):
            source = escapeHtml(destination.url)
        else:
            source = _leading(_SOURCE, destination)
        image = token.copy(attrs={**token.attrs, "src": _MARK})
        return super().image([image], 0, options, env).replace(_MARK, source)

    def bullet_list_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """Render a list; a class shows one of many items in columns."""
        level = tokens[idx].level
        items = 0
        for token in tokens[idx + 1 :]:
            if token.type == "bullet_list_close" and token.level == level:
                break
            items += token.type == "list_item_open" and token.level == level + 1
        if items >= _LONG_LIST:
            tokens[idx].attrSet("class", "columns")
        return self.renderToken(tokens, idx, options, env)

    def note_open(self, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
        """Render the start of an editor's note: who wrote it, and when.

        As a note it is no landmark: a statement with three notes has no run of landmarks.
        """
        title = escapeHtml(self._note_title(tokens[idx].meta["date"]))
        env["notes"] = env.get("notes", 0) + 1
        # No heading's name contains a dot.
        name = _mark(_ID, f"note.{env['notes']}")
        opening = f'<aside class="note" role="note" aria-labelledby="{name}">'
        return f'{opening}\n<p class="by" id="{name}">{title}</p>\n'

    def original_open(self, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
        """Render the start of original wording: a label in the page's language, and its own."""
        env["original"] = tag = str(tokens[idx].meta["language"])
        title = escapeHtml(self._original_title(tag))
        return (
            f'<figure class="original">\n<figcaption class="by">{title}</figcaption>\n'
            f"<blockquote{self.renderAttrs(tokens[idx])}>\n"
        )

    def original_close(self, _tokens: Sequence[Token], _idx: int, _options: Any, env: Any) -> str:
        """Render the end of original wording."""
        del env["original"]
        return "</blockquote>\n</figure>\n"

    def card_open(self, _tokens: Sequence[Token], _idx: int, _options: Any, _env: Any) -> str:
        """Render the start of a name card."""
        return f'<div class="card" role="group" aria-label="{escapeHtml(self._card_label)}">\n'

    def card_close(self, _tokens: Sequence[Token], _idx: int, _options: Any, _env: Any) -> str:
        """Render the end of a name card."""
        return "</div>\n"

    def note_close(self, _tokens: Sequence[Token], _idx: int, _options: Any, _env: Any) -> str:
        """Render the end of an editor's note."""
        return "</aside>\n"


def _shifted(heading: Token) -> Token:
    return heading.copy(tag=f"h{_mark(_HEADING_LEVEL, heading.tag[1])}")


@cache
def _rules() -> tuple[str, ...]:
    """Return the types of tokens that have a method."""
    methods = inspect.getmembers(TextRenderer, inspect.isfunction)
    return tuple(name for name, _ in methods if not name.startswith(("render", "_")))


def _with_cards(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield the tokens of a text, without the name on each card that repeats its heading.

    So no reader meets the name twice in a row, not in a feed or a text browser either.
    """
    rest = iter(enumerate(tokens))
    for index, token in rest:
        yield token
        if token.type == "card_open":
            name = [following for _, following in itertools.islice(rest, 3)]
            repeats = _words(tokens[index - 2]) == _words(name[1])
            if tokens[index - 1].type != "heading_close" or not repeats:
                yield from _named(name)


def _words(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def _named(name: Sequence[Token]) -> Iterator[Token]:
    """Yield the paragraph with the name on a card as an element that style sheets can find."""
    opening, words, closing = name
    yield opening.copy(tag="div", attrs={"class": "name"})
    yield words
    yield closing.copy(tag="div")


@cache
def _with_names(names: tuple[str, ...]) -> re.Pattern[str]:
    longest = sorted(names, key=lambda name: (-len(name), name))
    return re.compile(f"(?P<kept>{'|'.join(map(re.escape, longest))})|{_RUNS.pattern}")


def mark_languages(text: str, han_tag: str | None, kept: tuple[str, ...] = ()) -> str:
    """Escape ``text``, and mark words in another script with their language.

    ``han_tag`` is the tag for Chinese characters; they are not marked if it is ``None``.
    Then ``kept`` are the names in Simplified Chinese among them, which are marked.
    Words from right to left are isolated, so that they do not move their neighbours.
    """
    html, end = "", 0
    pattern = _RUNS_WITH_HAN if han_tag else _with_names(kept) if kept else _RUNS
    for run in pattern.finditer(text):
        start, stop = _with_partners(text, *run.span(), end)
        tag = "zh-Hans" if run.lastgroup == "kept" else str(run.lastgroup)
        if tag == "ja" and han_tag and not re.search(f"[{_KANA}]", run[0]):
            tag = han_tag
        attributes = language_attributes(run[0], tag)
        element = "bdi" if "dir" in attributes else "span"
        marks = "".join(f' {name}="{value}"' for name, value in attributes.items())
        html += f"{escapeHtml(text[end:start])}<{element}{marks}>"
        html += f"{escapeHtml(text[start:stop])}</{element}>"
        end = stop
    return html + escapeHtml(text[end:])


def _with_partners(text: str, start: int, stop: int, least: int) -> tuple[int, int]:
    """Return the ends of a run with the other bracket of each pair that is half in it."""
    for pair in _BRACKETS:
        opening, closing = pair[0], pair[1]
        more = text.count(opening, start, stop) - text.count(closing, start, stop)
        if more > 0 and text[stop : stop + 1] == closing:
            stop += 1
        if more < 0 and start > least and text[start - 1] == opening:
            start -= 1
    return start, stop
