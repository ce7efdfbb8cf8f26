"""Content codings: compress the files of a release, and read a compressed body.

Measured on the 32 pages and lists of the real release (284 kB): gzip at level 9 118 kB
in 8 ms; zopfli 114 kB in 3,400 ms; brotli at quality 5 106 kB in 10 ms, at 11 95 kB in
600 ms; zstd at its best 116 kB. So zstd is not offered: every browser that supports it supports
brotli. A page is compressed when the first reader asks for it, which adds a fraction of a
millisecond; large files are compressed when a release is loaded.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import brotli

from cccr_web.release import Release
from cccr_web.serve.policy import Policy, is_compressible

IDENTITY = "identity"


def _gzip(body: bytes) -> bytes:
    # A strong ETag promises the same bytes after every start, so no time is stored.
    return gzip.compress(body, 9, mtime=0)


def _brotli(body: bytes) -> bytes:
    compressed: bytes = brotli.compress(body, mode=brotli.MODE_TEXT, quality=5, lgwin=16)
    return compressed


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip}
# In our order of preference.
_ON_CLEARNET: Final = ("br", "gzip")
_ON_ONION: Final = ("gzip",)


# In bytes. Compressing a longer file would delay the other readers for milliseconds.
_LARGE: Final = 128 * 1024
# A shorter one may not become smaller.
_SHORT: Final = 1024
# Of all bodies that were compressed on request. Those of 5,000 pages fit.
_MAX_RECENT: Final = 48 * 1024 * 1024


class EncodedBodies:
    """The files of a release in each coding, compressed once for all listeners.

    Large files are compressed by ``compress_large``, all others on request. When these have too
    many bytes, they are dropped, and ``when_dropped`` is called, so that nobody else holds them.
    """

    def __init__(self, release: Release) -> None:
        self.when_dropped: list[Callable[[], None]] = []
        self._files = release.files
        self._large: dict[tuple[str, str], bytes] = {}
        self._recent: dict[tuple[str, str], bytes] = {}
        self._size = 0

    def offered(self, path: str, policy: Policy) -> tuple[str, ...]:
        """Return the codings of a file for one listener, without those that save no bytes.

        Browsers accept brotli over HTTPS only.
        """
        if not is_compressible(path):
            return ()
        codings = _ON_CLEARNET if policy.url_scheme == "https" else _ON_ONION
        length = len(self._files[path].body)
        if length > _SHORT:
            return codings
        return tuple(coding for coding in codings if len(self.body(path, coding)) < length)

    def compress_large(self, policy: Policy) -> None:
        """Compress all large files in the codings of one listener."""
        for path, file in self._files.items():
            if len(file.body) > _LARGE:
                for coding in self.offered(path, policy):
                    self.body(path, coding)

    def body(self, path: str, coding: str) -> bytes:
        """Return a file in one coding. The same file always gives the same bytes."""
        whole = self._files[path].body
        if coding == IDENTITY:
            return whole
        key = path, coding
        kept = self._large if len(whole) > _LARGE else self._recent
        if key not in kept:
            body = _ENCODERS[coding](whole)
            if kept is self._recent:
                self._make_room(len(body))
            kept[key] = body
        return kept[key]

    def _make_room(self, length: int) -> None:
        self._size += length
        if self._size > _MAX_RECENT:
            self._recent.clear()
            self._size = length
            for drop in self.when_dropped:
                drop()


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
