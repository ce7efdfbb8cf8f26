"""``cccr-web.zip``: a release in one file, to take away and pass on.

The same files give the same bytes: sorted names, the release's own time, fixed mode bits
and zlib's level 9 (other implementations of deflate may give other bytes). Unpacked it is
a release again, with its own manifest and signatures.

A ZIP describes each file twice, before its bytes and in the directory at the end, and
programs differ in which of the two they believe, and in how they find where a file ends. So
a ZIP with the right files for one program may hold others for the next. The rule for what
is accepted has two classes; ``standalone/verify.py`` has both, and tests/support/attacks/zips.py
the cases that both programs must judge, each with what six other programs unpack.

*Our ZIP* is what ``make_archive`` writes: from the first byte to the last, each local header
with the bytes of its file, in the order of their names, then the directory and its end,
with every field as it is here. All files have the release's time. Every stream ends
exactly at its stated length and unpacks to exactly the stated length and CRC. The
compressed bytes themselves are free, because builds of zlib differ. Nothing else is
accepted here, and nothing else exits with 0 in verify.py.

*A repacked ZIP* is one that another program made from our files. Only verify.py accepts it,
and exits with 3 at best:

- The entries follow each other without a gap from byte 0 to the directory, in the
  directory's order; the directory ends at the end record, which is the last 22 bytes. There
  is no comment, no second disk and no ZIP64.
- The local header and the directory agree in every field they share. Their extra fields may
  differ, but hold nothing but times and owners (UT, ux, UX, Ux and Windows' 10).
- If the flag for a data descriptor is set, the local header may have 0 for the CRC and
  the lengths, and a descriptor of 16 bytes with the true values follows the stream, which
  is then deflated or empty. Otherwise an entry is stored or deflated, and its stream ends
  as in our ZIP. This holds for entries that the manifest does not list too.
- An entry is a regular file or a folder, as its name says. Names are UTF-8, stay in the
  folder into which one unpacks on every system, and name different places on every system:
  neither case nor Unicode form alone may distinguish two.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cccr_web.errors import MissingFileError, ReleaseError
from cccr_web.release import manifest
from cccr_web.release.folder import printable, too_long
from cccr_web.release.model import ARCHIVE, File, Release, bodies, list_files

NAME: Final = ARCHIVE
_TOP: Final = "cccr-web/"

_MODE: Final = 0o100644

# The headers without their names (APPNOTE.TXT, 4.3.7, 4.3.12 and 4.3.16).
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_VERSION: Final = 20
_MADE_BY: Final = 3 << 8 | _VERSION  # Unix
_STORED: Final = 0
_DEFLATED: Final = 8

# The dates that a ZIP can hold.
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
_LATEST: Final = (2107, 12, 31, 23, 59, 58)


def deflate(body: bytes) -> bytes:
    """Return ``body`` as a deflated stream, as it is in a ZIP."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def make_archive(
    files: Mapping[str, bytes], time: datetime, deflate: Callable[[bytes], bytes] = deflate
) -> bytes:
    """Return the ZIP of ``files`` (path → content), all dated ``time``, below one folder.

    ``deflate`` may remember what it has returned.
    """
    return pack_zip({_TOP + path: files[path] for path in sorted(files)}, time, deflate=deflate)


def pack_zip(
    files: Mapping[str, bytes],
    time: datetime,
    *,
    stored: Collection[str] = (),
    deflate: Callable[[bytes], bytes] = deflate,
) -> bytes:
    """Return a ZIP of ``files`` in their order; those ``stored`` are not compressed.

    The same files and time give the same bytes.
    """
    out, directory = io.BytesIO(), list[bytes]()
    for path, body in files.items():
        name, at = path.encode("ascii"), out.tell()
        method, stream = (_STORED, body) if path in stored else (_DEFLATED, deflate(body))
        sizes = (zlib.crc32(body), len(stream), len(body))
        fields = (_VERSION, 0, method, *_stamp(time), *sizes, len(name), 0)
        out.write(_LOCAL.pack(b"PK\3\4", *fields) + name)
        out.write(stream)
        central = _CENTRAL.pack(b"PK\1\2", _MADE_BY, *fields, 0, 0, 0, _MODE << 16, at)
        directory.append(central + name)
    start = out.tell()
    out.write(b"".join(directory))
    count = len(directory)
    out.write(_END.pack(b"PK\5\6", 0, 0, count, count, out.tell() - start, start, 0))
    return out.getvalue()


def with_archive(release: Release, deflate: Callable[[bytes], bytes] = deflate) -> Release:
    """Return ``release`` with one more file: a ZIP of all its files, instead of an earlier one.

    It is a listed file, except under a policy.
    """
    others = {path: file for path, file in release.files.items() if path != NAME}
    packed = File.of(make_archive(bodies(others), release.metadata.time, deflate))
    if release.metadata.has_policy:
        return Release(dict(sorted({**others, NAME: packed}.items())), release.metadata)
    return list_files({**release.listed, NAME: packed}, release.metadata)


