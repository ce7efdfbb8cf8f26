"""A parsed text: its tokens for the renderer, and what ``check`` judges in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from markdown_it.token import Token


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the body: ``level`` 2 to 6; ``id`` is ``None`` where it has no name."""

    level: int
    id: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Note:
    """An editor's note; ``date`` is ``None`` if it has no valid date."""

    date: date | None
    line: int


@dataclass(frozen=True, slots=True)
class Original:
    """The original wording; ``language`` is ``None`` if it has no valid language."""

    language: str | None
    line: int


@dataclass(frozen=True, slots=True)
class MarkdownLink:
    """A link or, with ``alt`` set, an image. ``target`` is as the author wrote it."""

    target: str
    line: int
    alt: str | None = None


@dataclass(frozen=True, slots=True)
class RawHtml:
    """A piece of HTML, which is not allowed."""

    line: int


@dataclass(frozen=True, slots=True)
class StrayMark:
    """A mark for emphasis or code that would appear in the text as typed."""

    mark: str
    line: int


@dataclass(frozen=True, slots=True)
class PhotoReference:
    """A photo by its ``name`` in ``photos.toml``; ``alone`` if nothing else is in its paragraph.

    ``alt`` is the alternative text in the Markdown, which must be empty.
    """

    name: str
    alone: bool
    alt: str
    line: int


@dataclass(frozen=True, slots=True)
class NameCard:
    """A name card below the heading ``heading`` (``None`` if the heading has no name).

    ``name`` is its first paragraph; ``since`` is its last, in ``since_line``, and empty if
    there is only one.
    """

    name: str
    line: int
    heading: str | None
    since: str
    since_line: int


@dataclass(frozen=True, slots=True)
class Passage:
    """The text of a paragraph, heading or cell; ``item`` if it is alone in a list's item.

    A ``quoted`` passage is in a quotation or on a card.
    """

    words: str
    line: int
    quoted: bool
    item: bool


Item = Heading | Note | Original | MarkdownLink | NameCard | PhotoReference | RawHtml | StrayMark


@dataclass(frozen=True, slots=True)
class Parsed:
    """The tokens of a text, and its passages."""

    tokens: tuple[Token, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A parsed text: its tokens for the renderer, and the items to check, in order.

    ``digest`` is a hash of the file. ``load`` returns what only rendering needs, which for
    a text from the cache is parsed then. ``has_own_words`` says whether there is a letter, digit
    or image outside headings and editor's notes.

    An editor's note is a pair of tokens ``note_open`` (with its date in ``meta["date"]``)
    and ``note_close``, a name card a pair of ``card_open`` and ``card_close``, the original
    wording a pair of ``original_open`` (with its ``meta["language"]``) and
    ``original_close``. The name of a heading is its attribute ``id``. Lines are counted from
    1 in the file of the text. ``slips`` are the lines and messages of what cannot be
    what the writer meant.
    """

    digest: str
    load: Callable[[], Parsed] = field(repr=False, compare=False)
    items: tuple[Item, ...]
    slips: tuple[tuple[int, str], ...]
    has_own_words: bool

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The text's tokens."""
        return self.load().tokens

    @property
    def passages(self) -> tuple[Passage, ...]:
        """Its paragraphs, headings and cells."""
        return self.load().passages


def has_own_words(tokens: Sequence[Token]) -> bool:
    """Whether there is a letter, digit or image outside headings and editor's notes."""
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.type == "note_open") - (token.type == "note_close")
        if depth or tokens[index - 1].type == "heading_open":
            continue
        for part in (token, *(token.children or ())):
            shown = "" if part.type in {"html_block", "inline"} else part.content
            if part.type == "image" or any(map(str.isalnum, shown)):
                return True
    return False
