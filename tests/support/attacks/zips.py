"""What can be done to a ZIP: one table of odd ZIPs, for both programs that verify one.

Each line says what ``verify.py`` and ``cccr-web verify`` must answer. The ZIPs are written
field by field, so that nothing but the oddity differs from what our packer writes.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cccr_web.release.folder import printable
from support.attacks.target import ATTACKS, PAGE, ZIP_LIMIT, Attack, AttackTarget
from support.signed import signed_release

TOP = "cccr-web/"
NAME = TOP + PAGE
FORGED = b"<script>forged</script>"

# Fields that a test changes at both places, at one, or in the end record.
_LOCAL = ("version", "flags", "method", "time", "date", "crc", "packed", "size")
_CENTRAL = ("made_by", *_LOCAL)


@dataclasses.dataclass
class Member:
    """An entry of a ZIP: by default as our packer writes it, ``changes`` at both places."""

    name: bytes
    body: bytes
    level: int = 9
    stream: bytes | None = None
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    local: dict[str, Any] = dataclasses.field(default_factory=dict)
    central: dict[str, Any] = dataclasses.field(default_factory=dict)
    after: bytes = b""  # between its stream and what follows
    in_directory: bool = True

    def facts(self) -> dict[str, Any]:
        """Return its fields, but for ``local`` and ``central``."""
        stored = self.changes.get("method") == zipfile.ZIP_STORED
        if self.stream is None:
            self.stream = self.body if stored else deflate(self.body, self.level)
        time, date = _stamp()
        facts = {
            "made_by": 3 << 8 | 20, "version": 20, "flags": 0, "method": 8, "time": time,
            "date": date, "crc": zlib.crc32(self.body), "packed": len(self.stream),
            "size": len(self.body), "name": self.name, "extra": b"", "comment": b"", "disk": 0,
            "text": 0, "mode": 0o100644 << 16,
        }  # fmt: skip
        return facts | self.changes

    def header(self) -> bytes:
        """Return its local header."""
        facts = self.facts() | self.local
        numbers = (facts[key] for key in _LOCAL)
        lengths = (len(facts["name"]), len(facts["extra"]))
        fixed = struct.pack("<4s5H3L2H", b"PK\3\4", *numbers, *lengths)
        return fixed + b"".join((facts["name"], facts["extra"]))

    def record(self, offset: int) -> bytes:
        """Return its record in the directory."""
        facts = {"offset": offset} | self.facts() | self.central
        numbers = (facts[key] for key in _CENTRAL)
        texts = (facts["name"], facts["extra"], facts["comment"])
        rest = (facts[key] for key in ("disk", "text", "mode", "offset"))
        fixed = struct.pack("<4s6H3L5H2L", b"PK\1\2", *numbers, *map(len, texts), *rest)
        return fixed + b"".join(texts)


def deflate(body: bytes, level: int = 9) -> bytes:
    """Compress as in a ZIP."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _stamp() -> tuple[int, int]:
    time = signed_release(2).metadata.time
    date = (time.year - 1980) << 9 | time.month << 5 | time.day
    return time.hour << 11 | time.minute << 5 | time.second // 2, date


@functools.cache
def inner() -> dict[str, bytes]:
    """Return what the good ZIP holds, by full name; not to be changed."""
    with zipfile.ZipFile(io.BytesIO(signed_release(2).files["cccr-web.zip"].body)) as good:
        return {name: good.read(name) for name in good.namelist()}


def members(**changes: Any) -> list[Member]:
    """Return the entries of the good ZIP, each with these fields at both places."""
    return [Member(name.encode(), body, changes=dict(changes)) for name, body in inner().items()]


def write(
    entries: list[Member],
    *,
    before: bytes = b"",
    gap: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
    **end: int,
) -> bytes:
    """Return a ZIP: ``gap`` and ``between`` go to both sides of the directory.

    Offsets count from the first byte of the file, so that a program finds everything.
    """
    out, directory = bytearray(before), b""
    for entry in entries:
        offset = len(out)
        out += entry.header() + (entry.stream or b"") + entry.after
        if entry.in_directory:
            directory += entry.record(offset)
    out += gap
    count = sum(entry.in_directory for entry in entries)
    facts = {
        "disk": 0, "first": 0, "here": count, "count": count, "length": len(directory),
        "start": len(out), "comment": 0,
    }  # fmt: skip
    last = struct.pack("<4s4H2LH", b"PK\5\6", *(facts | end).values())
    return bytes(out) + directory + between + last + after


