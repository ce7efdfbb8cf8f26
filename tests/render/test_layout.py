"""The one style sheet (``render/layout.py``)."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cccr_web.config import find_tree
from cccr_web.render.layout import read_style


def test_smaller_but_the_same(tmp_path: Path) -> None:
    """Comments and indentation go; the spaces that mean something stay."""
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


def test_short_enough() -> None:
    """The sheet has less than 200 lines, and cannot end the element that it stands in."""
    sheet = (find_tree("templates") / "style.css").read_text()
    assert len(sheet.splitlines()) < 200
    assert "</" not in sheet
    assert "<!--" not in sheet
