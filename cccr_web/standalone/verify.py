"""Check a copy of the web site of the Chinese Coalition for Citizens Rights (公民自由联盟).

    python3 verify.py FOLDER FINGERPRINT
    python3 verify.py cccr-web.zip FINGERPRINT
    python3 verify.py FILE FINGERPRINT    any one file, such as cccr-en.html: at its place in a
                                          copy, or next to SHA256SUMS, its signatures and, if
                                          there is one, policy.txt
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

Whoever forges a copy can also forge the verify.py and the fingerprint in it. Get both from
somewhere else, and read this program before you run it: that is why it is one file of plain
Python. An earlier fingerprint of ours is enough: keys.txt leads to the newest. It makes
three checks, in the order of its sections.

用法：python3 verify.py 文件夹、ZIP或单个文件 指纹

只需要Python 3.8或更新的版本，不联网，也不改动任何文件。核对单个文件时，请把清单SHA256SUMS、它的各个
签名和policy.txt（如果有）放在同一个文件夹里；文件还在整份副本的原位时，不必移动。

退出码：
    0  每个文件都与本组织签署的内容完全相同，没有缺少，也没有多余。
    3  本组织的文件都是真的，但有出入，程序会逐项列出：缺了文件、文件不在原来的位置、多了别的文件、
       ZIP被重新打包过，或者已经过期。
    1  不要相信这份副本：文件或签名不是本组织的，或者已损坏，或者ZIP不安全。
    2  命令写错了，或者单个文件没有清单可以对照。

指纹和本程序都要从别处取得，不要用待核对的副本里的：伪造副本的人，也能伪造它们。以前的指纹也可以用，
keys.txt会从它查到最新的。
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
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import AbstractSet, Any, BinaryIO, Iterable, Iterator, Mapping, NamedTuple, Tuple

# --- The names and the sizes of our files ---

LIST = "SHA256SUMS"
SIGNATURE, SSH_SIGNATURE, OPENPGP_SIGNATURE = LIST + ".minisig", LIST + ".sshsig", LIST + ".asc"
KEY, POLICY, FACTS = "minisign.pub", "policy.txt", "RELEASE.json"
CHAIN, RECORD = "keys.txt", "releases.txt"
ARCHIVE = "cccr-web.zip"  # in a folder, all its other files
TOP = "cccr-web/"  # the one folder in our ZIP

# In bytes; what is larger is not ours, and not read.
MAX_FILE, MAX_LIST, MAX_SMALL = 256 << 20, 16 << 20, 1 << 16  # small: keys and signatures
MAX_BYTES = 1 << 30  # of all files in a ZIP, unpacked
BLOCK = 1 << 16  # is read at a time
NEAR = timedelta(days=14)  # how long before it expires the days left are printed

# Names that mean the same on every system: no "..", no backslash, and .well-known as the only
# one with a leading dot.
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
NAME = re.compile(rf"(?:\.well-known/)?{_PART}(?:/{_PART})*")
LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n]{1,200})")
# An earlier release: its number, its time and the SHA-256 of its list.
RECORD_LINE = (
    rb"([1-9][0-9]{0,9}) [0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z [0-9a-f]{64}\n"
)
# The list and its signatures, which it cannot name.
UNLISTED = re.compile(LIST + r"(?:\.asc|(?:\.[a-z][a-z0-9-]{0,30})?\.(?:minisig|sshsig))?")

# --- What the program says ---

# The command is wrong:
USAGE = {
    "usage": "Type: python3 verify.py FOLDER-OR-FILE FINGERPRINT (8 groups of 4 characters). · "
    "请输入：python3 verify.py 文件夹或文件 指纹（共8组，每组4个字符）。",
    "nothing": "There is no folder or file {0!r}. · 没有{0!r}这个文件夹或文件。",
    "copies": "This folder contains more than one copy. Type the name of one: {0}. · "
    "这个文件夹里不止一份副本。请写明核对哪一份：{0}。",
    "no list": "There is no SHA256SUMS for {0!r}. Put SHA256SUMS, SHA256SUMS.minisig and "
    "SHA256SUMS.sshsig in its folder, or type the name of the whole copy. · 没有{0!r}可以对照的"
    "SHA256SUMS。请把SHA256SUMS、SHA256SUMS.minisig和SHA256SUMS.sshsig放进它所在的文件夹，"
    "或者写整份副本的名字。",
    "unlisted": "{0} is checked together with any other file. Type the name of that file. · "
    "核对其他文件时，会一并核对{0}。请写那个文件的名字。",
}
# The copy cannot be trusted:
TEXTS = {
    "missing": "{0} is missing. It must be in the same folder: without it, nothing can be "
    "checked. · 缺少{0}。它必须在同一个文件夹里，否则无法核对。",
    "large": "{0} is too large to be ours. · {0}太大，不可能是本组织的文件。",
    "damaged": "{0} is damaged. · {0}已损坏。",
    "unreadable": "It is damaged or cannot be read ({0}). · 它已损坏，或者无法读取。",
    "changed": "{0} was changed. · {0}被改动过。",
    "link": "{0!r} is a link, or not a file. · {0!r}是链接，或者不是文件。",
    "not in the list": "{0!r} was changed, or is not ours: its checksum is not in the list. · "
    "{0!r}被改动过，或者不是本组织的文件：清单里没有它的校验值。",
    "no key": "{0} is not a minisign key. · {0}不是minisign公钥。",
    "other key": "Its key does not have the fingerprint that you typed, but {0}. · "
    "其中密钥的指纹不是您输入的那个，而是{0}。",
    "other policy": "Its policy does not have the fingerprint that you typed, but {0}. · "
    "其中policy.txt的指纹不是您输入的那个，而是{0}。",
    "chain": "keys.txt breaks at policy {0}: it is not signed by the signers before it. · "
    "keys.txt在第{0}号policy处断开：它没有得到之前的签署人签名认可。",
    "not led": "keys.txt does not lead from the fingerprint that you typed to its newest, {0}. · "
    "从您输入的指纹出发，keys.txt到不了它最新的指纹{0}。",
    "too few": "It has {0} of {1} signatures. Missing: {2}. · "
    "需要{1}个签名，只有{0}个。缺少：{2}。",
    "unused kind": "{0} is a kind of signature that the organisation does not use. · "
    "{0}里的这种签名，本组织从不使用。",
    "by another": "{0} was made with another key. · {0}是用另一把密钥签署的。",
    "mismatch": "{0} does not match SHA256SUMS. · {0}的签名与SHA256SUMS不符。",
    "comment": "The comment in {0} was changed. · {0}里的说明被改动过。",
    "of another": "{0} is the signature of somebody else. · {0}是别人的签名。",
    "not by ssh": "{0} does not match SHA256SUMS, or is by another key. · "
    "{0}与SHA256SUMS不符，或者是用另一把密钥签署的。",
    "line": "Line {0} of SHA256SUMS is damaged. · SHA256SUMS第{0}行已损坏。",
    "end": "The end of SHA256SUMS is missing. · SHA256SUMS的末尾不完整。",
    "unsafe": "The ZIP is unsafe at {0!r}: other programs may unpack other files from it. · "
    "这个ZIP在{0!r}处不安全：不同的程序可能解压出不同的文件。",
    "too much": "The ZIP contains far more than our site. · 这个ZIP里的内容远多于本站。",
    "two lists": "The ZIP contains more than one SHA256SUMS. · 这个ZIP里不止一个SHA256SUMS。",
    "in archive": "cccr-web.zip and the files next to it differ at {0!r}. · "
    "cccr-web.zip与旁边的文件在{0!r}处不一致。",
    "repacked": "Another program repacked cccr-web.zip. · cccr-web.zip被别的程序重新打包过。",
}
# The beginning, by exit status.
VERDICTS = {
    0: ("GOOD. ", "核对无误。"),
    1: ("NOT GOOD: do not trust this copy. ", "核对失败：不要相信这份副本。"),
    2: ("", ""),
    3: ("GENUINE, BUT SEE BELOW. ", "内容是真的，但请看下面几点。"),
}
# Of what is not ours, by its name; “cccr-web mirror” adds the last, which GitHub Pages needs.
EXTRAS = {
    r"(?:.*/)?(?:\.DS_Store|\._[^/]*|__MACOSX/.*|(?i:Thumbs\.db|desktop\.ini))": (
        "macOS and Windows add files with such names · macOS和Windows会自动添加这类名字的文件"
    ),
    r"\.nojekyll": "mirrors add a file with this name · 镜像网站会添加这个名字的文件",
}
REPACKED = "Another program repacked the ZIP · 这个ZIP被别的程序重新打包过"
UNKNOWN = "unknown, do not open it · 来历不明，不要打开"


class CopyError(Exception):
    """The copy cannot be trusted, or the command is wrong: the reason in English and Chinese."""

    def __init__(self, text: str, *facts: object) -> None:
        self.status = 2 if text in USAGE else 1
        self.reason = [half.format(*facts) for half in {**USAGE, **TEXTS}[text].split(" · ")]


def require(condition: object, text: str, *facts: object) -> None:
    """Raise CopyError with this text, unless the condition is true."""
    if not condition:
        raise CopyError(text, *facts)


# --- Check 1: the policy or the key has the fingerprint that was typed, or keys.txt leads to it ---

# policy.txt names several signers. Without it, a single key signs: that in minisign.pub or, if the
# copy lacks it, in SHA256SUMS.sshsig.

# An Ed25519 key: the name of its kind ("Ed" for minisign), its 32 bytes, and minisign's number of
# the key or the application of a security key. What is not a key has no parts.
Key = Tuple[bytes, ...]
# How many parts the keys of SSH have (RFC 8709, section 4, and OpenSSH's PROTOCOL.u2f).
SSH_KEYS = {b"ssh-ed25519": 2, b"sk-ssh-ed25519@openssh.com": 3}

SIGNER = rb"([a-z][a-z0-9-]{0,30}) (?:minisign|ssh (\S+)) (\S+)\n"
POLICY_TEXT = (
    rb"cccr-web policy 1\nnumber (0|[1-9][0-9]{0,9})\nthreshold ([1-9][0-9]?)\n"
    rb"(?:previous ([0-9a-f]{64})\n)?(?:%s)+" % SIGNER
)
# keys.txt: each policy, and the signatures of its text.
ARMOUR = rb"-----BEGIN .*\n(?:(?!-----).*\n)+-----END .*\n"
LINK = rb"(cccr-web policy .*\n(?:(?!cccr-web policy |-----).*\n)+)((?:%s)*)" % ARMOUR
MINISIGN_ARMOUR = rb"-----(?:BEGIN|END) MINISIGN SIGNATURE-----\n"


class CopyPolicy(NamedTuple):
    """Who signs, and how many of them must."""

    text: bytes
    number: int
    threshold: int
    previous: bytes | None  # the SHA-256 of the text of the policy before it
    signers: dict[str, Key]  # by the file of the signature

    @property
    def fingerprint(self) -> str:
        """That of one minisign key is the key's."""
        key, *others = self.signers.values()
        return fingerprint_of(self.text if others or key[0] != b"Ed" else key[1])