def changed(change: Callable[[Member], object], name: str = NAME, **changes: Any) -> bytes:
    """Return the good ZIP with one entry changed, and fields of all."""
    entries = members(**changes)
    change(next(entry for entry in entries if entry.name == name.encode()))
    return write(entries)


def more(*extra: Member, **changes: Any) -> bytes:
    """Return the good ZIP with more entries, each at its place in the order."""
    return write(sorted([*members(**changes), *extra], key=lambda entry: entry.name))


def more_named(*names: str, body: bytes = FORGED, **changes: Any) -> bytes:
    """Return the good ZIP with more files of these names."""
    return more(*(Member(name.encode(), body, changes=changes) for name in names))


@dataclasses.dataclass(frozen=True)
class OddZip:
    """A ZIP, and what both programs say; ``command`` is None if ``cccr-web verify`` accepts."""

    name: str
    make: Callable[[], bytes]
    code: int
    words: str
    command: str | None


ODD_ZIPS: list[OddZip] = []
GOOD, REPACKED, UNSAFE = "GOOD.", "repacked the ZIP", "The ZIP is unsafe at "
DAMAGED = f"{PAGE} is damaged in next.zip."


def differs(what: str) -> str:
    """Return the sentence of ``cccr-web verify`` about a layout that is not our packer's."""
    return (
        f"next.zip is not a ZIP as cccr-web packs it: {what} differs. "
        "Use the original ZIP, or unpack this one and verify the folder."
    )


HEADER, RECORD, PLACE = (
    differs(f"the header of {NAME}"),
    differs(f"the directory at {PAGE}"),
    differs(f"the place of {PAGE}"),
)
END = differs("its end")
FIRST = ".well-known/security.txt"
AFTER = f"{TOP}en/who-we-are.html"  # the file after PAGE


def zip_attack(
    name: str, make: Callable[[], bytes], code: int, words: str, command: str | None
) -> None:
    """Put a line into the table; a server does not accept what ``cccr-web verify`` rejects."""
    ODD_ZIPS.append(OddZip(name, make, code, words, command))
    if command is None:
        return

    def run(target: AttackTarget) -> Path:
        target.zip.write_bytes(make())
        return target.zip

    ATTACKS.append(Attack(f"ZIP: {name}", run, command))


def repacked(name: str, make: Callable[[], bytes], command: str, words: str = REPACKED) -> None:
    """Another program packed our files: all are genuine."""
    zip_attack(name, make, 3, words, command)


def unsafe(name: str, make: Callable[[], bytes], where: str, command: str) -> None:
    """Some programs unpack other files from it, or into another folder."""
    zip_attack(name, make, 1, f"{UNSAFE}{where!r}", command)


def setter(**fields: Any) -> Callable[[Member], None]:
    """Change an entry at both places."""
    return lambda entry: entry.changes.update(fields)


def local(**fields: Any) -> Callable[[Member], None]:
    """Change an entry's local header only."""
    return lambda entry: entry.local.update(fields)


def central(**fields: Any) -> Callable[[Member], None]:
    """Change an entry's record in the directory only."""
    return lambda entry: entry.central.update(fields)


# --- Ours: only the compressed bytes may differ ---


def at_level(level: int) -> bytes:
    """Return our ZIP, compressed at another level."""
    return write([Member(name.encode(), body, level) for name, body in inner().items()])


zip_attack("ours", lambda: write(members()), 0, GOOD, None)
for _level in (0, 1):
    zip_attack(
        f"ours with zlib's level {_level}",
        partial(at_level, _level),
        0,
        GOOD,
        None,
    )

# --- Repacked: everything of ours is genuine ---

