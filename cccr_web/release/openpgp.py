"""OpenPGP signatures, made by the ``gpg`` program with one of its keys.

Our server has no gpg and does not verify them. Instead, the trusted comment of the minisign
signature holds the SHA-256 of the OpenPGP signature, so that nobody can replace it.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import re
import subprocess

from cccr_web.errors import CccrError


def sign(message: bytes, key: str, *, clear: bool = False) -> bytes:
    """Return an armoured detached signature by gpg's key ``key``. Raises ``CccrError``.

    With ``clear``, return ``message`` itself, still readable, with the signature around it
    (RFC 9580, section 7). gpg asks for its own passphrase. It writes the time into the
    signature, so two signatures of the same bytes differ. The user's gpg.conf is not read: it
    may add comments, keys or other signers.
    """
    how = "--clear-sign" if clear else "--detach-sign"
    command = ["gpg", "--no-options", "--armor", how, "--local-user", key, "--output", "-"]
    try:
        done = subprocess.run(command, input=message, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise CccrError("The program gpg is not installed.", "Install gnupg.") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", errors="replace").strip().splitlines()
        reason = lines[-1] if lines else "it gave no reason."
        raise CccrError(
            f"gpg did not sign with {key}: {reason}", "See gpg --list-secret-keys."
        ) from error
    return done.stdout


def _armour(kind: bytes) -> bytes:
    """Return a pattern of an armour (RFC 9580, section 6.2), its data in the group ``data``.

    Its headers are whatever the program writes that made it: Version, Comment and others. As
    for gpg, blanks may end any line, and empty lines be between the data. A checksum is optional.
    """
    return (
        rb"-----BEGIN PGP " + kind + rb"-----[ \t]*\n"
        rb"(?:[A-Za-z0-9-]+:(?: [^\x00-\x08\x0b-\x1f\x7f\n]*)?\n)*[ \t]*\n"
        rb"(?P<data>(?:[A-Za-z0-9+/]*={0,2}[ \t]*\n)+)"
        rb"(?:=(?P<checksum>[A-Za-z0-9+/]{4})\s*\n)?"
        rb"-----END PGP " + kind + rb"-----[ \t]*(?:\n|\Z)"
    )


def _check_checksum(armour: re.Match[bytes], *, name: str, remedy: str) -> None:
    """Raise ``CccrError`` if an armour holds no base64, or a checksum that is not its data's.

    RFC 9580, section 6.1, tells programs to ignore the checksum. GnuPG does not: readers
    could not use the file, so it must not be published.
    """
    data, checksum = _decode(armour), armour["checksum"]
    if data is None or (checksum and base64.b64decode(checksum) != _crc24(data)):
        raise CccrError(
            f"{name} holds a damaged OpenPGP armour: its checksum is wrong.",
            remedy,
        )


def _decode(armour: re.Match[bytes]) -> bytes | None:
    try:
        return base64.b64decode(armour["data"].rstrip(b"=\n\t ") + b"==")
    except ValueError:
        return None


def _crc24(data: bytes) -> bytes:
    """Return the checksum of an armour's data (RFC 9580, section 6.1.1)."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc.to_bytes(3, "big")


_CLEAR_SIGNED = re.compile(
    rb"\s*-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\n(?:Hash: [A-Za-z0-9, -]+\n)*[ \t]*\n"
    rb"(.*\n)" + _armour(rb"SIGNATURE") + rb"\s*",
    re.DOTALL,
)
_PUBLIC_KEY = re.compile(rb"^" + _armour(rb"PUBLIC KEY BLOCK"), re.MULTILINE)
# What no text around public keys has: another armour, half a key, or bytes that are no text.
_NO_TEXT = re.compile(rb"-----(?:BEGIN|END) |[\x00-\x08\x0b-\x1f\x7f]")


def unix_lines(text: bytes) -> bytes:
    """Return ``text`` with line feeds only, and without a byte order mark.

    This changes no OpenPGP signature of a text: its lines end in CR LF when it is signed.
    """
    return text.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")


def key_fingerprints(text: bytes, *, name: str) -> tuple[str, ...]:
    """Return the fingerprint of each armoured public key, in groups of four characters.

    What is not armoured is text, which gpg skips. Errors call the file ``name``. Raises
    ``CccrError`` for anything else that is armoured, and for a key that cannot be read.
    """
    remedy = "Use: gpg --armor --export KEY"
    text = unix_lines(text)
    keys = [*_PUBLIC_KEY.finditer(text)]
    if not keys or _NO_TEXT.search(_PUBLIC_KEY.sub(b"", text)):
        raise CccrError(f"{name} holds something other than public keys.", remedy)
    prints = [_fingerprint(key) for key in keys]
    if None in prints:
        raise CccrError(f"{name} holds a key without a readable fingerprint.", remedy)
    for key in keys:
        _check_checksum(key, name=name, remedy=remedy)
    return tuple(filter(None, prints))


def _fingerprint(armour: re.Match[bytes]) -> str | None:
    """Return the fingerprint of the key with which the data of an armour begins.

    The first packet must be a public key of version 4 or 6 (RFC 9580, sections 4.2, 5.5.4).
    """
    packet = _decode(armour)
    if packet is None:
        return None
    old = re.match(rb"(?s)\x98(.)|\x99(..)", packet)
    new = re.match(rb"(?s)\xc6(?:([\x00-\xbf])|([\xc0-\xdf].)|\xff(....))", packet)
    head = old or new
    if head is None:
        return None
    length = int.from_bytes(next(filter(None, head.groups())), "big")
    if new and new[2]:
        length -= 0xC000 - 192
    key = packet[head.end() : head.end() + length]
    if len(key) < length or key[:1] not in {b"\x04", b"\x06"}:
        return None
    if key[0] == 4:  # the version
        digest = hashlib.sha1(b"\x99" + length.to_bytes(2, "big") + key, usedforsecurity=False)
    else:
        digest = hashlib.sha256(b"\x9b" + length.to_bytes(4, "big") + key)
    return " ".join(re.findall("....", digest.hexdigest().upper()))


def strip_clear_signature(whole: bytes, *, name: str) -> bytes:
    """Return the message that was signed with ``clear``, or ``whole`` without such a signature.

    Its lines end in line feeds. The signature is not verified. Raises ``CccrError`` for
    anything outside the signature, and for a signature that was damaged.
    """
    whole = unix_lines(whole)
    if b"-----BEGIN PGP" not in whole:
        return whole
    match = _CLEAR_SIGNED.fullmatch(whole)
    if match is None or b"\n-----BEGIN PGP" in match[1]:
        raise CccrError(f"{name} holds something that gpg did not sign.", "Make it again.")
    _check_checksum(match, name=name, remedy="Make it again.")
    return b"".join(line.removeprefix(b"- ") for line in match[1].splitlines(keepends=True))
