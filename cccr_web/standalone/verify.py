"""Check a copy of the web site of the Chinese Coalition for Citizens Rights (公民自由联盟).

    python3 verify.py FOLDER FINGERPRINT
    python3 verify.py cccr-web.zip FINGERPRINT
    python3 verify.py FILE FINGERPRINT    any one file of the site, such as cccr-en.html, next to
                                          SHA256SUMS, SHA256SUMS.minisig and SHA256SUMS.sshsig,
                                          or at its place in a copy
    python3 verify.py FINGERPRINT         the folder that holds this program

It needs Python 3.8 or newer and nothing else. It opens no connection and changes no file.

Exit status:
    0  Every file is exactly what we signed, none is missing, and nothing else is there.
    3  Our files are genuine, but there are differences, and the program lists them: files are
       missing or in another place, there are files that are not ours, another program repacked
       the ZIP, or the release has expired.
    1  Do not trust the copy: a file or the signature is not ours or is damaged, or the ZIP is
       unsafe.
    2  The command is wrong, or a single file has no list.

It makes three checks, in this order:
    1. The policy or the public key in the copy has the fingerprint that you typed. The policy,
       policy.txt, names several signers; without one, a single key signs, which is in
       minisign.pub or, if that is missing, in SHA256SUMS.sshsig.
    2. The key, or as many signers as the policy demands, signed the list of files, SHA256SUMS.
    3. Every file has the checksum in the list.

It reads no more of a file than ours could contain: the length in a signed cccr-web.zip in the
same folder, or else 256 MiB.

A ZIP is safe if every program unpacks the same files from it. The status is 0 only for a ZIP
that is byte for byte what our own packer writes, except for the compressed data. A repacked ZIP
is safe if all of this is true:
    - Its files, its directory and its last 22 bytes follow one another without gaps or comments.
    - The header before each file and its entry in the directory agree, except for times and
      owners.
    - The data of each file ends where the header says, and has the checksum in the header.

Whoever forges a copy can also forge the verify.py and the fingerprint in it. Get both from
somewhere else, and read this program before you run it: that is why it is one file of plain
Python.

用法：python3 verify.py 文件夹、ZIP或单个文件 指纹

只需要Python 3.8或更新的版本，不联网，也不改动任何文件。核对单个文件时，请把清单SHA256SUMS和
它的两个签名（SHA256SUMS.minisig和SHA256SUMS.sshsig）放在同一个文件夹里；文件还在整份副本的原位时，
不必移动。

退出码：
    0  每个文件都与本组织签署的内容完全相同，没有缺少，也没有多余。
    3  本组织的文件都是真的，但有出入，程序会逐项列出：缺了文件、文件不在原来的位置、多了别的文件、
       ZIP被重新打包过，或者已经过期。
    1  不要相信这份副本：文件或签名不是本组织的，或者已损坏，或者ZIP不安全。
    2  命令写错了，或者单个文件没有清单可以对照。

指纹和本程序都要从别处取得，不要用待核对的副本里的：伪造副本的人，也能伪造它们。
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import stat
import struct
import sys
import unicodedata
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO, Iterable, Iterator, Mapping, NamedTuple, Tuple, Union

LIST = "SHA256SUMS"
SIGNATURE = LIST + ".minisig"
SSH_SIGNATURE = LIST + ".sshsig"
OPENPGP_SIGNATURE = LIST + ".asc"
KEY = "minisign.pub"
POLICY = "policy.txt"
ARCHIVE = "cccr-web.zip"  # in a folder, all its other files
TOP = "cccr-web/"  # the one folder in our ZIP
# The list and its signatures, which the list cannot cover; under a policy also the ZIP.
UNLISTED = {LIST, SIGNATURE, SSH_SIGNATURE, OPENPGP_SIGNATURE}
SIGNER_FILE = re.compile(LIST + r"\.[a-z][a-z0-9-]{0,30}\.(?:minisig|sshsig)")
# What says who we are: read next to the list, and believed only with the fingerprint.
FACTS = "RELEASE.json"
IDENTITY = (KEY, POLICY, FACTS)

MAX_FILE = 256 << 20  # in bytes; all our files are smaller
MAX_BYTES = 1 << 30  # of all files in a ZIP, unpacked
MAX_LIST = 16 << 20
NEAR = timedelta(days=14)  # how long before it expires the days left are printed
BLOCK = 1 << 16

# Names that mean the same on every system: no "..", no backslash, and .well-known as the only
# one with a leading dot.
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
NAME = re.compile(rf"(?:\.well-known/)?{_PART}(?:/{_PART})*")
LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n]{1,200})")
# Files that macOS and Windows add to a folder or a ZIP.
SYSTEM_FILE = re.compile(
    r"(?:.*/)?(?:\.DS_Store|\._[^/]*|__MACOSX/.*|(?i:Thumbs\.db|desktop\.ini))"
)

# “cccr-web mirror” adds this empty file, which GitHub Pages needs.
MIRROR_FILE = ".nojekyll"


class VerificationError(Exception):
    """The copy cannot be trusted. The arguments are the reason in English and in Chinese."""


class WrongUseError(Exception):
    """The command is wrong. The arguments are the reason in English and in Chinese."""


# --- Ed25519 (RFC 8032, section 5.1): verification only, in plain arithmetic ---

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
    """Return the sum of two points, which may be equal, in extended coordinates (5.1.4)."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply_point(times: int, point: Point) -> Point:
    """Return a point times a number. Nothing here is secret, so its timing does not matter."""
    result: Point = (0, 1, 1, 0)
    while times:
        if times & 1:
            result = add_points(result, point)
        point = add_points(point, point)
        times >>= 1
    return result