UT = b"UT\5\0\3" + bytes(4)
UT_LOCAL = b"UT\x09\0\3" + bytes(8)
OWNER = b"ux\x0b\0\1\4" + bytes(4) + b"\4" + bytes(4)
NTFS = b"\x0a\0\x20\0" + bytes(4) + b"\1\0\x18\0" + bytes(24)
FINDER, FINDER_LOCAL = b"UX\x08\0" + bytes(8), b"UX\x0c\0" + bytes(12)
FOLDER = {"method": 0, "mode": stat.S_IFDIR << 16 | 0o755 << 16 | 0x10}
FOLDERS = ("", ".well-known/", "en/", "zh-hans/")
LATER = 0x08


def descriptor(entry: Member, mark: bytes = b"PK\7\x08", **changes: int) -> bytes:
    """Return the data descriptor that follows an entry's stream."""
    facts = entry.facts() | changes
    return mark + struct.pack("<3L", facts["crc"], facts["packed"], facts["size"])


def streamed(entry: Member, **local: Any) -> Member:
    """Return an entry as a program writes it that does not know the lengths in advance."""
    entry.changes["flags"] = entry.changes.get("flags", 0) | LATER
    entry.local.update({"crc": 0, "packed": 0, "size": 0} | local)
    entry.after = descriptor(entry)
    return entry


def finder() -> list[Member]:
    """Return our files as macOS packs a folder that somebody opened."""
    made = {"made_by": 3 << 8 | 21, "mode": 0o100644 << 16 | 0x4000}
    files = {**inner(), TOP + ".DS_Store": b"Bud1", f"__MACOSX/{TOP}._en": b"\0\5\x16\7"}
    entries = [
        Member(
            (TOP + folder).encode(),
            b"",
            changes={**FOLDER, "made_by": 3 << 8 | 21, "version": 10},
        )
        for folder in FOLDERS
    ]
    entries += [streamed(Member(name.encode(), body, changes=made)) for name, body in files.items()]
    for entry in entries:
        entry.local["extra"], entry.central["extra"] = FINDER_LOCAL, FINDER
    return entries


def with_folders(entries: list[Member]) -> list[Member]:
    """Add an entry for each folder, as zip -r does."""
    return [Member((TOP + folder).encode(), b"", changes=FOLDER) for folder in FOLDERS] + entries


def moved(top: str) -> list[Member]:
    """Return our files in another folder."""
    files = inner().items()
    return [Member((top + name.removeprefix(TOP)).encode(), body) for name, body in files]


def without(name: str) -> list[Member]:
    """Return the entries without one."""
    return [entry for entry in members() if entry.name != name.encode()]


