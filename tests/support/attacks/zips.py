"""What can be done to a ZIP."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.attacks.target import (
    ATTACKS,
    MINISIG,
    PAGE,
    ZIP_LIMIT,
    Attack,
    AttackTarget,
)
from support.signed import (
    signed_release,
)

# The ZIP.

TOP = "cccr-web/"
HIDDEN = "next.zip holds bytes that belong to no entry."


def packed(
    change: Callable[[dict[str, bytes]], object] = lambda _: None,
) -> list[tuple[str, bytes]]:
    """Return what the good ZIP holds, changed, by full name."""
    with zipfile.ZipFile(io.BytesIO(signed_release(2).files["cccr-web.zip"].body)) as good:
        files = {name: good.read(name) for name in good.namelist()}
    change(files)
    return list(files.items())


def pack(
    entries: list[tuple[str, bytes]], alter: Callable[[zipfile.ZipInfo], None] = lambda _: None
) -> bytes:
    """Pack as ``make_archive`` does, so that nothing but the attack differs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, body in entries:
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            alter(entry)
            target.writestr(entry, body)
    return out.getvalue()


def zip_attack(name: str, sentence: str, make: Callable[[], bytes]) -> None:
    """``current`` leads to this ZIP."""

    def run(target: AttackTarget) -> Path:
        target.zip.write_bytes(make())
        return target.zip

    ATTACKS.append(Attack(f"ZIP: {name}", run, sentence))


def with_entry(name: str, body: bytes = b"<script>") -> Callable[[], bytes]:
    """Pack one file more."""
    return lambda: pack([*packed(), (name, body)])


def altered(name: str, alter: Callable[[zipfile.ZipInfo], None]) -> Callable[[], bytes]:
    """Pack with one entry's header altered."""

    def run() -> bytes:
        return pack(packed(), lambda entry: alter(entry) if entry.filename == TOP + name else None)

    return run


def doubled() -> bytes:
    """Two entries of one name: programs disagree on which one counts."""
    with pytest.warns(UserWarning, match="Duplicate name"):
        return pack([*packed(), (TOP + PAGE, b"<script>")])


def patched(find: bytes, replace: bytes, *, last: bool = False) -> bytes:
    """Replace bytes in the good ZIP, where they occur first or last."""
    whole = pack(packed())
    position = whole.rfind(find) if last else whole.find(find)
    assert position >= 0
    return whole[:position] + replace + whole[position + len(find) :]


def bomb() -> bytes:
    """A page of zeros that unpacks to more than any file may have."""
    whole = bytearray(pack([(TOP + PAGE, b"") if n == TOP + PAGE else (n, b) for n, b in packed()]))
    name = (TOP + PAGE).encode()
    central = whole.rfind(name) - 46
    struct.pack_into("<L", whole, central + 24, ZIP_LIMIT + 1)
    return bytes(whole)


def lying_bomb() -> bytes:
    """16 MiB of zeros that are said to be 100 bytes."""
    page = TOP + PAGE
    whole = bytearray(pack([(n, bytes(1 << 24)) if n == page else (n, b) for n, b in packed()]))
    struct.pack_into("<L", whole, whole.rfind(page.encode()) - 46 + 24, 100)
    return bytes(whole)


def many_names() -> bytes:
    """An end that announces a directory of far too many entries."""
    whole = bytearray(pack(packed()))
    struct.pack_into("<L", whole, len(whole) - 10, 20_001 * 302)
    return bytes(whole)


zip_attack("a bomb", f"{PAGE} has more than 268,435,456 bytes.", bomb)
zip_attack(
    "a bomb that lies",
    f"{PAGE} is damaged in next.zip.",
    lying_bomb,
)
zip_attack("too many names", "next.zip holds more than 20,000 files.", many_names)
zip_attack("doubled names", f"next.zip holds {PAGE} twice.", doubled)
zip_attack(
    "a file more", "en/new.html is not listed in SHA256SUMS.", with_entry(TOP + "en/new.html")
)
zip_attack(
    "a file less",
    f"{PAGE} is missing in next.zip.",
    lambda: pack(packed(lambda files: files.pop(TOP + PAGE))),
)
zip_attack(
    "a page changed",
    f"{PAGE} is not the file that SHA256SUMS lists.",
    lambda: pack(packed(lambda files: files.update({TOP + PAGE: b"<script>"}))),
)
zip_attack(
    "a path upwards",
    "../evil.html is not listed in SHA256SUMS.",
    with_entry(TOP + "../evil.html"),
)
for _path in ("/etc/passwd", "../evil.html", "CCCR-WEB/en/index.html", "en\\index.html"):
    zip_attack(
        f"path {_path}",
        f"{_path} is outside cccr-web/ in next.zip.",
        with_entry(_path),
    )
zip_attack(
    "another Unicode form",
    r"'cccr-web/en/caf\xe9.html' has flags, extra fields or an ambiguous name in next.zip.",
    with_entry(TOP + "en/caf\u00e9.html"),
)
zip_attack(
    "a name with NUL",
    r"'cccr-web/en/index.h\x00ml' has flags, extra fields or an ambiguous name in next.zip.",
    lambda: pack(packed()).replace(b"en/index.html", b"en/index.h\0ml"),
)
zip_attack(
    "a link",
    f"{TOP}{PAGE} is not a regular file in next.zip.",
    altered(PAGE, lambda entry: setattr(entry, "external_attr", (stat.S_IFLNK | 0o777) << 16)),
)
zip_attack(
    "a folder",
    f"{TOP}fr/ is not a regular file in next.zip.",
    lambda: pack(
        [*packed(), (TOP + "fr/", b"")],
        lambda entry: setattr(
            entry,
            "external_attr",
            (stat.S_IFDIR | 0o755) << 16 if entry.filename.endswith("/") else entry.external_attr,
        ),
    ),
)
zip_attack(
    "a file that is not deflated",
    f"{TOP}{PAGE} is not deflated in next.zip.",
    altered(PAGE, lambda entry: setattr(entry, "compress_type", zipfile.ZIP_BZIP2)),
)
zip_attack(
    "an extra field",
    f"{TOP}{PAGE} has flags, extra fields or an ambiguous name in next.zip.",
    altered(PAGE, lambda entry: setattr(entry, "extra", b"\xfe\xca\4\0evil")),
)
zip_attack(
    "a comment on a file",
    f"{TOP}{PAGE} has flags, extra fields or an ambiguous name in next.zip.",
    altered(PAGE, lambda entry: setattr(entry, "comment", b"visit evil.example")),
)
zip_attack(
    "names that differ between the two directories",
    f"{PAGE} is damaged in next.zip.",
    lambda: patched((TOP + PAGE).encode(), (TOP + "en/evil0.html").encode()),
)
zip_attack("bytes before", HIDDEN, lambda: b"#!/bin/sh\n" + pack(packed()))
zip_attack(
    "bytes behind",
    "next.zip is not a ZIP, or has something after its end.",
    lambda: pack(packed()) + b"evil",
)
zip_attack(
    "cut off",
    "next.zip is not a ZIP, or has something after its end.",
    lambda: pack(packed())[:-1],
)
zip_attack(
    "no ZIP",
    "next.zip is not a ZIP, or has something after its end.",
    lambda: b"<script>",
)
zip_attack(
    "no signature inside",
    f"{MINISIG} is missing: the release is not signed.",
    lambda: pack(packed(lambda files: files.pop(TOP + MINISIG))),
)
