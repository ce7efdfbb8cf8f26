"""How a page of each kind looks, compared with the thumbnails that were last reviewed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw
from support.browser.thumbnails import (
    FOLDER,
    HEIGHT,
    PATHS,
    README_PICTURE,
    VIEWS,
    as_stored,
    changed_views,
    stored_file,
    take,
)

if TYPE_CHECKING:
    from pathlib import Path

    from support.browser.devtools import Chromium

UPDATE = "If it is meant, run tests/shots.sh --store, and look at the new pictures."
MOST = 480_000  # bytes in the repository


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_a_page_looks_as_stored(chromium: Chromium, published: Path, path: str) -> None:
    """A page looks as its thumbnails, on a phone and a desktop, light and dark, and on paper."""
    with chromium.tab() as tab, Image.open(stored_file(path)) as before:
        shown = as_stored(take(tab, (published / path).as_uri()))
        assert changed_views(before.convert("RGB"), shown) == [], UPDATE


def test_the_stored_pictures_are_small() -> None:
    """All thumbnails and the README's picture are under 480 kB, and none is left over."""
    files = sorted(FOLDER.iterdir())
    assert files == sorted(map(stored_file, PATHS))
    assert sum(file.stat().st_size for file in (*files, README_PICTURE)) < MOST


def test_a_style_sheet_that_moves_or_recolours_a_page_is_noticed(
    chromium: Chromium, published: Path
) -> None:
    """A wider margin or other links change every view; the same page changes none."""
    url = (published / "en/statements/index.html").as_uri()
    with chromium.tab() as tab:
        before = take(tab, url)
        assert changed_views(before, take(tab, url)) == []
        for old, new in (
            ("rem/1.55", "rem/1.7"),
            ("font:", "letter-spacing:1px;font:"),
        ):
            page = (published / "en/statements/index.html").read_text(encoding="utf-8")
            assert old in page
            other = published / "en" / "statements" / "other.html"
            other.write_text(without_policy(page).replace(old, new), encoding="utf-8")
            assert changed_views(before, take(tab, other.as_uri())) == list(VIEWS), new
            other.unlink()


def without_policy(page: str) -> str:
    """Return a page that may have another style sheet."""
    start = page.index("<meta http-equiv")
    return page[:start] + page[page.index(">", start) + 1 :]


def test_noise_is_tolerated_and_a_line_that_moved_is_not() -> None:
    """A few levels everywhere are tolerated; one line of text in another place is not."""
    sheet = Image.new("RGB", (630, HEIGHT), "white")
    noisy = Image.new("RGB", sheet.size, (248, 250, 252))
    assert changed_views(sheet, noisy) == []
    moved = sheet.copy()
    ImageDraw.Draw(moved).rectangle((5, 40, 84, 45), fill="black")
    assert changed_views(sheet, moved) == [VIEWS[0]]
    assert changed_views(sheet, Image.new("RGB", (1, 1))) == list(VIEWS)