repacked("one file of another time", lambda: changed(setter(time=1)), HEADER)
repacked(
    "all files of another time",
    lambda: write(members(time=1)),
    differs("the time of its files"),
)
repacked(
    "another order",
    lambda: write(members()[::-1]),
    differs("the place of zh-hans/index.html"),
)
repacked("a stored file", lambda: changed(setter(method=0)), HEADER)
repacked("an older version needed", lambda: changed(setter(version=10)), HEADER)
repacked("made on DOS", lambda: changed(setter(made_by=20)), RECORD)
repacked("other permissions", lambda: changed(setter(mode=0o100600 << 16)), RECORD)
repacked("no permissions", lambda: changed(setter(mode=0x20)), RECORD)
repacked("marked as text", lambda: changed(setter(text=1)), RECORD)
repacked("packed at level 9", lambda: changed(setter(flags=2)), HEADER)
repacked("a name marked as UTF-8", lambda: changed(setter(flags=0x800)), HEADER)
repacked("Windows' times", lambda: changed(central(extra=NTFS)), RECORD)
repacked(
    "times and owners",
    lambda: changed(
        lambda entry: (local(extra=UT_LOCAL + OWNER)(entry), central(extra=UT + OWNER)(entry))
    ),
    HEADER,
)
repacked(
    "by zip -r",
    lambda: write(with_folders(members(made_by=3 << 8 | 30, extra=UT + OWNER))),
    differs(f"the header of {TOP}"),
)
repacked(
    "entries for folders", lambda: write(with_folders(members())), differs(f"the header of {TOP}")
)
repacked(
    "data descriptors",
    lambda: write([streamed(e) for e in members()]),
    differs(f"the header of {TOP}{FIRST}"),
)
repacked(
    "data descriptors and lengths too",
    lambda: changed(
        lambda entry: streamed(entry, packed=entry.facts()["packed"], size=len(entry.body))
    ),
    HEADER,
)
repacked(
    "an empty stored file with a data descriptor",
    lambda: more(streamed(Member(f"{TOP}en/.DS_Store".encode(), b"", changes={"method": 0}))),
    differs(f"the header of {TOP}en/.DS_Store"),
    "'en/.DS_Store' (macOS and Windows add files with such names",
)
repacked("no folder", lambda: write(moved("")), differs(f"the folder of {FIRST}"))
repacked("another folder", lambda: write(moved("copy/")), differs(f"the folder of copy/{FIRST}"))
repacked(
    "a deeper folder", lambda: write(moved("usb/copy/")), differs(f"the folder of usb/copy/{FIRST}")
)
repacked("by Finder", lambda: write(finder()), differs(f"the header of {TOP}"))
repacked(
    "by Finder, its own files",
    lambda: write(finder()),
    differs(f"the header of {TOP}"),
    "'__MACOSX/cccr-web/._en' (macOS and Windows add files with such names",
)
zip_attack(
    "a file less",
    lambda: write(without(NAME)),
    3,
    f"Missing · 缺少：{PAGE}",
    f"{PAGE} is missing in next.zip.",
)
zip_attack(
    "a file more",
    lambda: more_named(TOP + "en/new.html"),
    3,
    "'en/new.html' (unknown, do not open it",
    "en/new.html is not listed in SHA256SUMS.",
)
repacked(
    "an empty folder more",
    lambda: more(Member(f"{TOP}fr/".encode(), b"", changes=FOLDER)),
    differs(f"the header of {TOP}fr/"),
    "'fr/' (unknown",
)
repacked(
    "a file next to the folder",
    lambda: more_named("setup.exe"),
    differs("the folder of setup.exe"),
    "'setup.exe' (unknown",
)
repacked(
    "a file with a Chinese name",
    lambda: more_named(TOP + "说明：请读.txt", flags=0x800),
    differs("the header of " + ascii(TOP + "\ufffd" * len("说明：请读".encode()) + ".txt")),
    "'说明：请读.txt' (unknown",
)

# --- Bytes that belong to no file: a program that reads from the front may unpack them ---


def hidden(name: str = NAME) -> Member:
    """Return an entry that the directory does not know."""
    return Member(name.encode(), FORGED, in_directory=False)


def whole(entry: Member) -> bytes:
    """Return an entry's header and stream."""
    return entry.header() + (entry.stream or b"")


def another() -> bytes:
    """Return a whole ZIP with one forged page."""
    return write([Member(NAME.encode(), FORGED)])


unsafe(
    "bytes before",
    lambda: write(members(), before=b"#!/bin/sh\n"),
    f"{TOP}{FIRST}",
    differs("its beginning"),
)
unsafe("bytes after the end", lambda: write(members()) + b"evil", "end", END)
unsafe(
    "bytes before the directory",
    lambda: write(members(), gap=b"evil"),
    "directory",
    differs(f"the directory at {FIRST}"),
)
unsafe("bytes after the directory", lambda: write(members(), between=b"evil"), "end", END)
unsafe(
    "bytes between entries",
    lambda: changed(lambda entry: setattr(entry, "after", b"evil")),
    AFTER,
    differs(f"the directory at {FIRST}"),
)
unsafe(
    "a hidden file first",
    lambda: write([hidden(), *members()]),
    f"{TOP}{FIRST}",
    differs(f"the place of {FIRST}"),
)
unsafe(
    "a hidden file last",
    lambda: write([*members(), hidden()]),
    "directory",
    PLACE,
)
unsafe(
    "a hidden file between entries",
    lambda: changed(lambda entry: setattr(entry, "after", whole(hidden()))),
    AFTER,
    PLACE,
)
unsafe("a ZIP before", lambda: write(members(), before=another()), f"{TOP}{FIRST}", END)
unsafe("a ZIP after the end", lambda: write(members()) + another(), "end", END)
unsafe(
    "a ZIP after the end, with offsets from the first byte",
    lambda: write([Member(NAME.encode(), FORGED)], before=write(members())),
    NAME,
    END,
)
unsafe(
    "a second directory",
    lambda: write(members(), gap=Member(NAME.encode(), FORGED).record(0)),
    "directory",
    differs(f"the directory at {FIRST}"),
)


