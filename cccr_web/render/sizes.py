"""The sizes of files as each language writes them."""

from __future__ import annotations

from babel.units import format_unit

from cccr_web.render.dates import babel_locale


def format_size(length: int) -> str:
    """Return ``length`` bytes in kilobytes of 1,000 bytes, rounded up: ``49 kB``."""
    return format_unit(
        -(-length // 1000), "digital-kilobyte", length="short", locale=babel_locale()
    )