def check_archive(packed: bytes, release: Release) -> None:
    """Raise ``ReleaseError`` unless a ZIP that is not listed holds exactly a release's files.

    ``release`` has its manifest, all its signatures and the hashes of all listed files.
    """
    archive = Archive(packed, NAME)
    archive.check_time(release.metadata.time)
    for path, file in release.files.items():
        try:
            body = archive.read(path, manifest.MAX_FILE)
        except ReleaseError as error:
            raise ReleaseError(error.problem, error.remedy, path=NAME) from error
        if manifest.digest(body) != file.sha256:
            raise ReleaseError(f"{path} in {NAME} is not the one of the release.", path=NAME)
    for extra in archive.unlisted(release.files):
        raise ReleaseError(f"{NAME} holds {printable(extra)}, which is not listed.", path=NAME)


def _stamp(time: datetime) -> tuple[int, int]:
    """Return the fields for ``time``, or for the nearest that a ZIP can hold (4.4.6)."""
    nearest = min(max(time.astimezone(UTC).timetuple()[:6], _EARLIEST), _LATEST)
    year, month, day, hour, minute, second = nearest
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry as its local header describes it, and where its bytes begin."""

    start: int
    crc: int
    packed: int
    size: int


class Archive:
    """A ZIP that ``make_archive`` wrote, or that has its exact layout (see above)."""

    def __init__(self, packed: bytes, name: str) -> None:
        self._packed = packed
        self._name = name
        self._entries: dict[str, _Entry] = {}
        # All files have the same time: that of the first one.
        self._stamp = struct.unpack("<2H", packed[10:14].ljust(4, b"\0"))
        at, directory = 0, []
        while packed.startswith(b"PK\3\4", at):
            path, entry = self._read_local(at)
            directory.append((path, self._central(path, entry, at)))
            self._entries[path] = entry
            at = entry.start + entry.packed
            if len(self._entries) > manifest.MAX_FILES:
                raise ReleaseError(f"{name} holds more than {manifest.MAX_FILES:,} files.")
        start = at
        for path, record in directory:
            if not packed.startswith(record, at):
                raise self._differs(f"the directory at {printable(path)}")
            at += len(record)
        count = len(directory)
        end = _END.pack(b"PK\5\6", 0, 0, count, count, at - start, start, 0)
        if packed[at:] != end:
            raise self._differs("its end" if count else "its beginning")

    @property
    def longest(self) -> int:
        """The length of its longest file, in bytes."""
        return max(entry.size for entry in self._entries.values())

    def read(self, path: str, limit: int) -> bytes:
        """Unpack one file, never to more than ``limit``. Raises ``ReleaseError``."""
        entry = self._entries.get(path)
        if entry is None:
            raise MissingFileError(f"{path} is missing in {self._name}.", path=path)
        if entry.size > limit:
            raise too_long(path, limit)
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        packed = memoryview(self._packed)[entry.start : entry.start + entry.packed]
        try:
            # One byte more, so that the end of the stream is reached and a longer one is noticed.
            body = stream.decompress(packed, entry.size + 1)
        except zlib.error as error:
            raise self._damaged(path) from error
        ends = stream.eof and not stream.unused_data
        if not ends or (len(body), zlib.crc32(body)) != (entry.size, entry.crc):
            raise self._damaged(path)
        return body

    def check_time(self, time: datetime) -> None:
        """Raise ``ReleaseError`` unless all files have this time."""
        if self._stamp != _stamp(time):
            raise self._differs("the time of its files")

    def unlisted(self, listed: Collection[str]) -> Iterator[str]:
        """Yield the path of each entry that is not listed."""
        return (path for path in self._entries if path not in listed)

    def _read_local(self, at: int) -> tuple[str, _Entry]:
        """Read the local header at a place; it must be as ``make_archive`` writes it."""
        header = self._packed[at : at + _LOCAL.size]
        if len(header) != _LOCAL.size:
            raise self._differs("its end")
        crc, packed, size, length = _LOCAL.unpack(header)[6:10]
        start = at + len(header) + length
        name = self._packed[at + len(header) : start].decode("ascii", errors="replace")
        fields = (*self._stamp, crc, packed, size, length, 0)
        if header != _LOCAL.pack(b"PK\3\4", _VERSION, 0, _DEFLATED, *fields):
            raise self._differs(f"the header of {printable(name)}")
        if not name.startswith(_TOP):
            raise self._differs(f"the folder of {printable(name)}")
        path = name.removeprefix(_TOP)
        if path <= next(reversed(self._entries), ""):
            raise self._differs(f"the place of {printable(path)}")
        return path, _Entry(start, crc, packed, size)

    def _central(self, path: str, entry: _Entry, at: int) -> bytes:
        """Return the record of the directory for an entry."""
        name = (_TOP + path).encode()
        fields = (*self._stamp, entry.crc, entry.packed, entry.size, len(name))
        rest = (0, 0, 0, 0, _MODE << 16, at)  # no extra field and no comment
        return _CENTRAL.pack(b"PK\1\2", _MADE_BY, _VERSION, 0, _DEFLATED, *fields, *rest) + name

    def _damaged(self, path: str) -> ReleaseError:
        return ReleaseError(f"{path} is damaged in {self._name}.", path=path)

    def _differs(self, what: str) -> ReleaseError:
        return ReleaseError(
            f"{self._name} is not a ZIP as cccr-web packs it: {what} differs.",
            "Use the original ZIP, or unpack this one and verify the folder.",
        )
