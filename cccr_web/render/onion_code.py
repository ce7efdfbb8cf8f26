"""QR codes: of the onion address, also in groups of characters to type, and of other texts."""

from __future__ import annotations

import base64
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
    return _png(_url(onion), _SCALE, _QUIET_ZONE)


def data_uri(onion: str) -> str:
    """Return the code as a ``data:`` URI (RFC 2397), with two pixels a side for each module.

    It has no quiet zone: the page around it must leave one.
    """
    return text_uri(_url(onion))


def text_uri(text: str) -> str:
    """Return the code of any text as such a URI."""
    return f"data:image/png;base64,{base64.b64encode(_png(text, 2, 0)).decode()}"


def _url(onion: str) -> str:
    return f"http://{onion}/"


def _png(text: str, scale: int, border: int) -> bytes:
    code = segno.make_qr(text, error="m", boost_error=False)
    png = io.BytesIO()
    # Versions of zlib compress differently; uncompressed, the bytes are the same everywhere.
    code.save(png, kind="png", scale=scale, border=border, compresslevel=0)
    return png.getvalue()