# The y coordinate of the base point, which is 4/5; its x is even.
BASE_Y = 4 * pow(5, -1, P) % P


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the key made the 64-byte signature of the message (5.1.7)."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    a, base = decode_point(key), decode_point(BASE_Y.to_bytes(32, "little"))
    if a is None or base is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    minus_a = (P - a[0], a[1], 1, P - a[3])
    return encode_point(add_points(multiply_point(s, base), multiply_point(k, minus_a))) == r


# --- minisign's files (jedisct1.github.io/minisign, "Signature format") ---


def decode_base64(text: bytes, length: int) -> bytes | None:
    """Return the decoded bytes, or None unless the base64 is canonical and has this length."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return data if len(data) == length and base64.b64encode(data) == text else None


def read_key(text: bytes) -> tuple[bytes, bytes]:
    """Return the key number (8 bytes) and the public key (32 bytes) in a minisign.pub."""
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    data = decode_base64(lines[1], 42) if len(lines) > 1 else None
    if not lines[0].startswith(b"untrusted comment: ") or data is None or data[:2] != b"Ed":
        raise VerificationError(f"{KEY} is not a minisign key.", f"{KEY}不是minisign公钥。")
    return data[2:10], data[10:]


def group(digits: str) -> str:
    """Return hexadecimal digits in groups of four."""
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def fingerprint_of(key: bytes) -> str:
    """Return the first half of the key's SHA-256, in groups of four."""
    return group(hashlib.sha256(key).hexdigest()[:32].upper())


def check_signature(
    text: bytes, message: bytes, key_number: bytes | None, key: bytes, file: str = SIGNATURE
) -> str:
    """Check the signatures of the list and of the trusted comment; return the comment."""
    lines = text.split(b"\n")
    trusted = b"trusted comment: "
    if (
        len(lines) != 5
        or lines[4]
        or not lines[0].startswith(b"untrusted comment: ")
        or not lines[2].startswith(trusted)
    ):
        raise VerificationError(f"{file} is damaged.", f"{file}已损坏。")
    head, seal = decode_base64(lines[1], 74), decode_base64(lines[3], 64)
    if head is None or seal is None:
        raise VerificationError(f"{file} is damaged.", f"{file}已损坏。")
    algorithm, number, signature = head[:2], head[2:10], head[10:]
    # The older kind, "Ed", signs the text itself, not its hash. We never use it.
    if algorithm != b"ED":
        raise VerificationError(
            f"{file} is a kind of signature that the organisation does not use.",
            f"{file}里的这种签名，本组织从不使用。",
        )
    if key_number not in (None, number):
        raise VerificationError(
            f"{file} was made with another key.", f"{file}是用另一把密钥签署的。"
        )
    comment = lines[2][len(trusted) :]
    if not is_signed(key, hashlib.blake2b(message).digest(), signature):
        raise VerificationError(f"{file} does not match {LIST}.", f"{file}与{LIST}不符。")
    if not is_signed(key, signature + comment, seal):
        raise VerificationError(f"The comment in {file} was changed.", f"{file}里的说明被改动过。")
    return "".join(c if c.isprintable() else "?" for c in comment.decode("utf-8", "replace"))


# --- SSH signatures (OpenSSH's PROTOCOL.sshsig): fixed bytes around the key and the signature ---

SSH_KEY = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
SSH_PURPOSE = b"\0\0\0\4file\0\0\0\0\0\0\0\6sha512"
SSH_MADE = b"\0\0\0\x53\0\0\0\x0bssh-ed25519\0\0\0\x40"
# The same for a security key (PROTOCOL.u2f): it adds an application to the key, and to the
# signature a byte of flags (5: it was touched and checked a PIN, 1: touched) and a counter.
SECURITY_KEY = b"\0\0\0\x1ask-ssh-ed25519@openssh.com\0\0\0\x20"
SECURITY_MADE = b"\0\0\0\x67\0\0\0\x1ask-ssh-ed25519@openssh.com\0\0\0\x40"
TOUCHED = (1, 5)


def read_armour(text: bytes) -> bytes | None:
    """Return the bytes in the armour of an SSH signature, or None."""
    begin, end = (b"-----%s SSH SIGNATURE-----\n" % word for word in (b"BEGIN", b"END"))
    if not (text.startswith(begin) and text.endswith(b"\n" + end)):
        return None
    lines = text[len(begin) : -len(end)].split(b"\n")
    try:
        return base64.b64decode(b"".join(lines), validate=True)
    except ValueError:
        return None


def read_ssh_signature(text: bytes) -> tuple[bytes, bytes] | None:
    """Return the key and the signature in an SSH signature of our kind, or None."""
    head = b"SSHSIG\0\0\0\1\0\0\0\x33" + SSH_KEY
    data = read_armour(text) or b""
    key, made = data[len(head) :][:32], data[-64:]
    return (key, made) if data == head + key + SSH_PURPOSE + SSH_MADE + made else None