def end_in_between() -> bytes:
    """Return a ZIP with an end record, and an old directory, before the last one."""
    entries = members()
    old = write([Member(NAME.encode(), FORGED)])[len(whole(Member(NAME.encode(), FORGED))) :]
    return write(entries, gap=old)


unsafe("two end records", end_in_between, "directory", differs(f"the directory at {FIRST}"))
unsafe("a comment", lambda: write(members(), comment=4, after=b"evil"), "end", END)
unsafe("a comment that is not there", lambda: write(members(), comment=4), "end", END)
unsafe(
    "an end record in the comment",
    lambda: write(members(), comment=22, after=struct.pack("<4s4H2LH", b"PK\5\6", *[0] * 7)),
    "end",
    END,
)
unsafe("a comment on a file", lambda: changed(central(comment=b"evil")), NAME, RECORD)
unsafe(
    "too few files counted",
    lambda: write(members(), here=len(members()) - 1, count=len(members()) - 1),
    "directory",
    END,
)
unsafe("too many files counted", lambda: write(members(), here=20, count=20), "directory", END)
unsafe("another number on this disk", lambda: write(members(), here=1), "end", END)
unsafe("a second disk", lambda: write(members(), disk=1), "end", END)
unsafe("a file on a second disk", lambda: changed(central(disk=1)), NAME, RECORD)
unsafe("a directory said to be shorter", lambda: write(members(), length=100), "end", END)
unsafe("a directory said to be elsewhere", lambda: write(members(), start=100), "end", END)
zip_attack(
    "no file at all",
    lambda: write([]),
    1,
    "SHA256SUMS is missing",
    "SHA256SUMS is missing in next.zip.",
)
unsafe("cut off", lambda: write(members())[:-1], "end", END)
unsafe("no ZIP", lambda: b"<script>", "end", differs("its beginning"))
unsafe("empty", lambda: b"", "end", differs("its beginning"))

# --- ZIP64: some programs follow it, some do not ---


def large_end() -> bytes:
    """Return a ZIP with a second end record, which leads to another directory."""
    forged = Member(NAME.encode(), FORGED)
    record = forged.record(0)
    before = whole(forged) + record
    large = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(record), len(whole(forged))
    )
    start = len(write(members(), before=before)) - 22
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start, 1)
    return write(members(), before=before, between=large + locator)


def locator_in_a_time() -> bytes:
    """Return a ZIP in which the times of the last file look like the locator of ZIP64."""
    entries = members()
    time = NTFS[:-20] + struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    entries[-1].central["extra"] = time
    return write(entries)


unsafe("an end record of ZIP64", large_end, "end", END)
unsafe(
    "a time that looks like ZIP64's locator",
    locator_in_a_time,
    "end",
    differs("the directory at zh-hans/who-we-are.html"),
)
unsafe(
    "lengths of ZIP64",
    lambda: changed(
        lambda entry: entry.changes.update(
            extra=struct.pack("<2H2Q", 1, 16, len(entry.body), entry.facts()["packed"]),
            version=45,
            size=0xFFFFFFFF,
            packed=0xFFFFFFFF,
        )
    ),
    NAME,
    HEADER,
)

# --- Both places differ ---

EVIL = "en/evil0.html"
_OTHERS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("name", {"name": (TOP + EVIL).encode()}, differs(f"the place of {EVIL}")),
    ("longer name", {"name": f"{NAME}x".encode()}, differs(f"the directory at {PAGE}x")),
    ("version", {"version": 10}, HEADER),
    ("flag", {"flags": 2}, HEADER),
    ("method", {"method": 0}, HEADER),
    ("time", {"time": 1}, HEADER),
    ("date", {"date": 33}, HEADER),
    ("CRC", {"crc": 1}, RECORD),
    ("length", {"size": 1}, RECORD),
    ("length in the ZIP", {"packed": 1}, differs(f"the directory at {FIRST}")),
)
for _what, _fields, _header in _OTHERS:
    unsafe(
        f"another {_what} in the header",
        partial(changed, local(**_fields)),
        NAME,
        _header,
    )
    unsafe(
        f"another {_what} in the record",
        partial(changed, central(**_fields)),
        _fields.get("name", NAME.encode()).decode(),
        RECORD,
    )
