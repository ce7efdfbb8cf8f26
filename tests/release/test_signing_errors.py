"""The errors of signing, as a whole."""

from __future__ import annotations

import ast
from pathlib import Path

import cccr_web
from cccr_web.errors import SigningError

PACKAGE = Path(cccr_web.__file__).parent
NAMES = {error.__name__ for error in SigningError.__subclasses__()}


def calls() -> list[tuple[str, int]]:
    """Return each place where such an error is made: its class and how many sentences."""
    return [
        (node.func.id, len(node.args))
        for room in ("release", "cli")
        for module in (PACKAGE / room).glob("*.py")
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES
    ]


def test_no_signing_error_is_dead() -> None:
    """Every class of signing error is used."""
    assert {name for name, _ in calls()} == NAMES


def test_every_signing_error_says_the_way_out() -> None:
    """Every error is made with two sentences: what is wrong, and what to do."""
    assert [call for call in calls() if call[1] != 2] == []