def is_signed_for_ssh(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the key made the SSH signature of the message."""
    return is_signed(key, signed_for_ssh(message), signature)


def signed_for_ssh(message: bytes) -> bytes:
    """Return what an SSH signature of the message signs."""
    return b"SSHSIG" + SSH_PURPOSE + b"\0\0\0\x40" + hashlib.sha512(message).digest()


def is_signed_by_blob(blob: bytes, message: bytes, text: bytes) -> bool:
    """Return whether the key that OpenSSH encodes so made the armoured signature."""
    head = b"SSHSIG\0\0\0\1" + len(blob).to_bytes(4, "big") + blob + SSH_PURPOSE
    data = read_armour(text) or b""
    if blob.startswith(SSH_KEY):
        made = data[-64:]
        is_whole = data == head + SSH_MADE + made
        return is_whole and is_signed_for_ssh(blob[-32:], message, made)
    made, last = data[-69:-5], data[-5:]
    if data != head + SECURITY_MADE + made + last or last[0] not in TOUCHED:
        return False
    key, application = blob[len(SECURITY_KEY) :][:32], blob[len(SECURITY_KEY) + 36 :]
    hashes = (hashlib.sha256(part).digest() for part in (application, signed_for_ssh(message)))
    return is_signed(key, last.join(hashes), made)


# --- The policy: who signs, and how many of them must ---


class CopySigner(NamedTuple):
    """A signer in the policy: a name, the file of the signature, and the key."""

    name: str
    file: str
    number: bytes  # minisign's number of the key; empty for SSH
    key: bytes  # for SSH, as OpenSSH encodes it


class CopyPolicy(NamedTuple):
    """The signers, and how many of them must sign."""

    threshold: int
    signers: list[CopySigner]


def read_policy(text: bytes) -> CopyPolicy:
    """Return the policy in a policy.txt that has the fingerprint. Raises VerificationError."""
    head = re.match(
        rb"cccr-web policy 1\nnumber (?:0|[1-9][0-9]{0,9})\nthreshold ([1-9][0-9]?)\n", text
    )
    signers: list[CopySigner] = []
    keys: set[bytes] = set()
    for line in text[head.end() :].split(b"\n")[:-1] if head else []:
        match = re.fullmatch(rb"([a-z][a-z0-9-]{0,30}) (minisign|ssh) (.+)", line)
        if not match:
            break
        name, kind = match[1].decode(), match[2].decode()
        if kind == "minisign":
            data = decode_base64(match[3], 42) or b""
            number, key, raw = data[2:10], data[10:], data[10:]
            is_right = data[:2] == b"Ed"
        else:
            number, key, raw, is_right = read_ssh_key(match[3])
        if not is_right or raw in keys or (signers and name <= signers[-1].name):
            break
        keys.add(raw)
        end = "minisig" if kind == "minisign" else "sshsig"
        signers.append(CopySigner(name, f"{LIST}.{name}.{end}", number, key))
    threshold = int(head[1]) if head else 0
    if (
        not text.endswith(b"\n")
        or len(signers) + 3 != text.count(b"\n")
        or not (0 < threshold <= len(signers) <= 16)
    ):
        raise VerificationError(f"{POLICY} is damaged.", f"{POLICY}已损坏。")
    return CopyPolicy(threshold, signers)


def read_ssh_key(text: bytes) -> tuple[bytes, bytes, bytes, bool]:
    """Return no number, the encoded key, its 32 bytes, and whether it is a key that we know."""
    kind, _, data = text.partition(b" ")
    try:
        blob = base64.b64decode(data, validate=True)
    except ValueError:
        blob = b""
    is_right = base64.b64encode(blob) == data
    if kind == b"ssh-ed25519":
        return b"", blob, blob[-32:], is_right and blob == SSH_KEY + blob[-32:]
    raw, rest = blob[len(SECURITY_KEY) :][:32], blob[len(SECURITY_KEY) + 32 :]
    length = len(rest[4:]).to_bytes(4, "big")
    is_right &= kind == b"sk-ssh-ed25519@openssh.com"
    return b"", blob, raw, is_right and blob == SECURITY_KEY + raw + length + rest[4:]


def check_signers(copy: Copy, policy: CopyPolicy, message: bytes) -> None:
    """Require enough valid signatures of the list, and none that is not valid."""
    signed, missing = [], []
    for signer in policy.signers:
        if signer.file not in copy.names:
            missing.append(signer.name)
            continue
        text = read_small(copy, signer.file, 4096)
        if not signer.number:
            if not is_signed_by_blob(signer.key, message, text):
                raise VerificationError(
                    f"{signer.file} does not match {LIST}, or is by another key.",
                    f"{signer.file}与{LIST}不符，或者是用另一把密钥签署的。",
                )
        elif check_signature(text, message, signer.number, signer.key, signer.file) != (
            f"signer:{signer.name}"
        ):
            raise VerificationError(
                f"{signer.file} is the signature of somebody else.",
                f"{signer.file}是别人的签名。",
            )
        signed.append(signer.name)
    if len(signed) < policy.threshold:
        names = ", ".join(missing)
        raise VerificationError(
            f"It has {len(signed)} of {policy.threshold} signatures. Missing: {names}.",
            f"需要{policy.threshold}个签名，只有{len(signed)}个。缺少：{names}。",
        )


def is_unlisted(name: str) -> bool:
    """Return whether a file cannot be in the list: it is the list or one of its signatures."""
    return name in UNLISTED or SIGNER_FILE.fullmatch(name) is not None


def read_list(text: bytes) -> dict[str, str]:
    """Return file → SHA-256. A list that other programs might read differently is rejected."""
    entries: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text.split(b"\n")[:-1], start=1):
        match = LINE.fullmatch(line)
        name = match[2].decode("ascii", "replace") if match else ""
        # The names are sorted, so a repeated one is out of order.
        if match is None or not NAME.fullmatch(name) or name <= last or is_unlisted(name):
            raise VerificationError(
                f"Line {number} of {LIST} is damaged.", f"{LIST}第{number}行已损坏。"
            )
        entries[name] = match[1].decode("ascii")
        last = name
    if not text.endswith(b"\n"):
        raise VerificationError(f"The end of {LIST} is missing.", f"{LIST}的末尾不完整。")
    return entries


# --- The copy: a folder, a ZIP, or a single file and its neighbours ---


def no_check_without(name: str) -> VerificationError:
    """Return the error for a copy without the list, its signature or the key."""
    return VerificationError(
        f"{name} is missing. It must be in the same folder: without it, nothing can be checked.",
        f"缺少{name}。它必须在同一个文件夹里，否则无法核对。",
    )


def too_large(name: str) -> VerificationError:
    """Return the error for a file that is larger than any of ours."""
    return VerificationError(
        f"{name} is too large to be ours.", f"{name}太大，不可能是本组织的文件。"
    )


class ListFolder:
    """The folder of a single file. Only the list, its signatures and the key are read from it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.names = set()
        with contextlib.suppress(OSError), os.scandir(top) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
            self.names = {name for name in names if is_unlisted(name) or name in IDENTITY}

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file, unless it is larger than any of ours."""
        with (self.top / name).open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE:
                raise too_large(repr(name))
            yield from iter(lambda: file.read(BLOCK), b"")


class Folder(ListFolder):
    """A copy in a folder. Links are not followed, because they may lead out of it."""

    def __init__(self, top: Path, outside: Iterable[str] = (), *, is_inside: bool = False) -> None:
        self.top, self.is_inside = top, is_inside
        self.names: set[str] = set()  # of files
        self.folders: set[str] = set()  # with a final slash
        self.extras: set[str] = set()  # everything else, such as empty folders, links and pipes
        self.outside = set(outside)  # what lies next to the copy, whatever its name
        below = [""]
        while below:
            prefix = below.pop()
            self.folders.add(prefix)
            with os.scandir(top / prefix) as entries:
                inside = list(entries)
            if prefix and not inside:
                self.extras.add(prefix)
            for entry in inside:
                name, facts = prefix + entry.name, entry.stat(follow_symlinks=False)
                # On Windows, a junction leads elsewhere but is reported as a folder.
                junction = getattr(facts, "st_reparse_tag", 0) == 0xA0000003
                if stat.S_ISDIR(facts.st_mode) and not junction:
                    below.append(name + "/")
                elif stat.S_ISREG(facts.st_mode):
                    self.names.add(name)
                else:
                    self.extras.add(name)

    def check_rest(self, listed: Mapping[str, str]) -> None:
        """Reject links and folders where the list names a file, and links to its folders."""
        for name in listed:
            places = {name[: slash.start()] for slash in re.finditer("/|$", name)} & self.extras
            if name + "/" in self.folders:
                places.add(name)
            for place in sorted(places):
                raise VerificationError(
                    f"{place!r} is a link, or not a file.", f"{place!r}是链接，或者不是文件。"
                )


# The headers of a ZIP (APPNOTE.TXT, 4.3.7, 4.3.9, 4.3.12 and 4.3.16).
LOCAL = struct.Struct("<4s5H3L2H")
DESCRIPTOR = struct.Struct("<4s3L")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
STORED, DEFLATED = 0, 8  # methods
SYSTEMS = {0, 3, 10, 11, 14, 19}  # that made the ZIP: DOS, Windows, Unix, macOS
LEVEL, LATER, UTF8 = 0x06, 0x08, 0x0800  # flags; LATER: the sizes follow the data
# Extra fields that hold times or owners: Info-ZIP's UT, ux, UX and Ux, and Windows' 10.
TIMES = re.compile(
    rb"(?s:(?:UT(?:\x05\0.{5}|\x09\0.{9}|\x0d\0.{13})|ux\x0b\0.{11}|UX(?:\x08\0.{8}|\x0c\0.{12})"
    rb"|Ux(?:\0\0|\x04\0.{4})|\x0a\0\x20\0.{32})*)"
)
# A part of a path that leads elsewhere, or that Windows takes for another name.
BAD_PART = re.compile(r'(?s)\.{0,2}|.*[\\:*?"<>|].*|.*[. ]|.*~[0-9].*')


class Record(NamedTuple):
    """An entry in the directory of a ZIP."""

    mark: bytes
    made_by: int
    version: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    packed: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    is_text: int
    mode: int
    start: int

    def is_plain(self) -> bool:
        """Return whether it uses only features that every program supports."""
        # Unlike compressed data, stored data does not show where it ends.
        has_end = self.method == DEFLATED or (
            self.packed == self.size and not (self.flags & LATER and self.size)
        )
        return (
            has_end
            and self.made_by >> 8 in SYSTEMS
            and self.version in (10, 20)
            and not self.flags & ~(LEVEL | LATER | UTF8)
            and self.method in (STORED, DEFLATED)
            and not self.comment_length
            and not self.disk
        )

    def is_what_its_name_says(self, is_folder: bool) -> bool:
        """Return whether every system unpacks a file or a folder, not a link or a disk label."""
        return (
            stat.S_IFMT(self.mode >> 16) in (0, stat.S_IFDIR if is_folder else stat.S_IFREG)
            and not self.mode & (0x08 if is_folder else 0x18)
            and not (is_folder and self.packed)
        )

    def is_as_we_pack(self) -> bool:
        """Return whether it is what our packer writes."""
        ours = self._replace(made_by=3 << 8 | 20, version=20, flags=0, method=DEFLATED)
        return self == ours._replace(extra_length=0, is_text=0, mode=0o100644 << 16)


def unsafe(where: str) -> VerificationError:
    """Return the error for a ZIP from which programs may unpack different files."""
    return VerificationError(
        f"The ZIP is unsafe at {where!r}: other programs may unpack other files from it.",
        f"这个ZIP在{where!r}处不安全：不同的程序可能解压出不同的文件。",
    )


def too_much() -> VerificationError:
    """Return the error for a ZIP that would fill the disk."""
    return VerificationError(
        "The ZIP contains far more than our site.", "这个ZIP里的内容远多于本站。"
    )


def plain(name: str) -> str:
    """Return the same text for two names that some systems take for one."""
    return unicodedata.normalize("NFKC", name).casefold()


def read_name(raw: bytes) -> str:
    """Return the name of an entry, if it leads nowhere outside the folder of the ZIP."""
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise unsafe(raw.decode("utf-8", "replace")) from error
    parts = (name[:-1] if name.endswith("/") else name).split("/")
    is_bad = any(BAD_PART.fullmatch(part) for part in parts) or not plain(name).isprintable()
    # Longer paths do not work on every system. Ours have at most 200 letters.
    if is_bad or len(raw) > 1000 or len(parts) > 20:
        raise unsafe(name)
    return name


class Zip:
    """A copy in a ZIP, read without unpacking it, if it is safe (see the top of this file)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, tuple[int, Record]] = {}  # name → start of its data, and the rest
        self.is_ours = True
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - END.size))
            end = file.read().ljust(END.size, b"\0")
            count, size, start = END.unpack(end)[4:7]
            if end != END.pack(b"PK\5\6", 0, 0, count, count, size, start, 0):
                raise unsafe("end")
            if size > MAX_LIST:
                raise too_much()
            file.seek(start)
            directory = file.read(size)
            # Some programs look for a ZIP64 record before the end.
            if start + size + END.size != length or directory[-20:-16] == b"PK\6\7":
                raise unsafe("end")
            at = place = 0
            for _ in range(count):
                at, place = self._read_entry(file, at, directory, place)
        if (at, place) != (start, size):
            raise unsafe("directory")
        if sum(record.size for _, record in self.entries.values()) > MAX_BYTES:
            raise too_much()
        self._sort_names()

    def _read_entry(self, file: BinaryIO, at: int, directory: bytes, place: int) -> tuple[int, int]:
        """Read the two headers of an entry; return where the next entry begins, in both places."""
        fields = directory[place : place + CENTRAL.size].ljust(CENTRAL.size, b"\0")
        record = Record(*CENTRAL.unpack(fields))
        middle = place + CENTRAL.size + record.name_length
        next_place = middle + record.extra_length
        name, extra = directory[place + CENTRAL.size : middle], directory[middle:next_place]
        file.seek(at)
        head = LOCAL.unpack(file.read(LOCAL.size).ljust(LOCAL.size, b"\0"))
        local_name, local_extra = file.read(head[9]), file.read(head[10])
        start = at + LOCAL.size + head[9] + head[10]
        known = record[7:10]  # checksum, size in the ZIP, size
        is_later = record.flags & LATER
        later = DESCRIPTOR.pack(b"PK\7\x08", *known) if is_later else b""
        file.seek(start + record.packed)
        if (
            record.mark != b"PK\1\2"
            or record.start != at
            or head[:6] != (b"PK\3\4", *record[2:7])
            or any(a != b and (a or not is_later) for a, b in zip(head[6:9], known))
            or local_name != name
            or file.read(len(later)) != later
            or not record.is_plain()
            or not TIMES.fullmatch(extra)
            or not TIMES.fullmatch(local_extra)
        ):
            raise unsafe(name.decode("utf-8", "replace") or "directory")
        text = read_name(name)
        if text in self.entries or not record.is_what_its_name_says(text.endswith("/")):
            raise unsafe(text)
        if record.size > MAX_FILE:
            raise too_large(repr(text))
        self.entries[text] = start, record
        self.is_ours &= record.is_as_we_pack() and not local_extra
        return start + record.packed + len(later), next_place

    def _sort_names(self) -> None:
        """Reject entries that overwrite each other, and find the folder that holds the list."""
        places: dict[str, str] = {}
        for name in self.entries:
            if places.setdefault(plain(name), name) != name:
                raise unsafe(name)
        above = {name[: at + 1] for name in places for at, c in enumerate(name[:-1]) if c == "/"}
        folders = above | places.keys()
        for name in self.entries:
            if plain(name) + "/" in folders:
                raise unsafe(name)
        tops = [name[: -len(LIST)] for name in self.entries if f"/{name}".endswith(f"/{LIST}")]
        tops.sort(key=lambda top: top.count("/"))
        if len(tops) > 1 and tops[0].count("/") == tops[1].count("/"):
            raise VerificationError(
                f"The ZIP contains more than one {LIST}.", f"这个ZIP里不止一个{LIST}。"
            )
        self.top = tops[0] if tops else ""
        stamps = {(record.date, record.time) for _, record in self.entries.values()}
        self.stamp = max(stamps, default=(0, 0))
        self.is_ours &= self.top == TOP and len(stamps) == 1
        self.is_ours &= list(self.entries) == sorted(self.entries)
        # A folder counts as an entry only if it is empty.
        ends = {name for name in self.entries if plain(name) not in above}
        inside = {name for name in ends if name.startswith(self.top)}
        paths = {name[len(self.top) :] for name in inside}
        self.names = {path for path in paths if not path.endswith("/")}
        self.extras, self.outside = paths - self.names, ends - inside

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file in the copy."""
        return self._unpack(self.top + name)

    def _unpack(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of an entry. They must end where the ZIP says and have its checksum."""
        start, record = self.entries[name]
        left, crc, inflater = record.size, 0, zlib.decompressobj(-zlib.MAX_WBITS)
        with self.path.open("rb") as file:
            file.seek(start)
            for at in range(0, record.packed, BLOCK):
                block = file.read(min(BLOCK, record.packed - at))
                if record.method == DEFLATED:
                    try:
                        block = inflater.decompress(block, left + 1)
                    except zlib.error as error:
                        raise unsafe(name) from error
                left -= len(block)
                if left < 0:
                    raise unsafe(name)
                crc = zlib.crc32(block, crc)
                yield block
        has_end = record.method == STORED or (inflater.eof and not inflater.unused_data)
        if left or crc != record.crc or not has_end:
            raise unsafe(name)

    def check_rest(self, listed: Mapping[str, str]) -> None:
        """Read what is not listed, because any program that unpacks the ZIP unpacks it too."""
        for name in sorted(self.entries.keys() - {self.top + path for path in listed}):
            for _ in self._unpack(name):
                pass


