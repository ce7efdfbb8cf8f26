"""Content codings: compress the files of a release, choose a coding, and read one.

Measured on the 32 pages and lists of the real release (284 kB): gzip at level 9 118 kB
in 8 ms; zopfli 114 kB in 3,400 ms; brotli at quality 5 106 kB in 10 ms, at 11 95 kB in
600 ms; zstd at its best 116 kB. So every file is compressed when a release is loaded, and
zstd is not offered: every browser that supports it supports brotli.
"""

from __future__ import annotations

import functools
import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

import brotli

from cccr_web.release import File, Release
from cccr_web.serve.policy import Policy, is_compressible

IDENTITY = "identity"


def _gzip(body: bytes) -> bytes:
    # A strong ETag promises the same bytes after every start, so no time is stored.
    return gzip.compress(body, 9, mtime=0)


def _brotli(body: bytes) -> bytes:
    compressed: bytes = brotli.compress(body, mode=brotli.MODE_TEXT, quality=5, lgwin=16)
    return compressed


# In our order of preference.
_ENCODERS: dict[str, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip}


def codings(policy: Policy) -> tuple[str, ...]:
    """Return the codings to offer. Browsers accept brotli over HTTPS only."""
    return ("br", "gzip") if policy.url_scheme == "https" else ("gzip",)


class EncodedBodies:
    """The files of a release in each coding, compressed once for all listeners."""

    def __init__(self, release: Release) -> None:
        self._files = release.files
        self._compressed: dict[tuple[str, str], bytes | None] = {}

    def get(self, path: str, coding: str) -> bytes | None:
        """Return the file's bytes in a coding, or ``None`` if it is not offered in it.

        ``identity`` returns the release's own bytes object, not a copy.
        """
        file: File = self._files[path]
        if coding == IDENTITY:
            return file.body
        if not is_compressible(path):
            return None
        key = path, coding
        if key not in self._compressed:
            compressed = _ENCODERS[coding](file.body)
            self._compressed[key] = compressed if len(compressed) < len(file.body) else None
        return self._compressed[key]


_ELEMENT = re.compile(
    r"[ \t]*([!#$%&'*+.^_`|~0-9a-z-]+)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?"
)
# No browser sends more; a request head has room for thousands.
_MAX_ELEMENTS = 64


def qualities(header: str) -> list[tuple[str, float]]:
    """Return each value of an ``Accept-…`` header, in lower case, with its quality.

    Malformed elements are left out (RFC 9110, section 12.4.2).
    """
    elements = header.lower().split(",", _MAX_ELEMENTS)[:_MAX_ELEMENTS]
    matches = filter(None, map(_ELEMENT.fullmatch, elements))
    return [(match[1], float(match[2] or 1)) for match in matches]


def choose(accepted: str | None, offered: tuple[str, ...]) -> str:
    """Choose a coding for an ``Accept-Encoding`` header (RFC 9110, section 12.5.3).

    At equal quality the first of ``offered`` wins, and all of them come before ``identity``.
    A client that accepts no coding at all gets ``identity`` (section 12.4.1). So does one
    that sends no header, because some programs of that kind cannot decompress.
    """
    if not accepted or not offered:
        return IDENTITY
    # Browsers send short headers; long ones must not fill the cache.
    return _choose_cached(accepted, offered) if len(accepted) < 128 else _choose(accepted, offered)


def _choose(accepted: str, offered: tuple[str, ...]) -> str:
    found: dict[str, float] = {}
    for name, quality in qualities(accepted):
        found.setdefault(name.removeprefix("x-"), quality)
    others = found.get("*", 0.0)
    best = max(offered, key=lambda coding: found.get(coding, others))
    quality = found.get(best, others)
    return best if quality > 0 and quality >= found.get(IDENTITY, 0.0) else IDENTITY


# In bytes: what is decompressed at a time, so that a few bytes cannot fill the memory.
_PIECE = 64 * 1024


def decompress(coding: str | None, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a body with this ``Content-Encoding``, in pieces of limited size.

    Raises ``ValueError`` for a coding that only other programs read, and for damaged bytes.
    """
    name = (coding or IDENTITY).lower().removeprefix("x-")
    if name == IDENTITY:
        yield from chunks
    elif name not in {"br", "deflate", "gzip"}:
        raise ValueError(f"its coding {name[:20]!a} cannot be read")
    else:
        try:
            yield from _unbrotli(chunks) if name == "br" else _inflate(chunks)
        except (brotli.error, zlib.error) as error:
            raise ValueError(f"its coding {name} is damaged") from error


def _inflate(chunks: Iterable[bytes]) -> Iterator[bytes]:
    # 32 detects whether the header is gzip's or zlib's.
    inflater = zlib.decompressobj(32 + zlib.MAX_WBITS)
    for chunk in chunks:
        piece = inflater.decompress(chunk, _PIECE)
        while piece:
            yield piece
            piece = inflater.decompress(inflater.unconsumed_tail, _PIECE)
    if not inflater.eof or inflater.unused_data:
        raise zlib.error


def _unbrotli(chunks: Iterable[bytes]) -> Iterator[bytes]:
    decompressor = brotli.Decompressor()
    for chunk in chunks:
        piece = decompressor.process(chunk, output_buffer_limit=_PIECE)
        while piece or not decompressor.can_accept_more_data():
            yield piece
            piece = decompressor.process(b"", output_buffer_limit=_PIECE)
    if not decompressor.is_finished():
        raise brotli.error


_choose_cached = functools.lru_cache(maxsize=128)(_choose)
