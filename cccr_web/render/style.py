"""The one style sheet, small enough to stand in every page."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

NAME = "style.css"


@dataclass(frozen=True, slots=True)
class Style:
    """The sheet as it stands between ``<style>`` and ``</style>``, and its CSP hash source."""

    text: str
    hash: str


def read_style(templates: Path) -> Style:
    """Read the sheet of the pages."""
    text = read_sheet(templates / NAME)
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Style(text, f"sha256-{digest}")


def read_sheet(file: Path) -> str:
    """Read a sheet, without the comments and the indentation that only its writers need."""
    text = file.read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*([{};,>])\s*", r"\1", text)
    text = re.sub(r":\s+", ":", text)
    return re.sub(r"\s+", " ", text).strip().replace(";}", "}")
