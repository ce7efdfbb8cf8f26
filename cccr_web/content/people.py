"""The people on name cards, for the lists and pages that show a card of another text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markdown_it.token import Token

from cccr_web.content.body import NameCard
from cccr_web.content.model import Text


@dataclass(frozen=True, slots=True)
class Person:
    """A person with a name card in ``text``, below the heading named ``id``.

    ``name`` is the heading's text and ``since`` the card's last paragraph, as tokens of
    inline text; ``card`` holds the tokens within the card.
    """

    text: Text
    id: str
    name: Token
    since: Token
    card: tuple[Token, ...]


def people_on_cards(texts: Iterable[Text]) -> dict[str, Person]:
    """Return every person by the name of their heading; the first text with a card counts."""
    found: dict[str, Person] = {}
    for text in texts:
        for person in _people_in(text):
            found.setdefault(person.id, person)
    return found


def _people_in(text: Text) -> Iterator[Person]:
    if not any(isinstance(item, NameCard) for item in text.body.items):
        return
    tokens = text.body.tokens
    name, id_, start = None, "", 0
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            name, id_ = tokens[index + 1], str(token.attrGet("id") or "")
        elif token.type == "card_open":
            start = index + 1
        elif token.type == "card_close" and name is not None and id_:
            card = tokens[start:index]
            inline = [one for one in card if one.type == "inline" and one.children]
            if len(inline) > 1:
                yield Person(text, id_, name, inline[-1], card)
