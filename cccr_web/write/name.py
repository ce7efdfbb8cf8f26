"""A new line in ``names.toml``, in its place; all other lines stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cccr_web.content import SourceTree, content_error
from cccr_web.content.site import NAMES, lines_of_names, read_names, wrong_names
from cccr_web.errors import CccrError
from cccr_web.files import replace, writing


def add_name(tree: Path, simplified: str, traditional: str, simplify: Callable[[str], str]) -> int:
    """Add a name in both scripts to ``names.toml`` in ``tree``; return its line.

    ``simplify`` converts Traditional to Simplified Chinese; it shows whether the two forms are
    of the same name. Raises ``CccrError``.
    """
    names, problems = read_names(SourceTree(tree))
    if problems:
        raise content_error(problems)
    for _, message in wrong_names({simplified: traditional}):
        raise CccrError(message, "Nothing was changed.")
    if simplified in names:
        raise CccrError(
            f"“{simplified}” is already in {NAMES}, as “{names[simplified]}”.",
            "Nothing was changed.",
        )
    if simplify(traditional) != simplify(simplified):
        raise CccrError(
            f"“{traditional}” is not “{simplified}” in Traditional characters.",
            f"If the person does write it so, add the line to {NAMES} yourself.",
        )
    file = tree / NAMES
    text = file.read_bytes().decode()
    lines = text.splitlines(keepends=True)
    known = lines_of_names(text)
    # Below the name before it, so that a comment above the following name stays there.
    before = [known[name] for name in names if name < simplified]
    at = max(before) if before else min(known.values(), default=len(lines) + 1) - 1
    end = "\r\n" if text.count("\r\n") else "\n"
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += end
    lines.insert(at, f'"{simplified}" = "{traditional}"{end}')
    with writing(file):
        replace(file, "".join(lines).encode())
    return at + 1
