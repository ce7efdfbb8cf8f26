"""Copies of the real texts, for tests that change them."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from cccr_web.config import find_tree
from cccr_web.content import SourceTree, content_error
from cccr_web.render import check_trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXTS = find_tree("translations")


def copy_texts(folder: Path) -> Path:
    """Copy the real texts into ``folder``; return their tree."""
    return shutil.copytree(TEXTS, folder / "translations")


def texts_with_key(folder: Path, public_key: object) -> Path:
    """Copy the real texts into ``folder``, with this key in ``site.toml``; return their tree."""
    tree = copy_texts(folder)
    facts = (tree / "site.toml").read_text(encoding="utf-8")
    line = f'public_key = "{public_key}"'
    named = re.sub(r'(?m)^public_key = ".*"$', lambda _: line, facts)
    (tree / "site.toml").write_text(named, encoding="utf-8")
    return tree


def replace_once(file: str, old: str, new: str) -> Callable[[Path], object]:
    """Return a function that replaces ``old``, which occurs once in ``file`` of a tree."""

    def change(tree: Path) -> None:
        path = tree / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new), encoding="utf-8")

    return change


def problems_of(tree: Path) -> list[str]:
    """Return the problems that ``cccr-web check`` finds in a tree, one line per problem."""
    *_, problems = check_trees(SourceTree(tree), find_tree("templates"), {})
    found = str(content_error(problems))
    return [line.removeprefix("translations/") for line in found.splitlines()]
