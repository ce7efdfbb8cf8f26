"""Every failure says what is wrong and the way out (``errors.py``)."""

from __future__ import annotations

from cccr_web import errors
from cccr_web.errors import CccrError


def test_words() -> None:
    """An error carries its problem and its way out, and shows both."""
    error = CccrError("It is broken.", "Mend it.")
    assert (error.problem, error.way_out) == ("It is broken.", "Mend it.")
    assert str(error) == "It is broken. Mend it."
    assert str(CccrError("It is broken.")) == "It is broken."


def test_one_root() -> None:
    """Every error of ours is caught by the one root, and says in its docstring what it is."""
    ours = [thing for thing in vars(errors).values() if isinstance(thing, type)]
    assert all(issubclass(kind, CccrError) and kind.__doc__ for kind in ours)