Copy = Union[ListFolder, Zip]


def open_folder(path: Path) -> Folder:
    """Return the copy in a folder: the folder itself, or the only copy directly inside it."""
    if os.path.lexists(path / LIST):
        return Folder(path)
    with os.scandir(path) as entries:
        found = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    copies = [name for name in found if found[name] and os.access(path / name / LIST, os.F_OK)]
    if len(copies) > 1:
        names = ", ".join(repr(name) for name in sorted(copies))
        raise WrongUseError(
            f"This folder contains more than one copy. Type the name of one: {names}.",
            f"这个文件夹里不止一份副本。请写明核对哪一份：{names}。",
        )
    if not copies:
        raise no_check_without(LIST)
    outside = found.keys() - {copies[0]}
    if path.resolve() == Path(__file__).resolve().parent:
        outside.discard(Path(__file__).name)  # this program may be next to the copy
    outside = {name + "/" * found[name] for name in outside}
    return Folder(path / copies[0], outside, is_inside=True)


def is_zip(path: Path) -> bool:
    """Return whether a file is a copy in a ZIP. An EPUB is a ZIP, but counts as a single file."""
    if path.suffix.lower() in (".zip", ".epub"):
        return path.suffix.lower() == ".zip"
    with path.open("rb") as file:
        return file.read(2) == b"PK"


