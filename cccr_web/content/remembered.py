"""What a text contains, except its tokens, as JSON: an unchanged file is not parsed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any, Final, get_args

from cccr_web.content.body import Body, Item, Parsed
from cccr_web.content.dates import PartialDate, StatementDate
from cccr_web.content.front_matter import FrontMatter
from cccr_web.content.model import Text
from cccr_web.languages import Language

# Nothing but these values is made from JSON: {"!Heading": [2, "demands", 14]}.
_KINDS: Final[dict[str, Callable[..., Any]]] = {
    f"!{kind.__name__}": kind for kind in (*get_args(Item), FrontMatter, PartialDate, StatementDate)
} | {"!date": date.fromisoformat}


def to_json(text: Text) -> bytes:
    """Return what ``text`` contains."""
    body = text.body
    values = [text.head, body.digest, body.items, body.slips, body.has_own_words]
    return json.dumps(values, default=_encode, ensure_ascii=False).encode()


def from_json(
    made: bytes, language: Language, path: PurePosixPath, file: Path, load: Callable[[], Parsed]
) -> Text:
    """Return the text from which ``to_json`` made this; ``load`` parses it."""
    head, digest, items, slips, has_own_words = json.loads(made, object_hook=_decode)
    found = tuple((line, message) for line, message in slips)
    return Text(language, path, file, head, Body(digest, load, tuple(items), found, has_own_words))


def _encode(value: Any) -> dict[str, Any]:
    if isinstance(value, date):
        return {"!date": [value.isoformat()]}
    return {f"!{type(value).__name__}": [getattr(value, field.name) for field in fields(value)]}


def _decode(found: dict[str, Any]) -> Any:
    for name, values in found.items():
        if name in _KINDS and isinstance(values, list):
            return _KINDS[name](*(tuple(one) if isinstance(one, list) else one for one in values))
    return found
