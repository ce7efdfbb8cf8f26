"""Whether pictures hold more than a picture: where and with what it was taken, by whom.

PNG: chunks of text, time and Exif (PNG, third edition, 11.3). JPEG: the segments APP1
(Exif, XMP), APP13 (IPTC) and comments (ITU-T T.81, B.2.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cccr_web.doctor.contents import contents
from cccr_web.doctor.result import Result, not_applicable, ok, some, wrong
from cccr_web.release import Release

NAME: Final = "images"

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_CHUNKS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"})
# APP0 is JFIF's, APP2 a colour profile, APP14 Adobe's colours: of the picture itself.
_SEGMENTS: Final = {
    0xFE: "a comment",
    0xE1: "Exif or XMP",
    0xED: "IPTC",
    **dict.fromkeys((*range(0xE3, 0xED), 0xEF), "an application’s notes"),
}
_START_OF_SCAN: Final = 0xDA


def check_images(release: Release) -> Iterator[Result]:
    """Look into every picture of the release, also those inside the copies."""
    count = 0
    found = []
    for path, body in contents(release):
        if body.startswith((_PNG, _JPEG)):
            count += 1
            notes = _png(body) if body.startswith(_PNG) else _jpeg(body)
            found += [f"{path} holds {note}" for note in sorted(set(notes))]
    if found:
        yield wrong(
            NAME,
            f"A picture tells more than it shows: {some(found)}.",
            "Build the release with “cccr-web build”, which takes it away.",
        )
    elif count:
        yield ok(NAME, f"{count} pictures hold nothing but the picture.")
    else:
        yield not_applicable(NAME, "The release has no picture.")


def _png(body: bytes) -> Iterator[str]:
    at = len(_PNG)
    while at + 8 <= len(body):
        length, kind = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8]
        if kind in _CHUNKS:
            yield f"a chunk {kind.decode('ascii')}"
        at += 12 + length


def _jpeg(body: bytes) -> Iterator[str]:
    at = 2
    while at + 4 <= len(body) and body[at] == 0xFF:
        kind = body[at + 1]
        if kind == _START_OF_SCAN:
            return
        if kind in _SEGMENTS:
            yield _SEGMENTS[kind]
        at += 2 + int.from_bytes(body[at + 2 : at + 4], "big")