# --- The check ---


class Verdict(NamedTuple):
    """What is genuine, in English and Chinese, and everything else to report."""

    english: str
    chinese: str
    comment: str
    differences: list[str]
    unverified: list[str]


def read_small(copy: Copy, name: str, limit: int) -> bytes:
    """Return the bytes of the list, a signature or the key."""
    if name not in copy.names:
        raise no_check_without(name)
    data = bytearray()
    for block in copy.blocks(name):
        data += block
        if len(data) > limit:
            raise too_large(name)
    return bytes(data)


def hash_blocks(blocks: Iterable[bytes], length: int = MAX_FILE) -> str:
    """Return the SHA-256 of a file, or an empty string if the file is longer than this."""
    digest = hashlib.sha256()
    for block in blocks:
        length -= len(block)
        if length < 0:
            return ""
        digest.update(block)
    return digest.hexdigest()


def read_lengths(archive: Path) -> dict[str, int]:
    """Return the length of each file in our ZIP; nothing if the ZIP is unsafe."""
    try:
        packed = Zip(archive)
    except VerificationError:
        return {}
    return {name[len(packed.top) :]: record.size for name, (_, record) in packed.entries.items()}


def find_policy(copy: Copy, fingerprint: str) -> CopyPolicy | None:
    """Return the policy in the copy, if it is the one that has the fingerprint."""
    if POLICY not in copy.names:
        return None
    text = read_small(copy, POLICY, 1 << 14)
    # A policy of one minisign key is not shipped: its fingerprint is that of the key.
    found = group(hashlib.sha256(text).hexdigest()[:32].upper())
    if found == fingerprint:
        return read_policy(text)
    if KEY in copy.names or SSH_SIGNATURE in copy.names:
        return None
    raise VerificationError(
        f"Its policy does not have the fingerprint that you typed, but {found}.",
        f"其中{POLICY}的指纹不是您输入的那个，而是{found}。",
    )


