"""Check a copy of the site of the Chinese Coalition for Citizens Rights (公民自由联盟).

    python3 verify.py FOLDER FINGERPRINT
    python3 verify.py cccr-web.zip FINGERPRINT
    python3 verify.py FINGERPRINT         (the folder that holds this file)

It needs Python 3.8 or newer and nothing else, opens no connection, and changes no
file. Exit 0: the copy is complete and signed with that key. 1: it is not. 2: wrong usage.

It checks, in this order: the public key in the copy (minisign.pub) must have the
fingerprint that you typed; the key must have signed the list (SHA256SUMS); every file
must have the checksum in the list; there must be no other file.

A forger of a copy can also forge the verify.py in it, and the fingerprint on its pages.
So get both from elsewhere, and read this file: it is short for that reason.

用法：python3 verify.py 文件夹或ZIP 指纹。需要Python 3.8或更新的版本，不联网，不改动任何文件。
指纹和本程序都请从别处取得，不要用待核对的副本里的：伪造副本的人也能伪造它们。
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import stat
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import IO, Tuple, Union

LIST = "SHA256SUMS"
SIGNATURE = LIST + ".minisig"
KEY = "minisign.pub"
TOP = "cccr-web/"  # the one folder in the ZIP
# The list and its signatures, which the list cannot contain.
UNLISTED = {LIST, SIGNATURE, LIST + ".sshsig", LIST + ".asc"}

MAX_FILES = 20_000
MAX_BYTES = 1 << 30  # of a whole ZIP, unpacked
MAX_LIST = 16 << 20

# Names that mean the same on every system: no "..", no backslash, no leading dot but one.
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
NAME = re.compile(rf"(?:\.well-known/)?{_PART}(?:/{_PART})*")
LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n]{1,200})")


class RefusedError(Exception):
    """The copy is not what the organisation signed; the reason in English and Chinese."""


class WrongUseError(Exception):
    """The arguments are wrong."""


# --- Ed25519 (RFC 8032, section 5.1), only verification, in plain arithmetic ---

P = 2**255 - 19  # the field
L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
Point = Tuple[int, int, int, int]  # (X, Y, Z, T): x = X/Z, y = Y/Z, x·y = T/Z (5.1.4)


def decode_point(data: bytes) -> Point | None:
    """Return the point (x, y, 1, x·y) that 32 bytes encode, or None (5.1.3)."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def encode_point(point: Point) -> bytes:
    """Return the 32 bytes of a point (5.1.2)."""
    x, y, z, _ = point
    z = pow(z, -1, P)
    return (y * z % P | (x * z % P & 1) << 255).to_bytes(32, "little")


def add_points(one: Point, other: Point) -> Point:
    """Add two points in extended coordinates (5.1.4); it holds for equal points too."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply_point(times: int, point: Point) -> Point:
    """Multiply a point by a number. Nothing here is secret, so timing does not matter."""
    result: Point = (0, 1, 1, 0)
    while times:
        if times & 1:
            result = add_points(result, point)
        point = add_points(point, point)
        times >>= 1
    return result


# The base point: the one whose y is 4/5 and whose x is even.
BASE_Y = 4 * pow(5, -1, P) % P


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the 64 bytes of signature are the key's over the message (5.1.7)."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    a, base = decode_point(key), decode_point(BASE_Y.to_bytes(32, "little"))
    if a is None or base is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    minus_a = (P - a[0], a[1], 1, P - a[3])
    return encode_point(add_points(multiply_point(s, base), multiply_point(k, minus_a))) == r


# --- minisign's files (jedisct1.github.io/minisign, "Signature format") ---


def decode_base64(text: bytes, length: int) -> bytes | None:
    """Decode base64 that has exactly this length and is canonical."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if len(data) == length and base64.b64encode(data) == text else None


def read_key(text: bytes) -> tuple[bytes, bytes]:
    """Return the key's number (8 bytes) and the key (32 bytes)."""
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    data = decode_base64(lines[1], 42) if len(lines) > 1 else None
    if not lines[0].startswith(b"untrusted comment: ") or data is None or data[:2] != b"Ed":
        raise RefusedError(f"{KEY} is not a minisign key.", f"{KEY}不是minisign公钥。")
    return data[2:10], data[10:]


def group(digits: str) -> str:
    """Return hexadecimal digits in groups of four."""
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def fingerprint_of(key: bytes) -> str:
    """Return the first half of the key's SHA-256, in groups of four."""
    return group(hashlib.sha256(key).hexdigest()[:32].upper())


