"""The site's icon: 公, the first character of the organisation's name, in five strokes.

It is drawn here, without a font, so that every machine draws the same bytes.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from cccr_web.render.png import Colour, make_png

FAVICON: Final = "favicon.ico"
ICON: Final = "icon.png"

_ICON_SIDE = 128
# What browsers show in a tab, on an ordinary and on a fine screen.
_FAVICON_SIDES = (16, 32)

_RED: Colour = (0x9A, 0x1B, 0x1B)
_PAPER: Colour = (0xFF, 0xFE, 0xFB)
_SHADES = 4

# From point to point in a square of side 1, x to the right and y down: 八 above 厶.
_STROKES = (
    ((0.41, 0.17), (0.16, 0.47)),
    ((0.59, 0.17), (0.84, 0.47)),
    ((0.47, 0.44), (0.26, 0.79)),
    ((0.26, 0.79), (0.75, 0.79)),
    ((0.62, 0.60), (0.78, 0.83)),
)
_HALF_WIDTH = 0.055


def icons() -> dict[str, bytes]:
    """Return the files: one for tabs and bookmarks, one for the screen of a phone."""
    return {FAVICON: _ico(_FAVICON_SIDES), ICON: _draw(_ICON_SIDE)}


def _draw(side: int) -> bytes:
    rows = [
        [_shade((x + 0.5) / side, (y + 0.5) / side, side) for x in range(side)] for y in range(side)
    ]
    palette = [_mixed(shade / (_SHADES - 1)) for shade in range(_SHADES)]
    return make_png(rows, palette)


def _shade(x: float, y: float, side: int) -> int:
    """Return how much of a pixel a stroke covers, from 0 to ``_SHADES - 1``."""
    inside = _HALF_WIDTH - min(_distance(x, y, *stroke) for stroke in _STROKES)
    return round(min(max(inside * side + 0.5, 0.0), 1.0) * (_SHADES - 1))


def _distance(x: float, y: float, start: tuple[float, float], end: tuple[float, float]) -> float:
    """Return how far a point is from the line between two others."""
    run, rise = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * run + (y - start[1]) * rise) / (run * run + rise * rise)
    along = min(max(along, 0.0), 1.0)
    across, down = x - start[0] - along * run, y - start[1] - along * rise
    # A square root is exact to the last bit everywhere (IEEE 754); math.hypot need not be.
    return math.sqrt(across * across + down * down)


def _mixed(paper: float) -> Colour:
    red, green, blue = (
        round(dark + (light - dark) * paper) for dark, light in zip(_RED, _PAPER, strict=True)
    )
    return red, green, blue


def _ico(sides: tuple[int, ...]) -> bytes:
    """Return a Windows icon that holds a PNG of each size."""
    pictures = [_draw(side) for side in sides]
    head = struct.pack("<3H", 0, 1, len(pictures))
    at = len(head) + 16 * len(pictures)
    for side, picture in zip(sides, pictures, strict=True):
        head += struct.pack("<4B2H2I", side, side, 0, 0, 1, 2, len(picture), at)
        at += len(picture)
    return head + b"".join(pictures)
