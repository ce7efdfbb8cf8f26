"""The errors of the onion room, as a whole."""

from __future__ import annotations

import ast
from pathlib import Path

import cccr_web.onion
from cccr_web.errors import OnionError

ROOM = Path(cccr_web.onion.__file__).parent
NAMES = {error.__name__ for error in OnionError.__subclasses__()}


def calls() -> list[tuple[str, int]]:
    """Return each place where the room makes an error: its class and how many sentences."""
    return [
        (node.func.id, len(node.args))
        for module in ROOM.glob("*.py")
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES
    ]


def test_no_error_is_dead() -> None:
    """Every class of onion error is used by the room."""
    assert {name for name, _ in calls()} == NAMES


def test_every_error_says_the_way_out() -> None:
    """Every error is made with two sentences: what is wrong, and what to do."""
    assert [call for call in calls() if call[1] != 2] == []
