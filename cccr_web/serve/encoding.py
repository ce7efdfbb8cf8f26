"""Content codings: what a file is packed with, and which one a reader gets.

Measured on the 32 pages and lists of the real release (284 kB): gzip at level 9 118 kB
in 8 ms; zopfli 114 kB in 3,400 ms; brotli at quality 5 106 kB in 10 ms, at 11 95 kB in
600 ms; zstd at its best 116 kB. So everything is packed when a release is taken, and
zstd is not offered: each browser that knows it knows brotli.
"""

from __future__ import annotations

import functools
import gzip
import re
from collections.abc import Callable

import brotli

from cccr_web.release import File, Release
from cccr_web.serve.policy import Policy, is_text

IDENTITY = "identity"


def _gzip(body: bytes) -> bytes:
    # No time in it: the same bytes at every start, as a strong ETag promises.
    return gzip.compress(body, 9, mtime=0)


def _brotli(body: bytes) -> bytes:
    packed: bytes = brotli.compress(body, mode=brotli.MODE_TEXT, quality=5, lgwin=16)
    return packed


# In the order of our preference.
_CODERS: dict[str, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip}


def codings(policy: Policy) -> tuple[str, ...]:
    """Return what may be offered: browsers take brotli over https only."""
    return ("br", "gzip") if policy.url_scheme == "https" else ("gzip",)


class Encoded:
    """The files of a release in each coding, packed once, for all listeners together."""

    def __init__(self, release: Release) -> None:
        self._files = release.files
        self._packed: dict[tuple[str, str], bytes | None] = {}

    def get(self, path: str, coding: str) -> bytes | None:
        """Return the file's bytes in a coding; ``None`` if it is not offered in it.

        ``identity`` gives the very bytes of the release, no copy of them.
        """
        file: File = self._files[path]
        if coding == IDENTITY:
            return file.body
        if not is_text(path):
            return None
        key = path, coding
        if key not in self._packed:
            packed = _CODERS[coding](file.body)
            self._packed[key] = packed if len(packed) < len(file.body) else None
        return self._packed[key]


_ELEMENT = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)


def choose(accepted: str | None, offered: tuple[str, ...]) -> str:
    """Choose a coding for an ``Accept-Encoding`` header (RFC 9110, section 12.5.3).

    Of equal ones the first ``offered`` counts, and any of them before ``identity``. Whoever
    takes none of them, not even ``identity``, gets it all the same (section 12.4.1); so does
    who says nothing, since some programs without that header cannot unpack.
    """
    if not accepted or not offered:
        return IDENTITY
    # What real browsers send is short; long ones shall not fill the memory.
    return _known(accepted, offered) if len(accepted) < 128 else _choose(accepted, offered)


def _choose(accepted: str, offered: tuple[str, ...]) -> str:
    qualities: dict[str, float] = {}
    for element in accepted.lower().split(","):
        match = _ELEMENT.fullmatch(element)
        if match:
            name = match[1].removeprefix("x-")
            qualities.setdefault(name, float(match[2] or 1))
    others = qualities.get("*", 0.0)
    best = max(offered, key=lambda coding: qualities.get(coding, others))
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get(IDENTITY, 0.0) else IDENTITY


_known = functools.lru_cache(maxsize=128)(_choose)
