"""What a page of a release may load (Content Security Policy, level 3).

A property of the pages' bytes, so it stands here: ``render`` writes it into each
page's ``<meta>``, for copies that are opened from a disk, and ``serve`` sends it.
"""

from __future__ import annotations

from collections.abc import Iterable


def page_policy(style_hashes: Iterable[str]) -> dict[str, str]:
    """Return the directives: nothing at all but the page's own style sheet and our images.

    ``frame-ancestors`` is not among them: in a ``<meta>`` it has no effect and
    every browser complains of it on its console. The header adds it.
    """
    return {
        "default-src": "'none'",
        "style-src": " ".join(f"'{hash_}'" for hash_ in style_hashes),
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def format_policy(directives: dict[str, str]) -> str:
    """Return the directives as one header value."""
    return "; ".join(f"{name} {value}" for name, value in directives.items())
