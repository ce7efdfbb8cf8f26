"""``cccr-web.zip``: a release in one file, to take away and pass on.

The same files give the same bytes: sorted names, the release's own time, fixed mode bits
and zlib's level 9 (other implementations of deflate may give other bytes). Unpacked it is
a release again, with its own manifest and signatures.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from cccr_web.errors import MissingFileError, ReleaseError
from cccr_web.release import manifest
from cccr_web.release.folder import printable, too_long
from cccr_web.release.model import File, Release, bodies, list_files

NAME: Final = "cccr-web.zip"
TOP: Final = "cccr-web/"

_UNIX: Final = 3
_MODE: Final = 0o100644

# Bytes, less names and extra fields (APPNOTE.TXT, 4.3.7, 4.3.12 and 4.3.16).
_LOCAL_HEADER: Final = 30
_CENTRAL_HEADER: Final = 46
_END: Final = 22
_LONGEST_PATH: Final = 256

# The dates that a ZIP can hold (4.4.6).
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_LATEST: Final = (2107, 12, 31, 23, 59, 58)

# What zipfile raises for a damaged file.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)


def make_archive(files: Mapping[str, bytes], time: datetime) -> bytes:
    """Return the ZIP of ``files`` (path → content), all dated ``time``, below one folder."""
    return pack_zip({TOP + path: files[path] for path in sorted(files)}, time)


def pack_zip(files: Mapping[str, bytes], time: datetime, *, stored: Collection[str] = ()) -> bytes:
    """Return a ZIP of ``files`` in their order; those ``stored`` are not compressed.

    The same files and time give the same bytes.
    """
    out = io.BytesIO()
    stamp = min(max(time.astimezone(UTC).timetuple()[:6], _EARLIEST), _LATEST)
    with zipfile.ZipFile(out, "w") as target:
        for path, body in files.items():
            entry = zipfile.ZipInfo(path, stamp)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            kind = zipfile.ZIP_STORED if path in stored else zipfile.ZIP_DEFLATED
            entry.compress_type = kind
            target.writestr(entry, body, compresslevel=9)
    return out.getvalue()


def with_archive(release: Release) -> Release:
    """Return ``release`` with one more listed file: a ZIP of all its files."""
    packed = make_archive(bodies(release.files), release.metadata.time)
    return list_files({**release.listed, NAME: File.of(packed)}, release.metadata)


class Archive:
    """A ZIP parsed strictly, so that every program that unpacks it sees the same files."""

    def __init__(self, packed: bytes, name: str) -> None:
        self._name = name
        self._check_end(packed)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(packed))
        except _BROKEN as error:
            raise ReleaseError(f"{name} is not a ZIP: {error}.") from error
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._zip.infolist():
            path = self._path(entry)
            if path in self._entries:
                raise ReleaseError(f"{name} holds {printable(path)} twice.")
            self._entries[path] = entry
        self._check_gaps()

    def read(self, path: str, limit: int) -> bytes:
        """Unpack one file, never to more than ``limit``. Raises ``ReleaseError``."""
        entry = self._entries.get(path)
        if entry is None:
            raise MissingFileError(f"{path} is missing in {self._name}.")
        if entry.file_size > limit:
            raise too_long(path, limit)
        try:
            with self._zip.open(entry) as source:
                body = source.read(entry.file_size + 1)
        except _BROKEN as error:
            raise ReleaseError(f"{path} is damaged in {self._name}.") from error
        if len(body) != entry.file_size:
            raise ReleaseError(f"{path} is not as long as {self._name} says.")
        return body

    def unlisted(self, listed: Collection[str]) -> Iterator[str]:
        """Yield the path of each entry that is not listed."""
        return (path for path in self._entries if path not in listed)

    def _path(self, entry: zipfile.ZipInfo) -> str:
        path = entry.orig_filename
        if entry.flag_bits or entry.extra or entry.comment or entry.filename != path:
            raise ReleaseError(
                f"{printable(path)} has flags, extra fields or an ambiguous name in {self._name}."
            )
        # The only method whose output zipfile limits.
        if entry.compress_type != zipfile.ZIP_DEFLATED:
            raise ReleaseError(f"{printable(path)} is not deflated in {self._name}.")
        if (entry.create_system, entry.external_attr) != (_UNIX, _MODE << 16):
            raise ReleaseError(f"{printable(path)} is not a regular file in {self._name}.")
        if not path.startswith(TOP):
            raise ReleaseError(f"{printable(path)} is outside {TOP} in {self._name}.")
        return path.removeprefix(TOP)

    def _check_end(self, packed: bytes) -> None:
        """Limit the number of entries before zipfile allocates memory for each."""
        end = packed[-_END:]
        if len(end) != _END or not end.startswith(b"PK\5\6"):
            raise ReleaseError(f"{self._name} is not a ZIP, or has something after its end.")
        size = int.from_bytes(end[12:16], "little")
        if size > manifest.MAX_FILES * (_CENTRAL_HEADER + _LONGEST_PATH):
            raise ReleaseError(f"{self._name} holds more than {manifest.MAX_FILES:,} files.")

    def _check_gaps(self) -> None:
        """Reject bytes before, between or after the entries."""
        end, gaps = 0, False
        for entry in sorted(self._entries.values(), key=lambda entry: entry.header_offset):
            gaps |= entry.header_offset != end
            end += _LOCAL_HEADER + len(entry.filename) + entry.compress_size
        if gaps or end != self._zip.start_dir:
            raise ReleaseError(f"{self._name} holds bytes that belong to no entry.")