unsafe(
    "an offset into another file",
    lambda: changed(central(offset=0)),
    NAME,
    RECORD,
)


def inside_another() -> bytes:
    """Return a ZIP with a directory that leads past a forged page to the true one in a file."""
    true = Member(NAME.encode(), inner()[NAME])
    holder = Member(f"{TOP}a".encode(), whole(true), changes={"method": 0})
    entries = [holder, *members()]
    page = next(entry for entry in entries if entry.name == NAME.encode())
    page.stream = deflate(FORGED)
    page.changes.update(crc=zlib.crc32(FORGED), size=len(FORGED), packed=len(page.stream))
    page.central.update(true.facts() | {"offset": len(holder.header())})
    return write(entries)


unsafe("an offset to a page inside a file", inside_another, NAME, differs(f"the header of {TOP}a"))

# --- Streams that do not end where they should ---


def early(after: bytes = b"evil", **changes: Any) -> Callable[[Member], None]:
    """Let a stream end before its stated length."""

    def change(entry: Member) -> None:
        entry.stream = deflate(entry.body) + after
        entry.changes.update(changes)

    return change


def early_and_hidden(entry: Member) -> None:
    """Hide a file in the rest of a stream, with a true descriptor before it."""
    streamed(entry)
    entry.stream = deflate(entry.body)
    entry.stream += descriptor(entry) + whole(hidden())
    entry.after = descriptor(entry)


def late(entry: Member) -> None:
    """Let a stream be cut off."""
    entry.stream = deflate(entry.body)[:-1]


unsafe("a stream that ends early", lambda: changed(early()), NAME, DAMAGED)
unsafe(
    "a stream that ends early, then a file", lambda: changed(early(whole(hidden()))), NAME, DAMAGED
)
unsafe(
    "a stream that ends early, then a descriptor and a file",
    lambda: changed(early_and_hidden),
    NAME,
    HEADER,
)
unsafe("a stream that is cut off", lambda: changed(late), NAME, DAMAGED)
unsafe(
    "a stream that is damaged",
    lambda: changed(lambda e: setattr(e, "stream", b"\xff" * 9)),
    NAME,
    DAMAGED,
)
unsafe("a stream of two", lambda: changed(early(deflate(FORGED))), NAME, DAMAGED)
unsafe(
    "more bytes than stated",
    lambda: changed(lambda entry: setattr(entry, "stream", deflate(entry.body + FORGED))),
    NAME,
    DAMAGED,
)
unsafe(
    "fewer bytes than stated",
    lambda: changed(lambda entry: setter(size=len(entry.body) + 1)(entry)),
    NAME,
    DAMAGED,
)
unsafe("a wrong CRC", lambda: changed(setter(crc=1)), NAME, DAMAGED)
unsafe(
    "an unlisted file whose stream ends early, then a file",
    lambda: more(
        streamed(
            Member(
                f"{TOP}en/.DS_Store".encode(),
                b"Bud1",
                stream=deflate(b"Bud1") + whole(hidden()),
            )
        )
    ),
    f"{TOP}en/.DS_Store",
    differs(f"the header of {TOP}en/.DS_Store"),
)

# --- Data descriptors ---


def described(after: Callable[[Member], bytes], entry: Member) -> None:
    """Write an entry with this in place of its data descriptor."""
    streamed(entry).after = after(entry)


def large(entry: Member) -> bytes:
    """Return a descriptor with the lengths of ZIP64."""
    facts = entry.facts()
    return struct.pack("<4sL2Q", b"PK\7\x08", facts["crc"], facts["packed"], facts["size"])


