"""The onion address to type and to scan: in groups of characters, and as a QR code."""

from __future__ import annotations

import io
from typing import Final

import segno

FILE: Final = "onion.png"

# Pixels per module, and modules of quiet zone around the code (ISO/IEC 18004, section 9.1).
_SCALE = 4
_QUIET_ZONE = 4

_GROUP = 4


def grouped(onion: str) -> str:
    """Return ``….onion`` in groups of four characters, to read out or to type."""
    name, dot, ending = onion.partition(".")
    groups = [name[at : at + _GROUP] for at in range(0, len(name), _GROUP)]
    return " ".join([*groups, dot + ending])


def qr_code(onion: str) -> bytes:
    """Return a PNG of the onion's URL as a QR code.

    Error correction level M tolerates damage to 15 % of it.
    """
    code = segno.make_qr(f"http://{onion}/", error="m", boost_error=False)
    png = io.BytesIO()
    # Versions of zlib compress differently; uncompressed, the bytes are the same everywhere.
    code.save(png, kind="png", scale=_SCALE, border=_QUIET_ZONE, compresslevel=0)
    return png.getvalue()
