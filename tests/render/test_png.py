"""Small PNGs, the same bytes everywhere (``render/png.py``)."""

from __future__ import annotations

import hashlib
import io
import random

import pytest
from PIL import Image

from cccr_web.render.png import make_png


@pytest.mark.parametrize("colours", [2, 3, 4, 5, 16])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (8, 8), (45, 45), (400, 400)])
def test_another_program_reads_every_pixel(colours: int, width: int, height: int) -> None:
    """Pillow, which checks every checksum, sees each pixel in its colour, at every depth."""
    dice = random.Random(f"{colours} {width} {height}")  # noqa: S311  # no secret
    palette = [(dice.randrange(256), dice.randrange(256), dice.randrange(256))] * colours
    palette = [(red, green, at) for at, (red, green, _) in enumerate(palette)]
    rows = [[dice.randrange(colours) for _ in range(width)] for _ in range(height)]
    with Image.open(io.BytesIO(make_png(rows, palette))) as picture:
        assert picture.format == "PNG"
        assert picture.size == (width, height)
        seen = picture.convert("RGB").tobytes()
    assert seen == b"".join(bytes(palette[pixel]) for row in rows for pixel in row)


def test_the_bytes_never_change() -> None:
    """The bytes do not depend on how well the zlib of this machine packs."""
    made = make_png(
        [[x % 3 == y % 2 for x in range(40)] for y in range(40)], [(0, 0, 0), (9, 9, 9)]
    )
    assert (
        hashlib.sha256(made).hexdigest()
        == "306aa3c52e3cad5078f955bc04bc4668605e23bd3e3292cb76367939f535cb0e"
    )