_AFTER: dict[str, Callable[[Member], bytes]] = {
    "a wrong CRC": lambda entry: descriptor(entry, crc=1),
    "a wrong length": lambda entry: descriptor(entry, size=1),
    "a wrong length in the ZIP": lambda entry: descriptor(entry, packed=1),
    "no mark": lambda entry: descriptor(entry, b""),
    "lengths of ZIP64": large,
    "nothing in it": lambda _: b"",
}
for _what, _after in _AFTER.items():
    unsafe(
        f"a data descriptor with {_what}",
        partial(changed, partial(described, _after)),
        NAME,
        HEADER,
    )
unsafe(
    "a data descriptor without its flag",
    lambda: changed(lambda entry: setattr(entry, "after", descriptor(entry))),
    AFTER,
    differs(f"the directory at {FIRST}"),
)
unsafe(
    "a data descriptor and a wrong length",
    lambda: changed(lambda entry: streamed(entry, packed=1)),
    NAME,
    HEADER,
)
unsafe(
    "a stored file with a data descriptor",
    lambda: changed(streamed, method=0),
    NAME,
    differs(f"the header of {TOP}{FIRST}"),
)


def descriptor_inside() -> bytes:
    """Return a ZIP with a stored file that contains a descriptor and a hidden file."""
    start = b"Bud1"
    inside = Member(b"", start, changes={"method": 0})
    body = start + descriptor(inside) + whole(hidden())
    stored = Member(f"{TOP}en/.DS_Store".encode(), body, changes={"method": 0})
    return more(streamed(stored))


unsafe(
    "a stored file with a descriptor inside",
    descriptor_inside,
    f"{TOP}en/.DS_Store",
    differs(f"the header of {TOP}en/.DS_Store"),
)

# --- What only some programs know ---

UNICODE_NAME = b"\1" + struct.pack("<L", zlib.crc32(NAME.encode())) + b"cccr-web/evil.html"
EXTRAS = {
    "an unknown extra field": b"\xfe\xca\4\0evil",
    "a second name": b"up" + struct.pack("<H", len(UNICODE_NAME)) + UNICODE_NAME,
    "a link in an extra field": b"\x78\x6c" + struct.pack("<HBL", 5, 4, 0o120777 << 16),
    "half an extra field": b"UT",
    "a time that is too long": b"UT\x20\0" + bytes(32),
}
for _what, _extra in EXTRAS.items():
    unsafe(f"{_what} in the header", partial(changed, local(extra=_extra)), NAME, HEADER)
    unsafe(f"{_what} in the record", partial(changed, central(extra=_extra)), NAME, RECORD)
for _what, _fields in {
    "encrypted": {"flags": 1},
    "strongly encrypted": {"flags": 0x41},
    "patched": {"flags": 0x20},
    "masked": {"flags": 0x2000},
    "of another method": {"method": 9},
    "of bzip2": {"method": 12},
    "of a later version": {"version": 63},
}.items():
    unsafe(_what, partial(changed, setter(**_fields)), NAME, HEADER)
unsafe("made on VMS", lambda: changed(setter(made_by=2 << 8 | 20)), NAME, RECORD)
unsafe("made on a mainframe", lambda: changed(setter(made_by=4 << 8 | 20)), NAME, RECORD)

# --- Not a file, or not where it seems to be ---

for _what, _mode in {
    "a link": stat.S_IFLNK << 16 | 0o777 << 16,
    "a device": stat.S_IFCHR << 16,
    "a named pipe": stat.S_IFIFO << 16,
    "a file that is a folder on Unix": stat.S_IFDIR << 16,
    "a file that is a folder on DOS": 0x10,
    "a disk's label": 0x08,
}.items():
    unsafe(_what, partial(changed, setter(mode=_mode)), NAME, RECORD)
unsafe(
    "a folder that is a file",
    lambda: more_named(f"{TOP}en/", body=b""),
    f"{TOP}en/",
    "en/ is not listed in SHA256SUMS.",
)
unsafe(
    "a folder that holds bytes",
    lambda: more(Member(f"{TOP}en/".encode(), FORGED, changes=FOLDER)),
    f"{TOP}en/",
    differs(f"the header of {TOP}en/"),
)


