"""What an attacker can do to a release on its way, and the sentence that refuses it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import os
import socket
import stat
import struct
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from signed import (
    ARMOUR,
    TODAY,
    Room,
    content,
    facts,
    make_apps,
    organisation_key,
    put,
    put_release,
    sign_by_hand,
    signed_release,
)
from werkzeug.test import Client

from cccr_web.errors import ReleaseError
from cccr_web.release import Metadata, SigningKey, load, make_release, store
from cccr_web.release.folder import Folder
from cccr_web.release.sshsig import sign as sign_for_ssh
from cccr_web.serve import Caretaker

PAGE = "en/index.html"
KINDS = (
    PAGE,
    "zh-hans/who-we-are.html",
    "RELEASE.json",
    "en/cccr-en.epub",
    "en/feed.xml",
    "onion.png",
    "cccr-web.zip",
    "allowed_signers",
    ".well-known/security.txt",
)
LINE = f"{'0' * 64}  "
ZIP_LIMIT = 256 * 1024 * 1024


class Ground:
    """Release 2, in order and signed, in a folder that the attacker may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.zip = folder.with_suffix(".zip")
        self.facts = facts(2)
        put_release(signed_release(2), folder)

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    @property
    def sums(self) -> Path:
        """The list."""
        return self.folder / "SHA256SUMS"

    def sign(self, key: SigningKey | None = None, armour: bytes | None = None) -> None:
        """Sign the list as it stands."""
        sign_by_hand(self.folder, self.facts, key=key, armour=armour)

    def list_as(self, lines: bytes) -> None:
        """Write another list and sign it: as if the signer had been fooled."""
        self.sums.write_bytes(lines)
        self.sign()

    def release_json(self, text: bytes, known: Metadata | None = None) -> None:
        """Put another ``RELEASE.json`` in, list it and sign."""
        files = {**signed_release(2).listed, "RELEASE.json": text}
        files.pop("cccr-web.zip")
        (self / "cccr-web.zip").unlink()
        put(files, self.folder)
        self.facts = known or self.facts
        lines = (f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
        self.list_as("".join(lines).encode())

    def say(self, **changes: object) -> None:
        """Sign a release that says something else of itself, consistently."""
        known = dataclasses.replace(self.facts, **changes)  # type: ignore[arg-type]  # the table's own
        self.release_json(known.to_json(), known)

    def says(self, key: str, value: object) -> None:
        """Change one value of ``RELEASE.json``, list it and sign."""
        values = json.loads((self / "RELEASE.json").read_bytes())
        self.release_json(json.dumps({**values, key: value}).encode())


@dataclasses.dataclass(frozen=True, slots=True)
class Attack:
    """A name, what is done, and the sentence. ``do`` returns a path if ``current`` leads there."""

    name: str
    do: Callable[[Ground], Path | None]
    sentence: str


ATTACKS: list[Attack] = []


def attack(sentence: str) -> Callable[[Callable[[Ground], Path | None]], None]:
    """Put a function into the table, under its own name."""

    def add(do: Callable[[Ground], Path | None]) -> None:
        ATTACKS.append(Attack(do.__name__, do, sentence))

    return add


def simple(name: str, sentence: str, do: Callable[[Ground], object]) -> None:
    """Put a line into the table."""

    def run(ground: Ground) -> None:
        do(ground)

    ATTACKS.append(Attack(name, run, sentence))


# A listed file is not the one that was listed: each way for each kind of file.


def flip(body: bytes) -> bytes:
    """Change one bit in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "one bit changed": flip,
    "cut off": lambda body: body[:-1],
    "extended": lambda body: body + b"\n",
    "emptied": lambda _body: b"",
}

for _kind in KINDS:
    for _way, _change in WAYS.items():
        simple(
            f"{_kind} {_way}",
            f"{_kind} is not the file that SHA256SUMS lists.",
            lambda ground, kind=_kind, change=_change: (ground / kind).write_bytes(
                change((ground / kind).read_bytes())
            ),
        )
    simple(
        f"{_kind} swapped",
        f"{_kind} is not the file that SHA256SUMS lists. It is en/who-we-are.html.",
        lambda ground, kind=_kind: (ground / kind).write_bytes(
            (ground / "en/who-we-are.html").read_bytes()
        ),
    )
    simple(
        f"{_kind} missing",
        f"{_kind} cannot be read: No such file or directory.",
        lambda ground, kind=_kind: (ground / kind).unlink(),
    )
simple(
    "a page of the last release put back",
    f"{PAGE} is not the file that SHA256SUMS lists.",
    lambda ground: (ground / PAGE).write_bytes(content(1)[PAGE]),
)
simple(
    "a file too long",
    f"{PAGE} has more than 268,435,456 bytes.",
    lambda ground: os.truncate(ground / PAGE, ZIP_LIMIT + 1),
)


# Something is there that is not listed.


def add(name: str, as_shown: str | None = None) -> None:
    """A file with this name is added."""
    simple(
        f"{as_shown or name} added",
        f"{as_shown or name} is not listed in SHA256SUMS.",
        lambda ground: (ground / name).write_bytes(b"<script>"),
    )


add("en/new.html")
add(".htaccess")
add("en/Index.html")
add("en\\index.html", ascii("en\\index.html").replace("\\\\", "\\").strip("'"))
add("en/index.html ")
add("en/index.html\x1b[2J", r"'en/index.html\x1b[2J'")
add("en/caf\u00e9.html", r"'en/caf\xe9.html'")
add("en/cafe\u0301.html", r"'en/cafe\u0301.html'")
add("en/ind\u0435x.html", r"'en/ind\u0435x.html'")
add(os.fsdecode(b"en/\xff.html"), r"'en/\udcff.html'")
add("SHA256SUMS.sig")
simple(
    "an empty folder added",
    "fr is not listed in SHA256SUMS.",
    lambda ground: (ground / "fr").mkdir(),
)
simple(
    "a hidden folder added",
    ".git is not listed in SHA256SUMS.",
    lambda ground: put({".git/config": b"[core]"}, ground.folder),
)
simple(
    "a link added",
    "en/link.html is not listed in SHA256SUMS.",
    lambda ground: (ground / "en/link.html").symlink_to("index.html"),
)
simple(
    "a named pipe added",
    "en/pipe is not listed in SHA256SUMS.",
    lambda ground: os.mkfifo(ground / "en/pipe"),
)


# Something else stands where a file or folder should.


@attack(f"{PAGE} cannot be read: it is a link.")
def a_link_to_the_same_bytes(ground: Ground) -> None:
    (ground / PAGE).rename(ground.folder.parent / "index.html")
    (ground / PAGE).symlink_to(ground.folder.parent / "index.html")


@attack("en/cccr-en.epub cannot be read: Not a directory.")
def a_folder_that_is_a_link(ground: Ground) -> None:
    (ground / "en").rename(ground.folder.parent / "en")
    (ground / "en").symlink_to(ground.folder.parent / "en")


@attack("en/cccr-en.epub cannot be read: Not a directory.")
def a_file_for_a_folder(ground: Ground) -> None:
    (ground / "en").rename(ground.folder.parent / "en")
    (ground / "en").write_bytes(b"")


@attack(f"{PAGE} is no regular file.")
def a_folder_for_a_file(ground: Ground) -> None:
    (ground / PAGE).unlink()
    (ground / PAGE).mkdir()


@attack(f"{PAGE} is no regular file.")
def a_named_pipe_for_a_file(ground: Ground) -> None:
    (ground / PAGE).unlink()
    os.mkfifo(ground / PAGE)


@attack(f"{PAGE} cannot be read: No such device or address.")
def a_socket_for_a_file(ground: Ground) -> None:
    (ground / PAGE).unlink()
    here = Path.cwd()
    os.chdir(ground / "en")  # the whole path is too long for a socket's
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("index.html")
    finally:
        os.chdir(here)


@attack("SHA256SUMS cannot be read: it is a link.")
def the_list_a_link(ground: Ground) -> None:
    ground.sums.rename(ground.folder.parent / "sums")
    ground.sums.symlink_to(ground.folder.parent / "sums")


@attack("SHA256SUMS.minisig cannot be read: it is a link.")
def the_signature_a_link(ground: Ground) -> None:
    (ground / "SHA256SUMS.minisig").rename(ground.folder.parent / "minisig")
    (ground / "SHA256SUMS.minisig").symlink_to(ground.folder.parent / "minisig")


# The list, changed by somebody without the key.

for _way, _change in {
    **{way: change for way, change in WAYS.items() if way != "emptied"},
    "with a line more": lambda body: body + LINE.encode() + b"zzz.html\n",
    "with CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "of the last release": lambda _body: signed_release(1).files["SHA256SUMS"].body,
}.items():
    simple(
        f"the list {_way}",
        "SHA256SUMS.minisig does not fit SHA256SUMS: one of the two was changed.",
        lambda ground, change=_change: ground.sums.write_bytes(change(ground.sums.read_bytes())),
    )
simple(
    "no list", "SHA256SUMS cannot be read: No such file or directory.", lambda g: g.sums.unlink()
)
simple(
    "a huge list",
    "SHA256SUMS has more than 16,777,216 bytes.",
    lambda ground: os.truncate(ground.sums, 16 * 1024 * 1024 + 1),
)


# A list that is signed and yet no list: a mistake of the signer must not pass either.


def mangled(name: str, change: Callable[[bytes], bytes], sentence: str) -> None:
    """The list is changed and signed again."""
    simple(
        f"signed: {name}",
        sentence,
        lambda ground: ground.list_as(change(ground.sums.read_bytes())),
    )


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    """Change the lines of a list."""
    return lambda body: b"".join(change(body.splitlines(keepends=True)))


FORM = "is not “SHA-256, two spaces, path”."
FIRST, SECOND = "'.well-known/security.txt'", "'RELEASE.json'"
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
    lambda _: b"\n" * 20_001,
    "SHA256SUMS lists 20,001 files, more than 20,000.",
)
mangled(
    "RELEASE.json left out",
    lines(lambda all_: [line for line in all_ if b"RELEASE.json" not in line]),
    "RELEASE.json is not listed in SHA256SUMS.",
)
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
        lambda _body, path=_path: (LINE + path + "\n").encode(),
        f"SHA256SUMS, line 1: {_path!r} is no path inside a release.",
    )
for _path in ("en/caf\u00e9.html", "en/cafe\u0301.html"):
    mangled(
        f"path {ascii(_path)}",
        lambda _body, path=_path: (LINE + path + "\n").encode(),
        "SHA256SUMS, line 1: "
        f"{_path.encode().decode('ascii', errors='replace')!r} is no path inside a release.",
    )
for _path in ("SHA256SUMS", "SHA256SUMS.minisig"):
    mangled(
        f"lists {_path}",
        lambda _body, path=_path: (LINE + path + "\n").encode(),
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


# The signatures.

MINISIG = "SHA256SUMS.minisig"
SSHSIG = "SHA256SUMS.sshsig"
MISFIT = f"{MINISIG} does not fit SHA256SUMS: one of the two was changed."
SPELLING = f"{MINISIG} is not spelled as “cccr-web sign” spells it."
LEGACY = f"{MINISIG} is of minisign's legacy kind: only prehashed ones count."
COUNT = f"{MINISIG} does not hold exactly one signature."


def signature(name: str, change: Callable[[bytes], bytes], sentence: str, *, of: str) -> None:
    """One signature file is changed."""
    simple(
        f"{of} {name}",
        sentence,
        lambda ground: (ground / of).write_bytes(change((ground / of).read_bytes())),
    )


def base64_of(line: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change the bytes that stand as base64 in a line of a minisign signature."""

    def run(body: bytes) -> bytes:
        rows = body.split(b"\n")
        rows[line] = base64.b64encode(change(base64.b64decode(rows[line])))
        return b"\n".join(rows)

    return run


signature("empty", lambda _: b"", f"{MINISIG} is empty.", of=MINISIG)
signature("blank", lambda _: b"\n\n\n\n", f"{MINISIG} is empty.", of=MINISIG)
signature("doubled", lambda body: body + body, COUNT, of=MINISIG)
signature("cut off", lambda body: body[:-1], COUNT, of=MINISIG)
signature("with a line more", lambda body: body + b"<script>\n", COUNT, of=MINISIG)
signature("damaged", base64_of(1, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])), MISFIT, of=MINISIG)
signature(
    "of another kind",
    base64_of(1, lambda raw: b"EE" + raw[2:]),
    f"{MINISIG} is no minisign signature.",
    of=MINISIG,
)
signature("relabelled as legacy", base64_of(1, lambda raw: b"Ed" + raw[2:]), LEGACY, of=MINISIG)
signature("with CRLF", lambda body: body.replace(b"\n", b"\r\n"), SPELLING, of=MINISIG)
signature(
    "with an unsigned comment of the attacker's",
    lambda body: body.replace(b"signature of the", b"visit evil.example", 1),
    SPELLING,
    of=MINISIG,
)
signature(
    "with its trusted comment changed",
    lambda body: body.replace(b"sequence:2", b"sequence:9"),
    MISFIT,
    of=MINISIG,
)
signature(
    "with its second signature damaged",
    base64_of(3, lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
    MISFIT,
    of=MINISIG,
)
signature(
    "too long",
    lambda body: body + b"x" * 65_536,
    f"{MINISIG} has more than 65,536 bytes.",
    of=MINISIG,
)
signature(
    "in words",
    lambda _: b"trust\nme\nplease\nnow\n",
    f"{MINISIG} is no minisign signature.",
    of=MINISIG,
)
signature(
    "of the last release",
    lambda _: signed_release(1).files[MINISIG].body,
    MISFIT,
    of=MINISIG,
)


@attack(f"{MINISIG} is missing: the release is not signed.")
def no_signature(ground: Ground) -> None:
    (ground / MINISIG).unlink()


@attack(LEGACY)
def a_true_legacy_signature(ground: Ground) -> None:
    made = organisation_key()._secret.sign(ground.sums.read_bytes(), prehash=False)
    (ground / MINISIG).write_bytes(bytes(made) + b"\n")


@attack(f"{MINISIG} was made with another key than {organisation_key().public.fingerprint}.")
def a_foreign_signature(ground: Ground) -> None:
    ground.sign(SigningKey.generate())


@attack(MISFIT)
def a_foreign_key_under_our_number(ground: Ground) -> None:
    ground.sign(SigningKey.generate())
    change = base64_of(1, lambda raw: raw[:2] + organisation_key().public.number + raw[10:])
    (ground / MINISIG).write_bytes(change((ground / MINISIG).read_bytes()))


@attack(f"{SSHSIG} is missing: the release is not signed.")
def no_ssh_signature(ground: Ground) -> None:
    (ground / SSHSIG).unlink()


NO_SSH = f"{SSHSIG} is no SSH signature by {organisation_key().public.fingerprint}."
signature("empty", lambda _: b"", NO_SSH, of=SSHSIG)
signature("doubled", lambda body: body + body, NO_SSH, of=SSHSIG)
signature("with words below", lambda body: body + b"visit evil.example\n", NO_SSH, of=SSHSIG)
signature(
    "of the last release",
    lambda _: signed_release(1).files[SSHSIG].body,
    f"{SSHSIG} does not fit SHA256SUMS: one of the two was changed.",
    of=SSHSIG,
)


@attack(NO_SSH)
def a_foreign_ssh_signature(ground: Ground) -> None:
    made = sign_for_ssh(ground.sums.read_bytes(), SigningKey.generate())
    (ground / SSHSIG).write_bytes(made)


NOT_NAMED = f"SHA256SUMS.asc is missing, or not the one that {MINISIG} names."


@attack(NOT_NAMED)
def an_openpgp_signature_added(ground: Ground) -> None:
    (ground / "SHA256SUMS.asc").write_bytes(ARMOUR)


@attack(NOT_NAMED)
def the_openpgp_signature_changed(ground: Ground) -> None:
    ground.sign(armour=ARMOUR)
    (ground / "SHA256SUMS.asc").write_bytes(ARMOUR + b"\n")


@attack(NOT_NAMED)
def the_openpgp_signature_removed(ground: Ground) -> None:
    ground.sign(armour=ARMOUR)
    (ground / "SHA256SUMS.asc").unlink()


# What the release says of itself.

OTHERWISE = "and RELEASE.json says otherwise."


@attack(
    f"{MINISIG} was made for “sequence:3 issued:{TODAY:%Y-%m-%dT%H:%M:%SZ} "
    f"expires:{TODAY + timedelta(days=365):%Y-%m-%dT%H:%M:%SZ}”, {OTHERWISE}"
)
def a_signed_comment_that_says_otherwise(ground: Ground) -> None:
    ground.facts = facts(3)
    ground.sign()


@attack("RELEASE.json says release 1, older than 2 before.")
def an_older_release(ground: Ground) -> Path:
    older = Ground(ground.folder.parent / "older")
    older.say(sequence=1)
    _served_before(ground)
    return older.folder


@attack(
    "SHA256SUMS is another than release 2 had before. "
    "Raise the sequence in translations/site.toml for each release."
)
def another_release_of_the_same_number(ground: Ground) -> None:
    _served_before(ground)
    ground.say(expires=TODAY + timedelta(days=1))


def _served_before(ground: Ground) -> None:
    """Remember release 2 as the newest, as its server would, without its being served now."""
    Room(ground.folder.parent).source.accept(signed_release(2))


simple(
    "a date to come",
    f"RELEASE.json is dated {TODAY + timedelta(days=2):%Y-%m-%d}, which is still to come.",
    lambda ground: ground.say(time=TODAY + timedelta(days=2)),
)
simple(
    "a key that did not sign",
    f"RELEASE.json names the key None, but {organisation_key().public.fingerprint} signed.",
    lambda ground: ground.say(fingerprint=None),
)
for _key, _value in {
    "sequence": 0,
    "time": "tomorrow",
    "expires": None,
    "fingerprint": "0000",
    "languages": {},
    "style_hashes": ["'unsafe-inline'"],
}.items():
    simple(
        f"{_key} {_value!r}",
        f"RELEASE.json: “{_key}” is missing or wrong.",
        lambda ground, key=_key, value=_value: ground.says(key, value),
    )
simple(
    "another format",
    "RELEASE.json is not of format 1. Install the matching version of cccr-web.",
    lambda ground: ground.says("format", 2),
)
simple(
    "no JSON",
    "RELEASE.json is not JSON: Expecting value: line 1 column 1 (char 0).",
    lambda ground: ground.release_json(b"<script>"),
)


# Where the path leads.


@attack("{folder}/loop is no release: Not a directory. Make one with: cccr-web build --out DIR")
def a_link_to_itself(ground: Ground) -> Path:
    loop = ground.folder.parent / "loop"
    loop.symlink_to(loop)
    return loop


@attack(
    "{folder}/gone is no release: No such file or directory. Make one with: cccr-web build --out DIR"
)
def a_link_to_nothing(ground: Ground) -> Path:
    return ground.folder.parent / "gone"


@attack("SHA256SUMS cannot be read: No such file or directory.")
def an_empty_folder(ground: Ground) -> Path:
    empty = ground.folder.parent / "empty"
    empty.mkdir()
    return empty


# The ZIP.

TOP = "cccr-web/"
HIDDEN = "next.zip holds something that it does not name."


def packed(change: Callable[[dict[str, bytes]], None] = lambda _: None) -> list[tuple[str, bytes]]:
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

    def run(ground: Ground) -> Path:
        ground.zip.write_bytes(make())
        return ground.zip

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
    """Replace bytes in the good ZIP, at their first or last place."""
    whole = pack(packed())
    place = whole.rfind(find) if last else whole.find(find)
    assert place >= 0
    return whole[:place] + replace + whole[place + len(find) :]


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
    lambda: pack(packed(lambda files: files.pop(TOP + PAGE) and None)),
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
        f"{_path} stands outside cccr-web/ in next.zip.",
        with_entry(_path),
    )
