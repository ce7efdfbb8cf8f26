"""The onion's address for hands and cameras: in groups of characters, and as a QR code."""

from __future__ import annotations

from typing import Final

import segno

from cccr_web.render.png import make_png

FILE: Final = "onion.png"

# Pixels to a module, and modules of quiet around the code (ISO/IEC 18004, section 9.1).
_SCALE = 4
_QUIET = 4

_WHITE_AND_BLACK = [(255, 255, 255), (0, 0, 0)]
_GROUP = 4


def grouped(onion: str) -> str:
    """Return ``….onion`` as groups of four characters, to read out or to type."""
    name, dot, ending = onion.partition(".")
    groups = [name[at : at + _GROUP] for at in range(0, len(name), _GROUP)]
    return " ".join([*groups, dot + ending])


def qr_code(onion: str) -> bytes:
    """Return a PNG that a camera reads as the address of the onion.

    Level M is still read with 15 % of it damaged or in shadow.
    """
    code = segno.make_qr(f"http://{onion}/", error="m", boost_error=False)
    rows = [[int(dark) for dark in row] for row in code.matrix_iter(_SCALE, _QUIET)]
    return make_png(rows, _WHITE_AND_BLACK)


def side(onion: str) -> int:
    """Return how many pixels the picture of ``qr_code`` is wide and high."""
    code = segno.make_qr(f"http://{onion}/", error="m", boost_error=False)
    return int(code.symbol_size(_SCALE, _QUIET)[0])