def unlisted(name: str) -> str:
    """Return the sentence of ``cccr-web verify`` about a file more."""
    path = name.removeprefix(TOP)
    if path.isascii():
        return f"{printable(path)} is not listed in SHA256SUMS."
    read = path.encode().decode("ascii", errors="replace")
    return differs(f"the directory at {printable(read)}")


for _name in ("/dev/null/evil.html", "../evil.html", ""):
    unsafe(
        f"the name {_name!r}",
        partial(more_named, _name),
        _name,
        differs(f"the folder of {_name}"),
    )
for _name in (
    "../evil.html",
    "../../evil.html",
    "./en/index.html",
    "en//index.html",
    "/evil.html",
    "en\\index.html",
    "C:evil.html",
    "en/index.html.",
    "en/index.html ",
    "en/index.html::$DATA",
    "en/INDEX~1.HTM",
    "en/index.htm\0",
    "en/ind\u200cex.html",
    "en/\ufeffindex.html",
    "en/\x1b[2Jindex.html",
    "en",
    "EN",
):
    unsafe(
        f"the name {TOP + _name!a}",
        partial(more_named, TOP + _name),
        TOP + _name,
        unlisted(TOP + _name),
    )
unsafe("a page below a page", lambda: more_named(f"{NAME}/x"), NAME, unlisted(f"{PAGE}/x"))
for _name, _where in {
    "cccr-web/EN/index.html": NAME,
    "cccr-web/en/Index.html": NAME,
    "cccr-web/en/\uff49ndex.html": "cccr-web/en/\uff49ndex.html",
    "cccr-web/en\uff0findex.html": "cccr-web/en\uff0findex.html",
}.items():
    unsafe(
        f"the name {_name!a}, which is another's on some systems",
        partial(more_named, _name),
        _where,
        unlisted(_name),
    )
unsafe(
    "our folder in other letters",
    lambda: more_named("CCCR-WEB/en/index.html"),
    NAME,
    differs("the folder of CCCR-WEB/en/index.html"),
)
for _what, _long in {"long": "x" * 1000, "deep": "d/" * 20 + "x"}.items():
    unsafe(
        f"a name that is too {_what}",
        partial(more_named, TOP + _long),
        TOP + _long,
        unlisted(TOP + _long),
    )
unsafe(
    "a name that is not UTF-8",
    lambda: more(Member(f"{TOP}en/".encode() + b"\xff", FORGED)),
    f"{TOP}en/\ufffd",
    differs(r"the directory at 'en/\ufffd'"),
)
unsafe("two files of one name", lambda: more_named(NAME), NAME, PLACE)
unsafe(
    "two files of one name in two forms",
    lambda: more_named(f"{TOP}caf\u00e9", f"{TOP}cafe\u0301"),
    f"{TOP}caf\u00e9",
    unlisted("cafe\u0301"),
)
zip_attack(
    "two lists",
    lambda: write(members() + moved("copy/")),
    1,
    "The ZIP contains more than one SHA256SUMS.",
    differs(f"the folder of copy/{FIRST}"),
)

# --- Bombs ---

zip_attack(
    "a bomb",
    lambda: changed(setter(size=ZIP_LIMIT + 1)),
    1,
    f"{NAME!r} is too large to be ours.",
    f"{PAGE} has more than 268,435,456 bytes.",
)
unsafe(
    "a bomb that lies",
    lambda: changed(lambda entry: setattr(entry, "stream", deflate(bytes(1 << 24)))),
    NAME,
    DAMAGED,
)

# --- Changed files: the layout is ours, the bytes are not ---

zip_attack(
    "a page changed",
    lambda: changed(lambda entry: setattr(entry, "body", FORGED)),
    1,
    f"{PAGE} was changed.",
    f"{PAGE} is not the file that SHA256SUMS lists.",
)
zip_attack(
    "no signature inside",
    lambda: write(without(f"{TOP}SHA256SUMS.minisig")),
    1,
    "SHA256SUMS.minisig is missing",
    "SHA256SUMS.minisig is missing: the release is not signed.",
)
zip_attack(
    "no list inside",
    lambda: write(without(f"{TOP}SHA256SUMS")),
    1,
    "SHA256SUMS is missing",
    "SHA256SUMS is missing in next.zip.",
)