def fingerprint_of(data: bytes) -> str:
    """Return the first half of the SHA-256 of a policy or a key, in groups of four digits."""
    return " ".join(re.findall("....", hashlib.sha256(data).hexdigest()[:32].upper()))


def read_policy(text: bytes, file: str) -> CopyPolicy:
    """Return the policy in a text, or raise CopyError with the name of its file."""
    whole = re.fullmatch(POLICY_TEXT, text)
    threshold, lines = (int(whole[2]), re.findall(SIGNER, text)) if whole else (0, [])
    names, signers = [line[0] for line in lines], {}
    for name, ssh, data in lines:
        key = read_key(decode_base64(data))
        if key[:1] == (ssh or b"Ed",):
            signers[f"{LIST}.{name.decode()}.{'sshsig' if ssh else 'minisig'}"] = key
    # The names are sorted, and no two signers have the same name or key.
    count = len({key[1] for key in signers.values()})
    is_sorted = names == sorted(set(names)) and len(names) == count
    if not (whole and is_sorted and 0 < threshold <= count <= 16):
        raise CopyError("damaged", file)
    return CopyPolicy(text, int(whole[1]), threshold, whole[3], signers)


def follow_chain(text: bytes, fingerprint: str) -> str:
    """Return the newest fingerprint to which keys.txt leads from the one that was typed.

    Each policy names the text before it. Enough signers of that one must sign it, and enough of
    its own, each once.
    """
    links = re.findall(LINK, text)
    require(links and b"".join(map(b"".join, links)) == text, "damaged", CHAIN)
    policies = [read_policy(policy, CHAIN) for policy, _ in links]
    prints = [policy.fingerprint for policy in policies]
    is_first = not links[0][1] and not policies[0].previous
    require(is_first and len({*prints}) == len(prints), "damaged", CHAIN)
    for before, policy, (_, made) in zip(policies, policies[1:], links[1:]):
        both = [[*each.signers.values()] for each in (before, policy)]
        keys = [*both[0], *both[1]]
        signed = [find_key(keys, policy.text, armour) for armour in re.findall(ARMOUR, made)]
        counts = [len({*signed} & {key[1] for key in keys}) for keys in both]
        require(
            policy.number == before.number + 1
            and (policy.previous or b"").decode() == hashlib.sha256(before.text).hexdigest()
            and len({*signed, b""}) == len(signed) + 1
            and counts[0] >= before.threshold
            and counts[1] >= policy.threshold,
            "chain",
            policy.number,
        )
    require(fingerprint in prints, "not led", prints[-1])
    return prints[-1]


