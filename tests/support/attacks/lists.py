"""What can be done to the list of a release."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from support.attacks.target import (
    CHANGES,
    LINE,
    AttackTarget,
    simple,
)
from support.signed import (
    signed_release,
)

# The list, changed by somebody without the key.

for _name, _change in {
    **{name: change for name, change in CHANGES.items() if name != "emptied"},
    "with a line more": lambda body: body + LINE.encode() + b"zzz.html\n",
    "with CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "of the last release": lambda _body: signed_release(1).files["SHA256SUMS"].body,
}.items():
    simple(
        f"the list {_name}",
        "SHA256SUMS.minisig does not match SHA256SUMS: one of them was changed.",
        partial(AttackTarget.change, path="SHA256SUMS", change=_change),
    )
simple(
    "no list",
    "SHA256SUMS cannot be read: No such file or directory.",
    partial(AttackTarget.remove, path="SHA256SUMS"),
)
simple(
    "a huge list",
    "SHA256SUMS has more than 16,777,216 bytes.",
    lambda target: os.truncate(target.sums, 16 * 1024 * 1024 + 1),
)


# A list that is signed and yet no list: a mistake of the signer must not pass either.


def mangled(name: str, change: Callable[[bytes], bytes], sentence: str) -> None:
    """The list is changed and signed again."""
    simple(
        f"signed: {name}",
        sentence,
        lambda target: target.list_as(change(target.sums.read_bytes())),
    )


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """Change the lines of a list."""
    return lambda body: b"".join(change(body.splitlines(keepends=True)))


FORM = "is not “SHA-256, two spaces, path”."
FIRST, SECOND = "'.well-known/security.txt'", "'404.html'"
TWICE = "is named twice or out of order after"
mangled(
    "doubled line",
    lines(lambda all_: [all_[0], *all_]),
    f"SHA256SUMS, line 2: {FIRST} {TWICE} {FIRST}.",
)
mangled(
    "unsorted lines",
    lines(lambda all_: [all_[1], all_[0], *all_[2:]]),
    f"SHA256SUMS, line 2: {FIRST} {TWICE} {SECOND}.",
)
for _name, _change in {
    "CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "upper-case digits": lambda body: body[:64].upper() + body[64:],
    "one space": lambda body: body.replace(b"  ", b" ", 1),
    "binary mark": lambda body: body.replace(b"  ", b" *", 1),
    "short digest": lambda body: body[1:],
    "comment line": lambda body: b"# SHA-256\n" + body,
    "empty line": lambda body: b"\n" + body,
    "escaped line": lambda body: b"\\" + body,
    "long name": lambda body: (LINE + "a" * 201 + "\n").encode() + body,
}.items():
    mangled(_name, _change, f"SHA256SUMS, line 1, {FORM}")
mangled("empty list", lambda _: b"", "SHA256SUMS is empty or cut off: its last line has no end.")
mangled(
    "no last line feed",
    lambda body: body[:-1],
    "SHA256SUMS is empty or cut off: its last line has no end.",
)
mangled(
    "too many lines",
    lambda _: b"\n" * 60_001,
    "SHA256SUMS lists 60,001 files, more than 60,000.",
)
mangled(
    "RELEASE.json left out",
    lines(lambda all_: [line for line in all_ if b"RELEASE.json" not in line]),
    "SHA256SUMS does not list RELEASE.json.",
)


def only(_body: bytes, path: str) -> bytes:
    """A list of one path."""
    return (LINE + path + "\n").encode()


for _path in (
    "../outside.html",
    "en/../../outside.html",
    "/etc/passwd",
    "./en/index.html",
    "en//index.html",
    "en/.hidden",
    "en\\index.html",
    "en/nul\0.html",
    "C:/index.html",
    "en/",
):
    mangled(
        f"path {_path!r}",
        partial(only, path=_path),
        f"SHA256SUMS, line 1: {_path!r} is not a path inside a release.",
    )
for _path in ("en/caf\u00e9.html", "en/cafe\u0301.html"):
    mangled(
        f"path {_path!a}",
        partial(only, path=_path),
        "SHA256SUMS, line 1: "
        f"{_path.encode().decode('ascii', errors='replace')!r} is not a path inside a release.",
    )
for _path in ("SHA256SUMS", "SHA256SUMS.minisig"):
    mangled(
        f"lists {_path}",
        partial(only, path=_path),
        f"SHA256SUMS, line 1: {_path} cannot be listed in itself.",
    )
mangled(
    "names that differ in case",
    lambda _: f"{LINE}EN/index.html\n{LINE}en/index.html\n".encode(),
    "SHA256SUMS names 'EN/index.html' and 'en/index.html', the same but for case.",
)
mangled(
    "a file as a folder",
    lambda _: f"{LINE}en\n{LINE}en/index.html\n".encode(),
    "SHA256SUMS names 'en' as a file and as a folder.",
)