zip_attack(
    "another Unicode form",
    r"'cccr-web/en/caf\xe9.html' is packed in an odd way in next.zip.",
    with_entry(TOP + "en/caf\u00e9.html"),
)
zip_attack(
    "a name with NUL",
    r"'cccr-web/en/index.h\x00ml' is packed in an odd way in next.zip.",
    lambda: pack(packed()).replace(b"en/index.html", b"en/index.h\0ml"),
)
zip_attack(
    "a link",
    f"{TOP}{PAGE} is no regular file in next.zip.",
    altered(PAGE, lambda entry: setattr(entry, "external_attr", (stat.S_IFLNK | 0o777) << 16)),
)
zip_attack(
    "a folder",
    f"{TOP}fr/ is no regular file in next.zip.",
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
    f"{TOP}{PAGE} is packed in an odd way in next.zip.",
    altered(PAGE, lambda entry: setattr(entry, "extra", b"\xfe\xca\4\0evil")),
)
zip_attack(
    "a comment on a file",
    f"{TOP}{PAGE} is packed in an odd way in next.zip.",
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
    "next.zip is no ZIP, or something stands behind it.",
    lambda: pack(packed()) + b"evil",
)
zip_attack(
    "cut off",
    "next.zip is no ZIP, or something stands behind it.",
    lambda: pack(packed())[:-1],
)
zip_attack(
    "no ZIP",
    "next.zip is no ZIP, or something stands behind it.",
    lambda: b"<script>",
)
zip_attack(
    "no signature inside",
    f"{MINISIG} is missing: the release is not signed.",
    lambda: pack(packed(lambda files: files.pop(TOP + MINISIG) and None)),
)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A server's room in which release 1 is the current one."""
    room = Room(tmp_path)
    put_release(signed_release(1), tmp_path / "first")
    room.point(tmp_path / "first")
    return room