def check_signature(text: bytes, message: bytes, key_number: bytes, key: bytes) -> str:
    """Check the signature over the list and over its comment; return the comment."""
    lines = text.split(b"\n")
    trusted = b"trusted comment: "
    if (
        len(lines) != 5
        or lines[4]
        or not lines[0].startswith(b"untrusted comment: ")
        or not lines[2].startswith(trusted)
    ):
        raise RefusedError(f"{SIGNATURE} is damaged.", f"{SIGNATURE}已损坏。")
    head, seal = decode_base64(lines[1], 74), decode_base64(lines[3], 64)
    if head is None or seal is None:
        raise RefusedError(f"{SIGNATURE} is damaged.", f"{SIGNATURE}已损坏。")
    algorithm, number, signature = head[:2], head[2:10], head[10:]
    # "Ed", the older kind, signs the text itself: we never make it, so it is not ours.
    if algorithm != b"ED":
        raise RefusedError(
            f"{SIGNATURE} is of a kind that the organisation does not use.",
            f"{SIGNATURE}不是本组织使用的签名种类。",
        )
    if number != key_number:
        raise RefusedError(
            f"{SIGNATURE} was made with another key.", f"{SIGNATURE}是用另一把密钥签的。"
        )
    comment = lines[2][len(trusted) :]
    if not is_signed(key, hashlib.blake2b(message).digest(), signature):
        raise RefusedError(f"The signature does not match {LIST}.", f"签名与{LIST}不符。")
    if not is_signed(key, signature + comment, seal):
        raise RefusedError(
            f"The comment in {SIGNATURE} was changed.", f"{SIGNATURE}里的说明被人改动过。"
        )
    return "".join(c if c.isprintable() else "?" for c in comment.decode("utf-8", "replace"))


def read_list(text: bytes) -> dict[str, str]:
    """Return file → SHA-256. Anything that another program might read differently is rejected."""
    entries: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text.split(b"\n")[:-1], start=1):
        match = LINE.fullmatch(line)
        name = match[2].decode("ascii", "replace") if match else ""
        # Sorted names can't be doubled without its being seen.
        if match is None or not NAME.fullmatch(name) or name <= last or name in UNLISTED:
            raise RefusedError(f"{LIST}, line {number}, is damaged.", f"{LIST}第{number}行已损坏。")
        entries[name] = match[1].decode("ascii")
        last = name
    if not text.endswith(b"\n"):
        raise RefusedError(f"{LIST} is cut off.", f"{LIST}不完整。")
    return entries


# --- The copy: a folder or a ZIP, as a set of names and a way to open each ---


class Folder:
    """A folder. Links are not followed, because they may lead out of the folder."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.names: set[str] = set()
        below = [""]
        while below:
            prefix = below.pop()
            with os.scandir(top / prefix) as entries:
                for entry in entries:
                    name, facts = prefix + entry.name, entry.stat(follow_symlinks=False)
                    # A "junction" of Windows leads elsewhere and yet calls itself a folder.
                    junction = getattr(facts, "st_reparse_tag", 0) == 0xA0000003
                    if stat.S_ISDIR(facts.st_mode) and not junction:
                        below.append(name + "/")
                    elif stat.S_ISREG(facts.st_mode):
                        self.names.add(name)
                    else:
                        raise RefusedError(
                            f"{name!r} is a link or not a file.", f"{name!r}是链接，或者不是文件。"
                        )

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read its bytes."""
        return (self.top / name).open("rb")