def read_facts(copy: Copy, listed: Mapping[str, str]) -> str:
    """Return what RELEASE.json says of number and dates, as a trusted comment says it."""
    if FACTS not in copy.names or FACTS not in listed:
        return ""
    text = read_small(copy, FACTS, 1 << 16)
    if hashlib.sha256(text).hexdigest() != listed[FACTS]:
        raise VerificationError(f"{FACTS} was changed.", f"{FACTS}被改动过。")
    facts = json.loads(text)
    return f"sequence:{facts['sequence']} issued:{facts['time']} expires:{facts['expires']}"


def read_signed_list(copy: Copy, fingerprint: str) -> tuple[dict[str, str], str, list[str]]:
    """Return file → SHA-256, the trusted comment, and what was not verified."""
    text = read_small(copy, LIST, MAX_LIST)
    if policy := find_policy(copy, fingerprint):
        check_signers(copy, policy, text)
        listed = read_list(text)
        return listed, read_facts(copy, listed), []
    signature = read_small(copy, SIGNATURE, 4096)
    ssh = None
    if SSH_SIGNATURE in copy.names:
        with contextlib.suppress(VerificationError):  # reported below
            ssh = read_ssh_signature(read_small(copy, SSH_SIGNATURE, 4096))
    # Wherever the key is from, it must have the fingerprint that was typed.
    if ssh and KEY not in copy.names:
        number, key = None, ssh[0]
    else:
        number, key = read_key(read_small(copy, KEY, 4096))
    if fingerprint_of(key) != fingerprint:
        raise VerificationError(
            f"Its key does not have the fingerprint that you typed, but {fingerprint_of(key)}.",
            f"其中密钥的指纹不是您输入的那个，而是{fingerprint_of(key)}。",
        )
    comment = check_signature(signature, text, number, key)
    # From here on, the list is known to be ours.
    listed = read_list(text)
    unverified = [f"{SIGNATURE} (untrusted comment)"]
    ssh_good = ssh and ssh[0] == key and is_signed_for_ssh(key, text, ssh[1])
    if SSH_SIGNATURE in copy.names and not ssh_good:
        unverified.append(SSH_SIGNATURE)
    # If the release has an OpenPGP signature, its checksum is in the trusted comment.
    openpgp = re.search(" openpgp:([0-9a-f]{64})$", comment)
    if openpgp:
        listed[OPENPGP_SIGNATURE] = openpgp[1]
    elif OPENPGP_SIGNATURE in copy.names:
        unverified.append(OPENPGP_SIGNATURE)
    return listed, comment, unverified


