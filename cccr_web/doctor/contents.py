"""Every file of a release, and those inside its ZIP and its books."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Final

from cccr_web.release import MAX_FILE, Release

_PACKED: Final = b"PK\3\4"


def contents(release: Release) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each; one inside another is named after both.

    What was compared with its signature is a ZIP of ours, so it is small enough; still
    no member may be larger than a file.
    """
    for path, file in release.files.items():
        yield path, file.body
        if file.body.startswith(_PACKED):
            yield from _inside(path, file.body)


def _inside(path: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            for member in packed.infolist():
                if not member.is_dir() and member.file_size <= MAX_FILE:
                    inner = packed.read(member)
                    yield f"{path}:{member.filename}", inner
                    if inner.startswith(_PACKED):
                        yield from _inside(f"{path}:{member.filename}", inner)
    except zipfile.BadZipFile:
        return  # it only begins like one