class Zip:
    """A ZIP, read without unpacking it, if it is unambiguous."""

    def __init__(self, path: Path) -> None:
        self.archive = zipfile.ZipFile(path)
        self.entries: dict[str, zipfile.ZipInfo] = {}
        infos = sorted(self.archive.infolist(), key=lambda info: info.header_offset)
        if len(infos) > MAX_FILES or sum(info.file_size for info in infos) > MAX_BYTES:
            raise RefusedError("The ZIP holds far more than our site.", "ZIP里的内容远多于本站。")
        for info in infos:
            name = info.orig_filename
            if name in self.entries:
                raise RefusedError(f"The ZIP holds {name!r} twice.", f"ZIP里有两个{name!r}。")
            if not name.startswith(TOP) or not NAME.fullmatch(name[len(TOP) :]):
                raise RefusedError(
                    f"The ZIP holds the bad name {name!r}.", f"ZIP里有不该有的文件名{name!r}。"
                )
            if stat.S_ISLNK(info.external_attr >> 16):
                raise RefusedError(
                    f"{name!r} is a link or not a file.", f"{name!r}是链接，或者不是文件。"
                )
            self.entries[name] = info
        with path.open("rb") as file:
            self._refuse_two_readings(file)
        self.names = {name[len(TOP) :] for name in self.entries}

    def _refuse_two_readings(self, file: IO[bytes]) -> None:
        """Refuse a ZIP of which another program might unpack something else than we read.

        In a ZIP each file has a head of its own and one in the directory at the end, and
        programs differ in which they believe. So both must agree, and the files, the
        directory and the last 22 bytes must follow each other without a gap.
        """
        end = 0
        for name, info in self.entries.items():
            head = info.FileHeader()
            if file.seek(end) != info.header_offset or file.read(len(head)) != head or info.extra:
                raise zipfile.BadZipFile(name)
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(name)
            end += len(head) + info.compress_size
        file.seek(-22, os.SEEK_END)
        mark, directory, comment = struct.unpack("<4s12xLH", file.read())
        if mark != b"PK\5\6" or directory != end or comment:
            raise zipfile.BadZipFile("PK")

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read its bytes: never more than the ZIP has declared."""
        return self.archive.open(self.entries[TOP + name])


Copy = Union[Folder, Zip]


def open_copy(path: Path) -> Copy:
    """Return the copy at a path."""
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise WrongUseError(
            f"There is no folder or ZIP {str(path)!r}.", f"没有{str(path)!r}这个文件夹或ZIP。"
        )
    return Zip(path)


def read_small(copy: Copy, name: str, limit: int) -> bytes:
    """Return the bytes of a file that the check itself needs."""
    if name not in copy.names:
        raise RefusedError(
            f"{name} is missing: this is not a whole signed copy.",
            f"缺少{name}：这不是一份完整的、签过名的副本。",
        )
    with copy.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise RefusedError(f"{name} is too long.", f"{name}太长。")
    return data


def hash_file(copy: Copy, name: str) -> str:
    """Return the SHA-256 of a file of any length."""
    digest = hashlib.sha256()
    with copy.open(name) as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def check(copy: Copy, fingerprint: str) -> tuple[int, str]:
    """Return how many files are listed and the signed comment; raise RefusedError otherwise."""
    text = read_small(copy, LIST, MAX_LIST)
    signature = read_small(copy, SIGNATURE, 4096)
    key_number, key = read_key(read_small(copy, KEY, 4096))
    if fingerprint_of(key) != fingerprint:
        raise RefusedError(
            f"The copy was signed with another key, {fingerprint_of(key)}.",
            f"这份副本用的是另一把密钥：{fingerprint_of(key)}。",
        )
    comment = check_signature(signature, text, key_number, key)
    # From here on the list is known to be the organisation's own.
    listed = read_list(text)
    for name, wanted in listed.items():
        if name not in copy.names:
            raise RefusedError(f"{name} is missing.", f"缺少{name}。")
        if hash_file(copy, name) != wanted:
            raise RefusedError(f"{name} was changed.", f"{name}被改动过。")
    for name in sorted(copy.names - set(listed) - UNLISTED):
        raise RefusedError(
            f"{name!r} is not in the list: it is not ours.",
            f"清单里没有{name!r}：它不是本组织的文件。",
        )
    return len(listed), comment


def read_arguments(arguments: list[str]) -> tuple[Path, str]:
    """Return the path and the fingerprint, which may be typed with or without spaces."""
    here = Path(__file__).resolve().parent
    for path, rest in ((here, arguments), (Path(*arguments[:1]), arguments[1:])):
        digits = re.sub(r"[\s:-]", "", "".join(rest)).upper()
        if re.fullmatch(r"[0-9A-F]{32}", digits):
            return path, group(digits)
    raise WrongUseError(
        "Type: python3 verify.py FOLDER-OR-ZIP FINGERPRINT (8 groups of 4 characters).",
        "用法：python3 verify.py 文件夹或ZIP 指纹（8组，每组4个字符）。",
    )


def main(arguments: list[str]) -> int:
    """Check, print the result in both languages, and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A console that can't show Chinese must not stop the check.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        path, fingerprint = read_arguments(arguments)
        count, comment = check(open_copy(path), fingerprint)
    except WrongUseError as error:
        print(*error.args, sep="\n", file=sys.stderr)
        return 2
    except RefusedError as error:
        reason = error.args
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        reason = (f"It is damaged or cannot be read ({error}).", "它已损坏或无法读取。")
    else:
        print(f"GOOD. All {count} files are exactly what was signed with the key {fingerprint}.")
        print(f"核对无误。全部{count}个文件都与密钥{fingerprint}签名的内容完全相同。")
        print(f"Signed with it · 一并签名的说明：{comment}")
        return 0
    print(f"NOT GOOD: do not trust this copy. {reason[0]}")
    print(f"核对失败：不要相信这份副本。{reason[1]}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
