"""The note that names the one server which publishes the onion.

It stays on the servers, and is part of no release. Of two notes, the one with the higher number
counts, so that a server that was away learns from any other that it was replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cccr_web.facts import ONION
from cccr_web.notices.signed_text import (
    BILINGUAL_NAME,
    KEY,
    Field,
    NoticeFormat,
    check_key,
    sign_text,
)
from cccr_web.release import PublicKey, SigningKey, Trusted

NAME: Final = "promotion"

_TEMPLATE: Final = (
    f"Publisher of the onion of {BILINGUAL_NAME}"
    """

Number: {number}
Publisher: {publisher}
Key: {key}

Of several servers, only this one publishes the onion. A higher number replaces this note.

"""
)


@dataclass(frozen=True, slots=True)
class Promotion:
    """Which server publishes: ``publisher`` is the address of its own onion, for peers.

    ``number`` is when the admin decided it, in seconds since 1970.
    """

    number: int
    publisher: str
    key: PublicKey


_FORMAT: Final = NoticeFormat(
    NAME,
    _TEMPLATE,
    {
        "number": Field("[1-9][0-9]{0,14}", int),
        "publisher": Field(ONION.pattern, str),
        "key": KEY,
    },
    Promotion,
    lambda note: (note.key,),
    "Make it with: deploy.sh promote",
)


def make_promotion(key: SigningKey, number: int, publisher: str) -> bytes:
    """Return the note, signed. Raises ``CccrError``."""
    note = Promotion(number, publisher, key.public)
    return sign_text(_FORMAT.format(note), (key,), f"promotion {number}")


def read_promotion(body: bytes, key: Trusted | None) -> Promotion:
    """Return a note that ``key`` has signed; with ``None``, its signature is not checked.

    Under a policy, one signer with a minisign key is enough: the note only chooses among the
    organisation's own servers, and only root can put it on one of them.

    Raises ``CccrError`` or ``SignatureError``.
    """
    note = _FORMAT.read(body, verify=key is not None)
    if key is not None:
        check_key(NAME, note.key, key)
    return note
