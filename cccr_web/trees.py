"""Where the words (``translations/``) and the page templates (``templates/``) lie."""

from __future__ import annotations

from pathlib import Path

from cccr_web.errors import TreeMissingError

PACKAGE = Path(__file__).resolve().parent


def find_tree(name: str) -> Path:
    """Return the folder ``name``: inside the package (a wheel) or beside it (a checkout).

    Raises ``TreeMissingError`` if it is in neither place.
    """
    for candidate in (PACKAGE / name, PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise TreeMissingError(
        f"The folder {name}/ is neither in {PACKAGE} nor in {PACKAGE.parent}.",
        "The installation is incomplete: install cccr-web again.",
    )
