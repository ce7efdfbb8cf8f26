"""The public half of an Ed25519 key from its expanded secret (RFC 8032, section 5.1).

Tor keeps the expanded secret, not the seed that libraries ask for, so none of them gives
the public key; and stem's own arithmetic does not import without a warning. Plain
integers take a time that depends on the secret: it runs once a start, in the process
that holds the secret anyway, and answers nobody who could measure it.
"""

from __future__ import annotations

import hashlib
from typing import Final

Point = tuple[int, int, int, int]
"""Extended homogeneous coordinates X, Y, Z, T (RFC 8032, 5.1.4)."""

P: Final = 2**255 - 19
D: Final = -121665 * pow(121666, -1, P) % P
BASE_X: Final = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE_Y: Final = 4 * pow(5, -1, P) % P
BASE: Final[Point] = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
NEUTRAL: Final[Point] = (0, 1, 1, 0)


def expand(seed: bytes) -> bytes:
    """Hash and clamp a seed of 32 random bytes into an expanded secret of 64 (5.1.5)."""
    secret = bytearray(hashlib.sha512(seed).digest())
    secret[0] &= 0b1111_1000
    secret[31] = secret[31] & 0b0111_1111 | 0b0100_0000
    return bytes(secret)


def is_expanded(secret: bytes) -> bool:
    """Tell whether ``secret`` has the length and the clamped bits that ``expand`` gives it."""
    return len(secret) == 64 and secret[0] & 0b111 == 0 and secret[31] >> 6 == 0b01


def public_key(secret: bytes) -> bytes:
    """Return the 32 bytes of the public key of an expanded secret."""
    scalar = int.from_bytes(secret[:32], "little")
    total, power = NEUTRAL, BASE
    while scalar:
        if scalar & 1:
            total = _add(total, power)
        power = _add(power, power)
        scalar >>= 1
    return _encode(total)


def _add(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % P
    b = (one[1] + one[0]) * (two[1] + two[0]) % P
    c = 2 * one[3] * two[3] * D % P
    d = 2 * one[2] * two[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")