def find_key(keys: Iterable[Key], text: bytes, armour: bytes) -> bytes:
    """Return the 32 bytes of the key that signed a policy, or none."""
    bare = re.sub(MINISIGN_ARMOUR, b"", armour)
    for key in keys:
        with contextlib.suppress(CopyError):
            if key[0] in SSH_KEYS:
                require(is_signed_with_ssh(key, text, armour), "not by ssh", CHAIN)
            else:
                require(check_minisign(key, text, bare, CHAIN) == "policy", "of another", CHAIN)
            return key[1]
    return b""


def read_key(data: bytes) -> Key:
    """Return the key that minisign or OpenSSH encodes so."""
    if data[:2] == b"Ed" and len(data) == 42:
        return data[:2], data[10:], data[2:10]
    key = split_strings(data)
    is_key = key and SSH_KEYS.get(key[0]) == len(key) and len(key[1]) == 32
    return key if is_key and join_strings(*key) == data else ()


def decode_base64(text: bytes) -> bytes:
    """Return the bytes; none if this is not the one text that encodes them."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        return b""
    return data if base64.b64encode(data) == text else b""


def split_strings(data: bytes) -> tuple[bytes, ...]:
    """Return the strings in SSH's encoding: before the bytes of each, their number (RFC 4251)."""
    strings = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        strings.append(data[4:end])
        data = data[end:]
    return tuple(strings)


def join_strings(*strings: bytes) -> bytes:
    """Return SSH's encoding of strings."""
    return b"".join(len(string).to_bytes(4, "big") + string for string in strings)


# --- Check 2: the key, or as many signers as the policy demands, signed the list ---

# The formats: jedisct1.github.io/minisign, "Signature format"; OpenSSH's PROTOCOL.sshsig; and for
# security keys PROTOCOL.u2f, with one byte of flags (touched, or touched and checked a PIN) and a
# counter of four bytes.
MINISIGN_TEXT = rb"untrusted comment: .*\n(.*)\ntrusted comment: (.*)\n(.*)\n"
SSH_TEXT = rb"-----BEGIN SSH SIGNATURE-----\n(.*)\n-----END SSH SIGNATURE-----\n"
SSH_MAGIC, SSH_PURPOSE = b"SSHSIG\0\0\0\1", (b"file", b"", b"sha512")
TOUCHED = (1, 5)


@dataclass
class Verdict:
    """What was signed, and what the checks found."""

    listed: dict[str, str]  # file → SHA-256
    comment: str  # what was signed as well: the number of the release and its dates
    unlisted: set[str]  # what belongs to a copy, although the list cannot name it
    wanted: str  # the one of these without which a copy can be verified, but is not complete
    unverified: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    fingerprint: str = ""  # the newest
    what: tuple[str, str] = ("", "")  # what is genuine: how a sentence begins in both languages


