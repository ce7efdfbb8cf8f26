"""Write a small PNG, the same bytes with every version of every library.

Source: W3C, "Portable Network Graphics (PNG) Specification (Third Edition)". The pixels
stand in stored blocks (RFC 1951, section 3.2.4): how well zlib packs differs between its
versions, and pictures of a few colours are small enough without it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

Colour = tuple[int, int, int]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED = 3
_LONGEST_BLOCK = 0xFFFF


def make_png(rows: Sequence[Sequence[int]], palette: Sequence[Colour]) -> bytes:
    """Return the picture of ``rows`` of pixels, each the number of a colour of ``palette``.

    The palette has 2 to 16 colours, red, green and blue from 0 to 255 each.
    """
    depth = 1 if len(palette) <= 2 else 2 if len(palette) <= 4 else 4
    head = struct.pack(">2I5B", len(rows[0]), len(rows), depth, _INDEXED, 0, 0, 0)
    # Each line begins with its filter: none.
    pixels = b"".join(b"\0" + _packed(row, depth) for row in rows)
    colours = b"".join(map(bytes, palette))
    parts = [(b"IHDR", head), (b"PLTE", colours), (b"IDAT", _stored(pixels)), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)


def _packed(row: Sequence[int], depth: int) -> bytes:
    """Pack pixels into bytes, the first into the highest bits (section 7.2)."""
    each = 8 // depth
    padded = [*row, *[0] * (-len(row) % each)]
    return bytes(
        sum(
            pixel << depth * (each - 1 - at)
            for at, pixel in enumerate(padded[start : start + each])
        )
        for start in range(0, len(padded), each)
    )


def _stored(data: bytes) -> bytes:
    """Return ``data`` in zlib's format (RFC 1950), not compressed."""
    blocks = [data[at : at + _LONGEST_BLOCK] for at in range(0, len(data), _LONGEST_BLOCK)]
    stored = b"".join(
        struct.pack("<BHH", at == len(blocks) - 1, len(block), len(block) ^ 0xFFFF) + block
        for at, block in enumerate(blocks)
    )
    return b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(data))


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
