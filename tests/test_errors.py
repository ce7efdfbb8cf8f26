"""Every failure says what happened and what to do (``errors.py``)."""

from __future__ import annotations

import ast
import functools
import itertools
import re

import pytest
from support.packages import syntax_trees

from cccr_web import errors
from cccr_web.config import PACKAGE
from cccr_web.errors import CccrError, ReleaseError, counted

# A count, and a plural that follows it, as they are in an f-string.
COUNT = re.compile(r"\blen\([a-z]|(?<![A-Z]\.)\bdays\b|\bcount\b|\bf_favail\b|\bpoints\b")
PLURAL = re.compile(r" [a-z]+s\b")

CLASSES = [thing for thing in vars(errors).values() if isinstance(thing, type)]


@functools.cache
def calls() -> list[tuple[str, str, int]]:
    """Return each call that makes one of these errors: location, class, number of arguments."""
    names = {kind.__name__ for kind in CLASSES}
    return [
        (f"{module.relative_to(PACKAGE)}:{node.lineno}", node.func.id, len(node.args))
        for module, tree in syntax_trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def test_an_error_shows_its_problem_and_its_remedy() -> None:
    """An error carries what happened and what to do, and shows both."""
    error = CccrError("The file is missing.", "Create it.")
    assert (error.problem, error.remedy) == ("The file is missing.", "Create it.")
    assert str(error) == "The file is missing. Create it."
    assert str(CccrError("The file is missing.")) == "The file is missing."


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_is_documented_and_raised(kind: type[Exception]) -> None:
    """Every class descends from the one root, says what it means, and is raised somewhere."""
    assert issubclass(kind, CccrError)
    assert kind.__doc__
    assert kind.__name__ in {name for _, name, _ in calls()}


def test_a_number_and_its_noun_agree() -> None:
    """One is singular, and no message joins a count that can be one and a plural."""
    assert [counted(number, "day") for number in (0, 1, 2, 1000)] == [
        *("0 days", "1 day", "2 days", "1,000 days")
    ]
    found = []
    for module, tree in syntax_trees().items():
        for text in ast.walk(tree):
            parts = text.values if isinstance(text, ast.JoinedStr) else []
            for value, noun in itertools.pairwise(parts):
                plural = isinstance(noun, ast.Constant) and PLURAL.match(str(noun.value))
                if plural and COUNT.search(ast.unparse(value)):
                    found.append(f"{module.name}:{value.lineno}: {ast.unparse(text)}")
    # verify.py imports nothing of ours; a copy has more than one file.
    assert [each for each in found if not each.startswith("verify.py")] == []


def test_every_error_says_what_to_do() -> None:
    """Every error has a remedy.

    Exempt are a broken release (the remedy is another release) and the list of bad
    settings, each with its own remedy.
    """
    exempt = {kind.__name__ for kind in CLASSES if issubclass(kind, ReleaseError)}
    without = [call for call in calls() if call[1] not in exempt and call[2] != 2]
    assert [
        location
        for location, _, _ in without
        if not location.startswith(("config.py", "content/source_tree.py"))
    ] == []