def read_signed_list(copy: Folder, fingerprint: str) -> Verdict:
    """Return the list, if the policy or the key with this fingerprint signed it."""
    text = copy.read(LIST, MAX_LIST)
    policy, chain = (copy.read(name) if name in copy.names else b"" for name in (POLICY, CHAIN))
    is_chain = chain.startswith(b"cccr-web policy ")  # before, it was a notice of another form
    newest = follow_chain(chain, fingerprint) if is_chain else fingerprint
    if fingerprint_of(policy) == newest:
        verdict = check_policy(copy, text, read_policy(policy, POLICY))
    else:
        verdict = check_key(copy, text, newest, policy)
    digest = hashlib.sha256(chain).hexdigest()
    require(not is_chain or verdict.listed.get(CHAIN) == digest, "changed", CHAIN)
    verdict.fingerprint = newest
    return verdict


def check_policy(copy: Folder, text: bytes, policy: CopyPolicy) -> Verdict:
    """Require enough signatures, and none that is not valid."""
    signers, threshold = policy.signers, policy.threshold
    missing = [file.split(".")[1] for file in signers if file not in copy.names]
    for file in sorted(signers.keys() & copy.names):
        key, signature = signers[file], copy.read(file)
        if key[0] in SSH_KEYS:
            require(is_signed_with_ssh(key, text, signature), "not by ssh", file)
        else:
            comment = check_minisign(key, text, signature, file)
            # Nobody may add a text of their own to a release.
            require(comment == f"signer:{file.split('.')[1]}", "of another", file)
    signed = len(signers) - len(missing)
    require(signed >= threshold, "too few", signed, threshold, ", ".join(missing))
    listed, comment = read_list(text), ""
    if FACTS in copy.names and FACTS in listed:
        require(copy.digest(FACTS) == listed[FACTS], "changed", FACTS)
        facts = json.loads(copy.read(FACTS))
        comment = f"sequence:{facts['sequence']} issued:{facts['time']} expires:{facts['expires']}"
    # A ZIP does not hold itself, but every folder does.
    wanted = LIST if isinstance(copy, Zip) else ARCHIVE
    return Verdict(listed, comment, {LIST, ARCHIVE, *signers}, wanted)


def check_key(copy: Folder, text: bytes, fingerprint: str, policy: bytes) -> Verdict:
    """Check the signature of a single key. What it does not cover is named as not verified."""
    # The policy of one minisign key is not in a copy: its fingerprint is that of the key.
    has_key = copy.names & {KEY, SSH_SIGNATURE}
    require(has_key or not policy, "other policy", fingerprint_of(policy))
    signature, ssh = copy.read(SIGNATURE), b""
    with contextlib.suppress(CopyError):  # reported below
        ssh = copy.read(SSH_SIGNATURE)
    key = read_key(b"".join(split_strings(read_armour(ssh)[len(SSH_MAGIC) :])[:1]))
    if KEY in copy.names or not key:
        match = re.match(rb"untrusted comment: .*\n(\S*)\r?\n", copy.read(KEY) + b"\n")
        key = read_key(decode_base64(match[1] if match else b""))
        require(key[:1] == (b"Ed",), "no key", KEY)
    # Wherever the key is from, it must have the fingerprint that was typed.
    require(fingerprint_of(key[1]) == fingerprint, "other key", fingerprint_of(key[1]))
    comment = check_minisign(key, text, signature, SIGNATURE)
    # From here on, the list is known to be ours.
    listed, unverified = read_list(text), [f"{SIGNATURE} (untrusted comment)"]
    ssh_key = (b"ssh-ed25519", key[1])
    if SSH_SIGNATURE in copy.names and not is_signed_with_ssh(ssh_key, text, ssh):
        unverified.append(SSH_SIGNATURE)
    # If the release has an OpenPGP signature, its checksum is in the trusted comment.
    openpgp = re.search(" openpgp:([0-9a-f]{64})$", comment)
    if openpgp:
        listed[OPENPGP_SIGNATURE] = openpgp[1]
    elif OPENPGP_SIGNATURE in copy.names:
        unverified.append(OPENPGP_SIGNATURE)
    unlisted = {LIST, SIGNATURE, SSH_SIGNATURE, OPENPGP_SIGNATURE}
    return Verdict(listed, comment, unlisted, SSH_SIGNATURE, unverified)


def check_minisign(key: Key, message: bytes, text: bytes, file: str) -> str:
    """Check the two signatures in a file of minisign's; return the comment that it signs."""
    match = re.fullmatch(MINISIGN_TEXT, text)
    made, comment, seal = match.groups() if match else (b"", b"", b"")
    made, seal = decode_base64(made), decode_base64(seal)
    require(len(made) == 74 and len(seal) == 64, "damaged", file)
    kind, number, signature = made[:2], made[2:10], made[10:]
    # The older kind, "Ed", signs the text itself, not its hash. We never use it.
    require(kind == b"ED", "unused kind", file)
    require(key[2:] in ((), (number,)), "by another", file)
    hashed = hashlib.blake2b(message).digest()
    require(is_signed(key[1], hashed, signature), "mismatch", file)
    require(is_signed(key[1], signature + comment, seal), "comment", file)
    return "".join(c if c.isprintable() else "?" for c in comment.decode("utf-8", "replace"))


def read_armour(text: bytes) -> bytes:
    """Return the bytes in the armour of an SSH signature."""
    match = re.fullmatch(SSH_TEXT, text, re.DOTALL)
    return decode_base64(match[1].replace(b"\n", b"")) if match else b""


