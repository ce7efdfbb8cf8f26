"""The one style sheet (``render/layout.py``)."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cccr_web.config import find_tree
from cccr_web.render.layout import read_style


def test_comments_and_indentation_are_removed(tmp_path: Path) -> None:
    """The spaces that have a meaning stay."""
    (tmp_path / "style.css").write_text(
        "/* a */\n:lang(zh) em ,\nh1 > p {\n  font: 1rem/1.6 Georgia, serif; /* b */\n}\n"
        "@media (prefers-color-scheme: dark) {\n  a:focus { color: red; }\n}\n"
    )
    style = read_style(tmp_path)
    assert style.text == (
        ":lang(zh) em,h1>p{font:1rem/1.6 Georgia,serif}"
        "@media (prefers-color-scheme:dark){a:focus{color:red}}"
    )
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert style.hash == f"sha256-{digest}"


def test_the_style_sheet_is_short_and_safe_to_inline() -> None:
    """The sheet has fewer than 200 lines, and cannot end its own element."""
    sheet = (find_tree("templates") / "style.css").read_text()
    assert len(sheet.splitlines()) < 200
    assert "</" not in sheet
    assert "<!--" not in sheet