def read_expiry(comment: str) -> datetime | None:
    """Return when the release expires, if the trusted comment says so."""
    match = re.search(r"expires:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", comment)
    if not match:
        return None
    return datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def our_stamp(comment: str) -> tuple[int, int] | None:
    """Return the date and time that our packer gives each file, as a ZIP stores them."""
    issued = re.search(r"issued:(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", comment)
    if not issued:
        return None
    time = tuple(int(number) for number in issued.groups())
    year, month, day, hour, minute, second = min(
        max(time, (1980, 1, 1, 0, 0, 0)), (2107, 12, 31, 23, 59, 58)
    )
    return (year - 1980) << 9 | month << 5 | day, hour << 11 | minute << 5 | second // 2


def find_same(copy: Copy, name: str, listed: Mapping[str, str]) -> list[str]:
    """Return the places in the list that have exactly these bytes."""
    digest = hash_blocks(copy.blocks(name))
    return [place for place, wanted in listed.items() if wanted == digest]


def describe_extra(copy: Folder | Zip, name: str, listed: Mapping[str, str]) -> str:
    """Return the line about something that the list does not name."""
    if SYSTEM_FILE.fullmatch(name):
        kind = (
            "macOS and Windows add files with such names · macOS和Windows会自动添加这类名字的文件"
        )
    elif name == MIRROR_FILE:
        kind = "mirrors add a file with this name · 镜像网站会添加这个名字的文件"
    else:
        kind = "unknown, do not open it · 来历不明，不要打开"
        # What lies next to the copy is not read. What cannot be read stays unknown.
        with contextlib.suppress(OSError, VerificationError):
            if name in copy.names - copy.outside and (same := find_same(copy, name, listed)):
                return (
                    f"In another place · 不在原来的位置：{name!r} "
                    f"(a genuine copy of {same[0]} · 内容与{same[0]}完全相同，是真的)"
                )
    return f"Not ours · 不是本组织的文件：{name!r} ({kind})"


def check_archive(
    copy: Folder, listed: Mapping[str, str], ours: set[str], comment: str
) -> list[str]:
    """Check the ZIP that the list does not name: it holds the same files and signatures."""
    if ARCHIVE not in copy.names:
        return [ARCHIVE]
    packed = Zip(copy.top / ARCHIVE)
    same = {name: hash_blocks(copy.blocks(name)) for name in ours & copy.names}
    for name, wanted in {**listed, **same}.items():
        if name not in packed.names or hash_blocks(packed.blocks(name)) != wanted:
            raise VerificationError(
                f"{ARCHIVE} lacks {name}, or has another one.", f"{ARCHIVE}里没有{name}，或者不同。"
            )
    for name in sorted((packed.names - listed.keys() - same.keys()) | packed.extras):
        raise VerificationError(f"{ARCHIVE} also holds {name!r}.", f"{ARCHIVE}里还有{name!r}。")
    if not packed.is_ours or packed.stamp != our_stamp(comment):
        raise VerificationError(
            f"Another program repacked {ARCHIVE}.", f"{ARCHIVE}被别的程序重新打包过。"
        )
    return []


def check_copy(copy: Folder | Zip, fingerprint: str) -> Verdict:
    """Check a whole copy. Raises VerificationError unless every file of ours in it is genuine."""
    listed, comment, unverified = read_signed_list(copy, fingerprint)
    copy.check_rest(listed)
    missing = [name for name in listed if name not in copy.names]
    # The ZIP is checked first: it has the lengths of all other files, and the list has none.
    lengths: dict[str, int] = {}
    for name in sorted(listed.keys() & copy.names, key=lambda name: (name != ARCHIVE, name)):
        if hash_blocks(copy.blocks(name), lengths.get(name, MAX_FILE)) != listed[name]:
            raise VerificationError(f"{name} was changed.", f"{name}被改动过。")
        if name == ARCHIVE and isinstance(copy, Folder):
            lengths = read_lengths(copy.top / name)
    if policy := find_policy(copy, fingerprint):
        ours = {LIST} | {signer.file for signer in policy.signers}
        unlisted = []
        if isinstance(copy, Folder):
            unlisted = check_archive(copy, listed, ours, comment)
        ours.add(ARCHIVE)
    else:
        ours = UNLISTED
        # The list cannot name it, and the check can do without it, but every copy has it.
        unlisted = [SSH_SIGNATURE] if SSH_SIGNATURE not in copy.names else []
    differences = [f"Missing · 缺少：{name}" for name in missing + unlisted]
    # An empty folder of ours only shows that its files are missing.
    folders = {name[: at + 1] for name in listed for at, char in enumerate(name) if char == "/"}
    extras = (copy.extras - folders) | (copy.names - set(listed) - ours) | copy.outside
    differences += [describe_extra(copy, name, listed) for name in sorted(extras)]
    if isinstance(copy, Zip) and not (copy.is_ours and copy.stamp == our_stamp(comment)):
        differences.append("Another program repacked the ZIP · 这个ZIP被别的程序重新打包过")
    english, chinese, are = f"All {len(listed)} files", f"全部{len(listed)}个文件都", "are"
    if missing:
        present = len(listed) - len(missing)
        are = "is" if present == 1 else "are"
        english = f"{present} of {len(listed)} files"
        chinese = f"{len(listed)}个文件中的{present}个"
    if isinstance(copy, Folder) and copy.is_inside:
        english += f" in {copy.top.name!r}"
        chinese = f"{copy.top.name!r}里的{chinese}"
    return Verdict(f"{english} {are}", chinese, comment, differences, unverified)