def is_signed_with_ssh(key: Key, message: bytes, text: bytes) -> bool:
    """Return whether the key made the SSH signature, which holds nothing else."""
    kind, raw, *application = key
    data = read_armour(text)
    made, touch = data[-69:-5] if application else data[-64:], data[-5:] if application else b""
    signature = join_strings(kind, made) + touch
    if data != SSH_MAGIC + join_strings(join_strings(*key), *SSH_PURPOSE, signature):
        return False
    signed = b"SSHSIG" + join_strings(*SSH_PURPOSE, hashlib.sha512(message).digest())
    if application:
        if touch[0] not in TOUCHED:
            return False
        signed = touch.join(hashlib.sha256(part).digest() for part in (*application, signed))
    return is_signed(raw, signed, made)


# --- Ed25519 (RFC 8032, section 5.1): verification only, in plain arithmetic ---

P = 2**255 - 19  # the field
L = 2**252 + 27742317777372353535851937790883648493  # the order of the base point
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
Point = Tuple[int, int]
BASE: Point = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    4 * pow(5, -1, P) % P,
)


def is_signed(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the key made the 64-byte signature of the message (5.1.7)."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    a = decode_point(key)
    if a is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    x, y = add_points(multiply_point(s, BASE), multiply_point(k, (P - a[0], a[1])))
    return (y | (x & 1) << 255).to_bytes(32, "little") == r


def decode_point(data: bytes) -> Point | None:
    """Return the point that 32 bytes encode, or None (5.1.3)."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    return x if x & 1 == sign else P - x, y


def add_points(one: Point, other: Point) -> Point:
    """Return the sum of two points, which may be equal (5.1), with one division for both."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    x, y = (x1 * y2 + y1 * x2) * (1 - product), (y1 * y2 + x1 * x2) * (1 + product)
    inverse = pow(1 - product * product, -1, P)
    return x * inverse % P, y * inverse % P


def multiply_point(times: int, point: Point) -> Point:
    """Return a point times a number. Nothing here is secret, so its timing does not matter."""
    verdict = (0, 1)
    while times:
        if times & 1:
            verdict = add_points(verdict, point)
        point = add_points(point, point)
        times >>= 1
    return verdict


# --- Check 3: every file has the checksum in the list ---


def read_list(text: bytes) -> dict[str, str]:
    """Return file → SHA-256. A list that other programs might read differently is rejected."""
    entries: dict[str, str] = {}
    last = ""
    for number, line in enumerate(text.split(b"\n")[:-1], start=1):
        match = LINE.fullmatch(line)
        name = match[2].decode("ascii", "replace") if match else ""
        # The names are sorted, so a repeated one is out of order.
        if not match or not NAME.fullmatch(name) or name <= last or UNLISTED.fullmatch(name):
            raise CopyError("line", number)
        entries[name], last = match[1].decode("ascii"), name
    require(text.endswith(b"\n"), "end")
    return entries


def check_copy(copy: Folder, fingerprint: str) -> Verdict:
    """Check a whole copy. Raises CopyError unless every file of ours in it is genuine."""
    verdict = read_signed_list(copy, fingerprint)
    listed, above = verdict.listed, folders_above(verdict.listed)
    # A link may lead to other bytes tomorrow, and a browser may show what is in a folder.
    links = copy.extras & {*listed, *(folder[:-1] for folder in above)}
    for name in sorted(links | {name for name in listed if name + "/" in copy.folders}):
        raise CopyError("link", name)
    # The ZIP is checked first: it has the lengths of all other files, and the list has none.
    lengths: dict[str, int] = {}
    if ARCHIVE in verdict.unlisted & copy.names:
        lengths = check_archive(copy, verdict)
    for name in sorted(listed.keys() & copy.names, key=lambda name: (name != ARCHIVE, name)):
        digest = copy.digest(name, lengths.get(name, MAX_FILE))
        require(digest == listed[name], "changed", name)
        if name == ARCHIVE:
            with contextlib.suppress(CopyError):  # a ZIP of another kind
                lengths = Zip(io.BytesIO(b"".join(copy.blocks(ARCHIVE)))).lengths
    if RECORD in listed.keys() & copy.names:
        check_record(copy.read(RECORD, MAX_LIST), verdict.comment)
    missing = [name for name in listed if name not in copy.names]
    wanted = {verdict.wanted} - copy.names
    verdict.differences += [f"Missing · 缺少：{name}" for name in (*missing, *wanted)]
    # An empty folder of ours only shows that its files are missing.
    extras = (copy.extras - above) | (copy.names - listed.keys() - verdict.unlisted) | copy.outside
    verdict.differences += [describe_extra(copy, name, listed) for name in sorted(extras)]
    if isinstance(copy, Zip):
        for name in sorted(copy.entries.keys() - {copy.inside + name for name in listed}):
            copy.unpack(name)  # as any program does that unpacks the ZIP
        if not copy.is_ours(verdict.comment):
            verdict.differences.append(REPACKED)
    count, present = len(listed), len(listed) - len(missing)
    english, chinese = f"All {count} files", f"全部{count}个文件都"
    if missing:
        english, chinese = f"{present} of {count} files", f"{count}个文件中的{present}个"
    if copy.where:
        english, chinese = f"{english} in {copy.where}", f"{copy.where}里的{chinese}"
    verdict.what = f"{english} {'is' if present == 1 < count else 'are'}", chinese
    return verdict


def check_record(text: bytes, comment: str) -> None:
    """Require lines in order, for releases before the one of which the comment says the number."""
    match = re.match("sequence:([0-9]+)", comment)
    numbers = [int(number) for number in re.findall(RECORD_LINE, text)]
    numbers += [int(match[1])] if match else []
    is_whole = re.fullmatch(b"(?:%s)+" % RECORD_LINE, text)
    require(is_whole and numbers == sorted({*numbers}), "damaged", RECORD)


def check_archive(copy: Folder, verdict: Verdict) -> dict[str, int]:
    """Check the ZIP that the list does not name: it holds all other files, and nothing else."""
    archive = Zip(io.BytesIO(b"".join(copy.blocks(ARCHIVE))))
    others = (verdict.unlisted & copy.names) - {ARCHIVE}
    wanted = {**verdict.listed, **{name: copy.digest(name) for name in others}}
    found = {name: archive.digest(name) for name in archive.names}
    for name, _ in sorted(wanted.items() ^ found.items()):
        raise CopyError("in archive", name)
    require(archive.is_ours(verdict.comment), "repacked")
    return archive.lengths


def describe_extra(copy: Folder, name: str, listed: Mapping[str, str]) -> str:
    """Return the line about something that the list does not name."""
    kind = next((EXTRAS[known] for known in EXTRAS if re.fullmatch(known, name)), UNKNOWN)
    # What lies next to the copy is not read. What cannot be read stays unknown.
    if kind is UNKNOWN and name in copy.names and name not in copy.outside:
        with contextlib.suppress(OSError, CopyError):
            if same := find_same(copy, name, listed):
                return (
                    f"In another place · 不在原来的位置：{name!r} "
                    f"(a genuine copy of {same} · 内容与{same}完全相同，是真的)"
                )
    return f"Not ours · 不是本组织的文件：{name!r} ({kind})"


def find_same(copy: Folder, name: str, listed: Mapping[str, str]) -> str:
    """Return a place in the list that has exactly these bytes, if possible of the same name."""
    digest = copy.digest(name)
    same = [place for place, wanted in listed.items() if wanted == digest]
    return max(same, key=lambda place: f"/{place}".endswith(f"/{name}"), default="")


def check_file(path: Path, fingerprint: str) -> Verdict:
    """Check a single file against the list next to it, or the list of the copy that it is in."""
    require(not UNLISTED.fullmatch(path.name), "unlisted", path.name)
    copy, name = find_list(path)
    verdict = read_signed_list(copy, fingerprint)
    place = find_same(copy, name, verdict.listed)
    require(place, "not in the list", name)
    if not f"/{place}".endswith(f"/{name}"):
        verdict.differences.append(f"Its name in the list · 清单里的名字：{place}")
    verdict.what = f"{name!r} ({place}) is", f"{name!r}（{place}）"
    return verdict


def find_list(path: Path) -> tuple[Folder, str]:
    """Return the folder with the list for a single file, and the name of the file from there."""
    here = path.parent.resolve()
    # It is the file's own folder, or one above it with a list that names the file at its place.
    for top in (here, *here.parents):
        name = (here / path.name).relative_to(top).as_posix()
        with contextlib.suppress(OSError, CopyError):  # such as a list that is not ours
            folder, line = Folder(top, deep=False), b"  %s\n" % os.fsencode(name)
            if (top == here and LIST in folder.names) or line in folder.read(LIST, MAX_LIST):
                return folder, name
    raise CopyError("no list", path.name)


# --- A copy in a folder ---


class Folder:
    """A copy in a folder. Links are not followed, because they may lead out of it."""

    where = ""  # the name of the folder, if the one that was typed is above it
    outside: AbstractSet[str] = frozenset()  # what lies next to it, whatever its name

    def __init__(self, top: Path, *, deep: bool = True) -> None:
        self.top = top
        self.names: set[str] = set()  # of files, as in the list
        self.folders: set[str] = set()  # with a slash at the end
        self.extras: set[str] = set()  # empty folders, links, pipes and so on
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
                    below += [name + "/"] * deep
                elif stat.S_ISREG(facts.st_mode):
                    self.names.add(name)
                else:
                    self.extras.add(name)

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file, unless it is larger than any of ours."""
        with (self.top / name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            require(size <= MAX_FILE, "large", repr(name))
            yield from iter(lambda: file.read(BLOCK), b"")

    def read(self, name: str, limit: int = MAX_SMALL) -> bytes:
        """Return the bytes of the list, a signature, a key or the like."""
        require(name in self.names, "missing", name)
        data = bytearray()
        for block in self.blocks(name):
            data += block
            require(len(data) <= limit, "large", name)
        return bytes(data)

    def digest(self, name: str, length: int = MAX_FILE) -> str:
        """Return the SHA-256 of a file, or an empty string if the file is longer than this."""
        digest = hashlib.sha256()
        for block in self.blocks(name):
            digest.update(block)
            length -= len(block)
            if length < 0:
                return ""
        return digest.hexdigest()


def folders_above(names: Iterable[str]) -> set[str]:
    """Return all folders in which these names are."""
    return {name[: at + 1] for name in names for at, c in enumerate(name[:-1]) if c == "/"}


def open_folder(path: Path) -> Folder:
    """Return the copy in a folder: the folder itself, or the only copy directly inside it."""
    if os.path.lexists(path / LIST):
        return Folder(path)
    with os.scandir(path) as entries:
        found = {entry.name + "/" * entry.is_dir(follow_symlinks=False) for entry in entries}
    folders = sorted(name[:-1] for name in found if name.endswith("/"))
    copies = [name for name in folders if os.access(path / name / LIST, os.F_OK)]
    require(copies, "missing", LIST)
    require(len(copies) == 1, "copies", ", ".join(map(repr, copies)))
    copy = Folder(path / copies[0])
    copy.where, copy.outside = repr(copies[0]), found - {copies[0] + "/"}
    if path.resolve() == Path(__file__).resolve().parent:
        copy.outside -= {Path(__file__).name}  # this program may be next to the copy
    return copy


# --- A copy in a ZIP, from which every program unpacks the same files ---

# - Its files, its directory and its last 22 bytes follow one another without gaps or comments.
# - The header before each file and its entry in the directory agree, except for times and owners.
# - The data of each file ends where the header says, and has the checksum in the header.
# The ZIP is ours if it is byte for byte what our packer writes, except for the compressed data.

LOCAL = struct.Struct("<4s5H3L2H")  # the headers: APPNOTE.TXT, 4.3.7
DESCRIPTOR = struct.Struct("<4s3L")  # 4.3.9
CENTRAL = struct.Struct("<4s6H3L5H2L")  # 4.3.12
END = struct.Struct("<4s4H2LH")  # 4.3.16
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


class ZipEntry(NamedTuple):
    """A file in a ZIP: how it unpacks, and whether our packer writes such headers."""

    start: int  # of its data
    method: int
    crc: int
    packed: int  # its length in the ZIP
    size: int
    stamp: tuple[int, int]  # date and time, as a ZIP has them
    is_ours: bool


class Zip(Folder):
    """A copy in a ZIP, which is read as if it were unpacked."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.entries: dict[str, ZipEntry] = {}
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - END.size))
        end = self._read_header(file, END)
        count, size, start = end[4:7]
        require(end == (b"PK\5\6", 0, 0, count, count, size, start, 0), "unsafe", "end")
        require(size <= MAX_LIST, "too much")
        file.seek(start)
        directory = io.BytesIO(file.read(size))
        # Some programs look for a ZIP64 record before the end.
        is_zip64 = directory.getvalue()[-20:-16] == b"PK\6\7"
        require(start + size + END.size == length and not is_zip64, "unsafe", "end")
        file.seek(0)
        for _ in range(count):
            self._read_entry(file, directory)
        require((file.tell(), directory.tell()) == (start, size), "unsafe", "directory")
        require(sum(entry.size for entry in self.entries.values()) <= MAX_BYTES, "too much")
        self._check_names()
        self._find_copy()

    @staticmethod
    def _read_header(file: BinaryIO, header: struct.Struct) -> tuple[Any, ...]:
        """Return the fields of a header; where the file ends, zeros."""
        return header.unpack(file.read(header.size).ljust(header.size, b"\0"))

    def _read_entry(self, file: BinaryIO, directory: BinaryIO) -> None:
        """Read both headers of an entry: in the directory, and before its data."""
        at, record = file.tell(), self._read_header(directory, CENTRAL)
        raw, extra = directory.read(record[10]), directory.read(record[11])
        made_by, version, flags, method, time, date, crc, packed, size = record[1:10]
        mode, place = record[15:]
        head = self._read_header(file, LOCAL)
        local_raw, local_extra = file.read(head[9]), file.read(head[10])
        start = file.tell()
        file.seek(start + packed)
        is_later = flags & LATER
        later = DESCRIPTOR.pack(b"PK\7\x08", crc, packed, size) if is_later else b""
        name = raw.decode("utf-8", "replace")
        # Every system unpacks a file or a folder, as its name says: not a link or a label.
        kind, attributes = (stat.S_IFDIR, 0x08) if name.endswith("/") else (stat.S_IFREG, 0x18)
        is_safe = (
            (record[0], place) == (b"PK\1\2", at)
            and record[10:14] == (len(raw), len(extra), 0, 0)  # no comment, one disk
            and head[:6] == (b"PK\3\4", *record[2:7])
            and all(a == b or (a == 0 and is_later) for a, b in zip(head[6:9], record[7:10]))
            and (local_raw, name.encode()) == (raw, raw)
            and file.read(len(later)) == later
            and TIMES.fullmatch(extra)
            and TIMES.fullmatch(local_extra)
            and made_by >> 8 in SYSTEMS
            and version in (10, 20)
            and not flags & ~(LEVEL | LATER | UTF8)
            # Unlike compressed data, stored data does not show where it ends.
            and (
                method == DEFLATED
                or (method == STORED and packed == size and not (is_later and size))
            )
            and stat.S_IFMT(mode >> 16) in (0, kind)
            and not mode & attributes
            and not (kind == stat.S_IFDIR and packed)
            and name not in self.entries
        )
        require(is_safe, "unsafe", name or "directory")
        require(max(packed, size) <= MAX_FILE, "large", repr(name))
        ours = (b"PK\1\2", 3 << 8 | 20, 20, 0, DEFLATED, *record[5:11], 0, 0, 0, 0, 0o100644 << 16)
        is_ours = record == (*ours, at) and not local_extra
        self.entries[name] = ZipEntry(start, method, crc, packed, size, (date, time), is_ours)

    def _check_names(self) -> None:
        """Reject names that lead out of the folder of the ZIP, or to one place on some systems."""

        def plain(name: str) -> str:
            return unicodedata.normalize("NFKC", name).casefold()

        places: dict[str, str] = {}
        above = folders_above(map(plain, self.entries))
        for name in self.entries:
            place, parts = plain(name), name.split("/")[: -1 if name.endswith("/") else None]
            if (
                any(BAD_PART.fullmatch(part) for part in parts)
                or not place.isprintable()
                # Longer paths do not work on every system. Ours have at most 200 letters.
                or len(name.encode()) > 1000
                or len(parts) > 20
                or places.setdefault(place.rstrip("/"), name) != name
                or place + "/" in above
            ):
                raise CopyError("unsafe", name)

    def _find_copy(self) -> None:
        """Find the folder that holds the list."""
        tops = [name[: -len(LIST)] for name in self.entries if f"/{name}".endswith(f"/{LIST}")]
        tops.sort(key=lambda top: top.count("/"))
        require(len({top.count("/") for top in tops[:2]}) == len(tops[:2]), "two lists")
        self.inside = tops[0] if tops else ""
        # A folder counts as an entry only if it is empty.
        ends = self.entries.keys() - folders_above(self.entries)
        paths = {name[len(self.inside) :] for name in ends if name.startswith(self.inside)}
        self.names = {path for path in paths if not path.endswith("/")}
        self.extras = paths - self.names
        self.folders = folders_above(paths) | self.extras
        self.outside = {name for name in ends if not name.startswith(self.inside)}
        self.lengths = {path: self.entries[self.inside + path].size for path in self.names}

    def is_ours(self, comment: str) -> bool:
        """Return whether it is what our packer writes: in order, with the time of the release."""
        issued = read_time(comment, "issued")
        if not issued:
            return False
        first, last = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)  # that a ZIP can hold
        year, month, day, hour, minute, second = min(max(issued.timetuple()[:6], first), last)
        stamp = (year - 1980) << 9 | month << 5 | day, hour << 11 | minute << 5 | second // 2
        return (
            self.inside == TOP
            and ARCHIVE not in self.names
            and list(self.entries) == sorted(self.entries)
            and all(entry.is_ours and entry.stamp == stamp for entry in self.entries.values())
        )

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file in the copy."""
        yield self.unpack(self.inside + name)

    def unpack(self, name: str) -> bytes:
        """Return the bytes of an entry. They must end where the ZIP says and have its checksum."""
        entry = self.entries[name]
        self.file.seek(entry.start)
        data, has_end = self.file.read(entry.packed), True
        if entry.method == DEFLATED:
            inflater = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                data = inflater.decompress(data, entry.size + 1)
            except zlib.error as error:
                raise CopyError("unsafe", name) from error
            has_end = inflater.eof and not inflater.unused_data
        is_right = (len(data), zlib.crc32(data, 0)) == (entry.size, entry.crc)
        require(is_right and has_end, "unsafe", name)
        return data


# --- The command ---


def read_time(comment: str, what: str) -> datetime | None:
    """Return when the release was issued or expires, if the signed comment says so."""
    match = re.search(what + r":(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", comment)
    return datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S%z") if match else None


def read_arguments(arguments: list[str]) -> tuple[Path, str]:
    """Return the path and the fingerprint, which may be typed with or without spaces."""
    here = Path(__file__).resolve().parent
    for path, rest in ((here, arguments), (Path(*arguments[:1]), arguments[1:])):
        digits = re.sub(r"[\s:-]", "", "".join(rest)).upper()
        if re.fullmatch(r"[0-9A-F]{32}", digits):
            return path, " ".join(re.findall("....", digits))
    raise CopyError("usage")


def check(path: Path, fingerprint: str) -> Verdict:
    """Check a folder, a ZIP or a single file."""
    if path.is_dir():
        return check_copy(open_folder(path), fingerprint)
    require(path.is_file(), "nothing", str(path))
    with path.open("rb") as file:
        # An EPUB is a ZIP, but counts as a single file.
        kind = path.suffix.lower()
        if kind == ".zip" or (kind != ".epub" and file.read(2) == b"PK"):
            return check_copy(Zip(file), fingerprint)
    return check_file(path, fingerprint)


def report(verdict: Verdict, fingerprint: str) -> tuple[int, list[str]]:
    """Return the exit status for genuine files, and what to print."""
    expires, now = read_time(verdict.comment, "expires"), datetime.now(timezone.utc)
    if expires and expires <= now:
        verdict.differences.append(
            f"It expired on {expires:%Y-%m-%d} by this computer's clock: look for a newer one · "
            f"按这台电脑的时钟，它已在{expires:%Y-%m-%d}过期：请另找一份更新的"
        )
    status = 3 if verdict.differences else 0
    english, chinese = map("".join, zip(VERDICTS[status], verdict.what))
    lines = [
        f"{english} exactly what was signed with the key {verdict.fingerprint}.",
        f"{chinese}与用密钥{verdict.fingerprint}签署的内容完全相同。",
        *(f"- {line}" for line in verdict.differences),
    ]
    if verdict.fingerprint != fingerprint:
        lines.append(
            f"The signers have changed since {fingerprint}. Write down the new fingerprint. · "
            f"{fingerprint}之后，签署人有变动。请记下新的指纹。"
        )
    if expires and now < expires <= now + NEAR:
        days = (expires - now).days
        left = f"{days} day{'s' * (days > 1)}" if days else "less than a day"
        lines.append(
            f"Valid until {expires:%Y-%m-%d}, {left} left · "
            f"有效期至{expires:%Y-%m-%d}，还剩{days or '不到1'}天"
        )
    if verdict.comment:
        lines.append(f"Signed comment · 同时签署的说明：{verdict.comment}")
    if verdict.unverified:
        lines.append(f"Not verified · 未经核对：{', '.join(verdict.unverified)}")
    return status, lines


def main(arguments: list[str]) -> int:
    """Check, print the verdict in both languages, and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A console that can't show Chinese must not stop the check.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        path, fingerprint = read_arguments(arguments)
        status, lines = report(check(path, fingerprint), fingerprint)
    except (CopyError, OSError, ValueError) as error:
        error = error if isinstance(error, CopyError) else CopyError("unreadable", error)
        status, lines = error.status, list(map("".join, zip(VERDICTS[error.status], error.reason)))
    try:
        print(*lines, sep="\n", file=sys.stderr if status == 2 else sys.stdout, flush=True)
    except BrokenPipeError:
        # Python flushes stdout again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
