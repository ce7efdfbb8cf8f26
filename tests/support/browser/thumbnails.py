"""How pages look: small pictures of each kind of page, stored and compared with tolerance.

A sheet shows one page on a phone and on a desktop, light and dark, and its first sheet of paper.
"""

from __future__ import annotations

import base64
import io
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

from cccr_web.languages import LANGUAGES
from cccr_web.release import ERROR_PAGES, INDEX
from cccr_web.render.copies import single_url
from support import TOP
from support.browser.browsing import SCHEMES

if TYPE_CHECKING:
    from support.browser.devtools import Tab

FOLDER: Final = TOP / "tests" / "browser" / "thumbnails"
README_PICTURE: Final = TOP / ".github" / "home.webp"

_PAGES: Final = (
    *("index", "statements/index", "statements/2011-liu-xiaobo-and-chen-guangcheng"),
    *("statements/2013-05-07-tiananmen-rally", "who-we-are", "addresses", "copies", "verify"),
)
# A page of each kind in every language, and those that the languages share.
PATHS: Final = (
    *(f"{language.slug}/{page}.html" for page in _PAGES for language in LANGUAGES),
    *map(single_url, LANGUAGES),
    *(*ERROR_PAGES.values(), INDEX),
)

HEIGHT: Final = 320  # pixels of a sheet
_QUALITY: Final = 30  # of WebP


@dataclass(frozen=True, slots=True)
class Window:
    """A window in CSS pixels, and the width of its picture on a sheet in pixels."""

    width: int
    height: int
    shown: int
    phone: bool = False


PHONE: Final = Window(360, 640, 90, phone=True)
_WINDOWS: Final = {"phone": PHONE, "desktop": Window(1280, 900, 150)}
_PAPER: Final = 150
VIEWS: Final = (*(f"{window} {scheme}" for window in _WINDOWS for scheme in SCHEMES), "paper")
_WIDTHS: Final = {
    **{f"{name} {scheme}": one.shown for name, one in _WINDOWS.items() for scheme in SCHEMES},
    "paper": _PAPER,
}

# Two pictures are compared in squares of this many pixels, by the mean difference of their
# levels (0 to 255). A line that moved changes a square by 40 and more.
_SQUARE: Final = 10
_TOLERANCE: Final = 14
# The share of squares that may differ more: another version of Chromium moves a few letters.
_MOST: Final = 0.004


def take(tab: Tab, url: str) -> Image.Image:
    """Return the sheet of the page at ``url``."""
    # In a new tab lines are a fraction of a pixel elsewhere than after another size of the window.
    _show(tab, url, _WINDOWS["desktop"], SCHEMES[0])
    pictures = []
    for window in _WINDOWS.values():
        for scheme in SCHEMES:
            height = HEIGHT * window.width // window.shown
            picture = screen(tab, url, window, scheme, height)
            pictures.append(picture.resize((window.shown, HEIGHT), Image.Resampling.BOX))
    pictures.append(_paper(tab))
    sheet = Image.new("RGB", (sum(_WIDTHS.values()), HEIGHT), "white")
    at = 0
    for picture, width in zip(pictures, _WIDTHS.values(), strict=True):
        sheet.paste(picture, (at, 0))
        at += width
    return sheet


def screen(
    tab: Tab, url: str, window: Window, scheme: str, height: int | None = None
) -> Image.Image:
    """Return the top of a page in a window, to ``height`` CSS pixels; by default the window's."""
    _show(tab, url, window, scheme)
    # At half size: a phone has two pixels for each CSS pixel.
    clip = {"x": 0, "y": 0, "width": window.width, "height": height or window.height}
    scale = 1 if height is None else 0.5
    taken = tab.call(
        "Page.captureScreenshot",
        captureBeyondViewport=True,
        optimizeForSpeed=True,
        clip={**clip, "scale": scale},
    )
    with Image.open(io.BytesIO(base64.b64decode(taken["data"]))) as picture:
        return picture.convert("RGB")


def _show(tab: Tab, url: str, window: Window, scheme: str) -> None:
    tab.size(window.width, window.height, phone=window.phone)
    tab.media(scheme)
    tab.visit(url)


def _paper(tab: Tab) -> Image.Image:
    tab.media("light")
    pdf = tab.call("Page.printToPDF", preferCSSPageSize=True, pageRanges="1")["data"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page")
        file.write_bytes(base64.b64decode(pdf))
        size = ("-scale-to-x", str(_PAPER), "-scale-to-y", "-1")
        command = ("pdftoppm", "-png", "-singlefile", *size, str(file), str(file))
        subprocess.run(command, check=True, timeout=60)
        with Image.open(f"{file}.png") as picture:
            return picture.convert("RGB")


def encoded(picture: Image.Image, quality: int = _QUALITY) -> bytes:
    """Return a picture as it is stored."""
    body = io.BytesIO()
    picture.save(body, "WEBP", quality=quality, method=6)
    return body.getvalue()


def as_stored(picture: Image.Image) -> Image.Image:
    """Return what storing leaves of a picture, so that the loss of WebP is on both sides."""
    with Image.open(io.BytesIO(encoded(picture))) as read:
        return read.convert("RGB")


def stored_file(path: str) -> Path:
    """Return the file with the sheet of the page at ``path``."""
    return FOLDER / f"{path.removesuffix('.html').replace('/', '.')}.webp"


def changed_views(before: Image.Image, after: Image.Image) -> list[str]:
    """Return the views in which two sheets differ by more than the tolerance."""
    if before.size != after.size:
        return list(VIEWS)
    found, at = [], 0
    for view, width in _WIDTHS.items():
        area = (at, 0, at + width, HEIGHT)
        at += width
        bands = ImageChops.difference(before.crop(area), after.crop(area)).split()
        most = bands[0]
        for band in bands[1:]:
            most = ImageChops.lighter(most, band)
        squares = most.resize((width // _SQUARE, HEIGHT // _SQUARE), Image.Resampling.BOX)
        levels = squares.tobytes()
        if sum(level > _TOLERANCE for level in levels) > _MOST * len(levels):
            found.append(view)
    return found


def readme_picture(tab: Tab, urls: list[str]) -> Image.Image:
    """Return the first screens of some pages on a phone, light above dark."""
    width, gap = 180, 8
    height = width * PHONE.height // PHONE.width
    rows = len(SCHEMES)
    size = (len(urls) * (width + gap) + gap, rows * (height + gap) + gap)
    picture = Image.new("RGB", size, "#8a8a8a")
    for row, scheme in enumerate(SCHEMES):
        for column, url in enumerate(urls):
            shown = screen(tab, url, PHONE, scheme)
            shown = shown.resize((width, height), Image.Resampling.LANCZOS)
            picture.paste(shown, (gap + column * (width + gap), gap + row * (height + gap)))
    return picture
