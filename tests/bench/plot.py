"""Draw what a site takes over its number of statements, as an SVG of three panels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

_PANELS: Final = (
    ("build", "build, CPU seconds"),
    ("start", "start of the server, CPU seconds"),
    ("memory", "memory of the server, MB"),
)
_WIDTH: Final = 300
_HEIGHT: Final = 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 24, 34, 34


def plot(found: Mapping[int, Mapping[str, float]]) -> str:
    """Return the SVG. Both axes are logarithmic."""
    panels = "".join(
        f'<g transform="translate({_WIDTH * number},0)">'
        f"{_panel(title, [(count, each[key]) for count, each in found.items()])}</g>"
        for number, (key, title) in enumerate(_PANELS)
    )
    width = _WIDTH * len(_PANELS)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" '
        f'font-family="sans-serif" font-size="11" fill="#222">'
        f'<rect width="100%" height="100%" fill="#fff"/>{panels}</svg>\n'
    )


def _panel(title: str, points: Sequence[tuple[float, float]]) -> str:
    across = _decades([count for count, _ in points])
    up = _decades([amount for _, amount in points])
    parts = [f'<text x="{_LEFT}" y="18" font-weight="bold">{title}</text>']
    for exponent in range(across[0], across[1] + 1):
        x = _place(exponent, across, _LEFT, _WIDTH - _RIGHT)
        parts.append(_line(x, _TOP, x, _HEIGHT - _BOTTOM))
        parts.append(_label(x, _HEIGHT - _BOTTOM + 15, exponent, "middle"))
    for exponent in range(up[0], up[1] + 1):
        y = _place(exponent, up, _HEIGHT - _BOTTOM, _TOP)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y))
        parts.append(_label(_LEFT - 6, y + 4, exponent, "end"))
    places = [
        (
            _place(math.log10(count), across, _LEFT, _WIDTH - _RIGHT),
            _place(math.log10(amount), up, _HEIGHT - _BOTTOM, _TOP),
        )
        for count, amount in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline points="{line}" fill="none" stroke="#1a5" stroke-width="2"/>')
    parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1a5"/>' for x, y in places]
    middle, bottom = (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 4
    parts.append(f'<text x="{middle}" y="{bottom}" text-anchor="middle">statements</text>')
    return "".join(parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that enclose the values."""
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def _place(exponent: float, decades: tuple[int, int], first: float, last: float) -> float:
    return first + (exponent - decades[0]) / (decades[1] - decades[0]) * (last - first)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#ddd"/>'


def _label(x: float, y: float, exponent: int, anchor: str) -> str:
    number = f"{10**exponent:,}" if exponent >= 0 else f"{10**exponent:.{-exponent}f}"
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{number}</text>'