def is_place(folder: ListFolder, name: str) -> bool:
    """Return whether the list in a folder, which may be anybody's, seems to name this file."""
    try:
        return b"  %s\n" % os.fsencode(name) in read_small(folder, LIST, MAX_LIST)
    except (OSError, VerificationError):
        return False


def find_list(path: Path) -> tuple[ListFolder, str]:
    """Return the folder with the list for a single file, and the name of the file from there.

    It is the file's own folder, or one above it with a list that names the file at its place.
    """
    here = path.parent.resolve()
    for top in (here, *here.parents):
        folder, name = ListFolder(top), (here / path.name).relative_to(top).as_posix()
        if (top == here and LIST in folder.names) or is_place(folder, name):
            return folder, name
    raise WrongUseError(
        f"There is no {LIST} for {path.name!r}. Put {LIST}, {SIGNATURE} and {SSH_SIGNATURE} "
        "in its folder, or type the name of the whole copy.",
        f"没有{path.name!r}可以对照的{LIST}。请把{LIST}、{SIGNATURE}和{SSH_SIGNATURE}放进它所在的"
        "文件夹，或者写整份副本的名字。",
    )


def check_file(path: Path, fingerprint: str) -> Verdict:
    """Check a single file against the list next to it, or the list of the copy that it is in."""
    if is_unlisted(path.name):
        raise WrongUseError(
            f"{path.name} is checked together with any other file. Type the name of that file.",
            f"核对其他文件时，会一并核对{path.name}。请写那个文件的名字。",
        )
    copy, name = find_list(path)
    listed, comment, unverified = read_signed_list(copy, fingerprint)
    same = find_same(copy, name, listed)
    if not same:
        raise VerificationError(
            f"{name!r} was changed, or is not ours: its checksum is not in the list.",
            f"{name!r}被改动过，或者不是本组织的文件：清单里没有它的校验值。",
        )
    named = [place for place in same if f"/{place}".endswith(f"/{name}")]
    place = (named or same)[0]
    differences = [] if named else [f"Its name in the list · 清单里的名字：{place}"]
    return Verdict(
        f"{name!r} ({place}) is", f"{name!r}（{place}）", comment, differences, unverified
    )


def check(path: Path, fingerprint: str) -> Verdict:
    """Check a folder, a ZIP or a single file."""
    if path.is_dir():
        return check_copy(open_folder(path), fingerprint)
    if not path.is_file():
        raise WrongUseError(
            f"There is no folder or file {str(path)!r}.", f"没有{str(path)!r}这个文件夹或文件。"
        )
    if is_zip(path):
        return check_copy(Zip(path), fingerprint)
    return check_file(path, fingerprint)


def read_arguments(arguments: list[str]) -> tuple[Path, str]:
    """Return the path and the fingerprint, which may be typed with or without spaces."""
    here = Path(__file__).resolve().parent
    for path, rest in ((here, arguments), (Path(*arguments[:1]), arguments[1:])):
        digits = re.sub(r"[\s:-]", "", "".join(rest)).upper()
        if re.fullmatch(r"[0-9A-F]{32}", digits):
            return path, group(digits)
    raise WrongUseError(
        "Type: python3 verify.py FOLDER-OR-FILE FINGERPRINT (8 groups of 4 characters).",
        "请输入：python3 verify.py 文件夹或文件 指纹（共8组，每组4个字符）。",
    )


def say(*lines: str) -> None:
    """Print lines, unless the program that reads them, such as head, has ended."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        # Python flushes stdout again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str]) -> int:
    """Check, print the result in both languages, and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A console that can't show Chinese must not stop the check.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        path, fingerprint = read_arguments(arguments)
        result = check(path, fingerprint)
    except WrongUseError as error:
        print(*error.args, sep="\n", file=sys.stderr)
        return 2
    except VerificationError as error:
        reason = error.args
    except (OSError, ValueError) as error:
        reason = (f"It is damaged or cannot be read ({error}).", "它已损坏，或者无法读取。")
    else:
        return report(result, fingerprint)
    say(f"NOT GOOD: do not trust this copy. {reason[0]}")
    say(f"核对失败：不要相信这份副本。{reason[1]}")
    return 1


def report(result: Verdict, fingerprint: str) -> int:
    """Print that our files are genuine, and every difference; return the exit status."""
    english = f"{result.english} exactly what was signed with the key {fingerprint}."
    chinese = f"{result.chinese}与用密钥{fingerprint}签署的内容完全相同。"
    expires, now = read_expiry(result.comment), datetime.now(timezone.utc)
    differences = list(result.differences)
    if expires and expires <= now:
        differences.append(
            f"It expired on {expires:%Y-%m-%d} by this computer's clock: look for a newer one · "
            f"按这台电脑的时钟，它已在{expires:%Y-%m-%d}过期：请另找一份更新的"
        )
    if differences:
        say(f"GENUINE, BUT SEE BELOW. {english}")
        say(f"内容是真的，但请看下面几点。{chinese}")
        say(*(f"- {line}" for line in differences))
    else:
        say(f"GOOD. {english}")
        say(f"核对无误。{chinese}")
    if expires and now < expires <= now + NEAR:
        days = (expires - now).days
        left = f"{days} day{'s' * (days > 1)}" if days else "less than a day"
        say(
            f"Valid until {expires:%Y-%m-%d}, {left} left · "
            f"有效期至{expires:%Y-%m-%d}，还剩{days or '不到1'}天"
        )
    if result.comment:
        say(f"Signed comment · 同时签署的说明：{result.comment}")
    if result.unverified:
        say(f"Not verified · 未经核对：{', '.join(result.unverified)}")
    return 3 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