def is_served(caretaker: Caretaker, sequence: int) -> bool:
    """Ask for every file: is each that of this release?"""
    client = Client(caretaker._switch.listener(0))
    return all(
        client.get(f"/{path}", base_url="http://localhost").data == file.body
        for path, file in signed_release(sequence).files.items()
    )


def test_there_are_at_least_sixty_attacks() -> None:
    """The table holds more than sixty attacks, each under a name of its own."""
    assert len({each.name for each in ATTACKS}) == len(ATTACKS) >= 60


@pytest.mark.parametrize("each", ATTACKS, ids=lambda each: each.name)
def test_attack_is_refused(each: Attack, room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """An attack is refused in its sentence; the last good release is served, also at a start."""
    caretaker = room.caretaker()
    target = Ground(room.folder / "next")
    room.point(each.do(target) or target.folder)
    caplog.clear()
    caretaker.reload()
    sentence = each.sentence.replace("{folder}", str(room.folder))
    assert caplog.messages == [f"{sentence} Refused: still serving release 1."]
    assert is_served(caretaker, 1)
    again, _ = room.source.open(make_apps)
    assert again.files == signed_release(1).files


def test_release_in_order_is_taken(room: Room) -> None:
    """Without an attack the next release is served, and every byte of it."""
    caretaker = room.caretaker()
    room.point(Ground(room.folder / "next").folder)
    caretaker.reload()
    assert is_served(caretaker, 2)


def test_zip_in_order_is_taken(room: Room) -> None:
    """The tests' own way of packing, with nothing altered, is accepted."""
    room.folder.joinpath("next.zip").write_bytes(pack(packed()))
    assert load(room.folder / "next.zip", organisation_key().public).metadata.sequence == 2


def test_nothing_starts_on_a_broken_release_alone(room: Room) -> None:
    """With no last good release a broken one is refused at the start."""
    (room.folder / "first" / PAGE).write_bytes(b"<script>")
    with pytest.raises(ReleaseError, match=f"^{PAGE} is not the file that SHA256SUMS lists.$"):
        room.source.open(make_apps)


def test_damaged_copy_of_the_last_good_release_is_not_served(room: Room) -> None:
    """The copy that is kept aside is checked like any release."""
    room.caretaker()
    (room.folder / "state/last-good" / PAGE).write_bytes(b"<script>")
    (room.folder / "first" / PAGE).write_bytes(b"<script>")
    with pytest.raises(ReleaseError, match=f"^{PAGE} is not"):
        room.source.open(make_apps)


def test_device_is_no_file(tmp_path: Path) -> None:
    """A device file is refused before a byte of it is read."""
    with Folder.open(Path("/dev")) as devices, pytest.raises(ReleaseError, match="^zero is no reg"):
        devices.read("zero", 10)


def test_all_files_together_have_a_limit(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release of files that are long only together is refused too."""
    monkeypatch.setattr(store, "MAX_TOTAL", 2000)
    with pytest.raises(ReleaseError, match=r"has more than [0-9,]+ bytes\.$"):
        load(room.current.resolve())


def test_change_on_disk_after_loading_changes_nothing(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """What is served stays; the difference on the disk is told once, and so is the next one."""
    caretaker = room.caretaker()
    caplog.clear()
    (room.folder / "first" / PAGE).write_bytes(b"<script>")
    (room.folder / "first/onion.png").unlink()
    (room.folder / "first/new.html").write_bytes(b"<script>")
    caretaker.compare()
    caretaker.compare()
    after = "Still serving release 1."
    assert caplog.messages == [
        f"On the disk: {PAGE} is not the file that is served. {after}",
        f"On the disk: new.html is not among the files that are served. {after}",
        f"On the disk: onion.png cannot be read: No such file or directory. {after}",
    ]
    (room.folder / "first/en/feed.xml").write_bytes(b"")
    caretaker.compare()
    assert caplog.messages[3:] == [
        f"On the disk: en/feed.xml is not the file that is served. {after}"
    ]
    assert is_served(caretaker, 1)


def test_change_between_check_and_read_is_impossible(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file exchanged right after its hash was taken is served as it was hashed."""
    file = room.folder / "first" / PAGE
    hashed = store.File.of

    def of(body: bytes) -> store.File:
        made = hashed(body)
        file.write_bytes(b"<script>")
        return made

    good = file.read_bytes()
    monkeypatch.setattr(store.File, "of", staticmethod(of))
    file.write_bytes(good)
    original = Folder.read

    def read(self: Folder, path: str, limit: int) -> bytes:
        if path == PAGE:
            file.write_bytes(good)
        return original(self, path, limit)

    monkeypatch.setattr(Folder, "read", read)
    assert load(file.parent.parent, organisation_key().public).files[PAGE].body == good
    assert file.read_bytes() == b"<script>"


def test_files_exchanged_without_end_are_never_mixed(room: Room) -> None:
    """While another writer exchanges a page all the time, a load gives the true one or none."""
    folder = room.folder / "first"
    good = (folder / PAGE).read_bytes()
    seen = set()
    writer = os.fork()
    if writer == 0:  # pragma: no cover
        other = room.folder / "other"
        while True:
            for body in (b"<script>" * 1000, good):
                other.write_bytes(body)
                other.replace(folder / PAGE)
    try:
        for _ in range(200):
            try:
                seen.add(load(folder, organisation_key().public).files[PAGE].body)
            except ReleaseError as error:
                assert str(error) == f"{PAGE} is not the file that SHA256SUMS lists."  # noqa: PT017
                seen.add(b"")
    finally:
        os.kill(writer, 9)
        os.waitpid(writer, 0)
    assert seen == {good, b""}


def test_unsigned_releases_are_not_remembered(tmp_path: Path) -> None:
    """A release that fits its list is loaded without a key, and fails with one."""
    put_release(make_release(content(1), facts(1)), tmp_path / "unsigned")
    assert load(tmp_path / "unsigned").metadata == facts(1)
    with pytest.raises(ReleaseError, match="the release is not signed"):
        load(tmp_path / "unsigned", organisation_key().public)
