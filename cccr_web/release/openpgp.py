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


# An armour (RFC 9580, section 6.2) without its first line. Its headers are whatever the program
# writes that made it: Version, Comment and others.
_ARMOUR = rb"(?:[A-Za-z-]+: ?[^\x00-\x08\x0b-\x1f\x7f\n]*\n)*[ \t]*\n(?:[A-Za-z0-9+/=]+[ \t]*\n)+"
_CLEAR_SIGNED = re.compile(
    rb"\s*-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [A-Za-z0-9, -]+\n)*[ \t]*\n"
    rb"(.*\n)"
    rb"-----BEGIN PGP SIGNATURE-----\n" + _ARMOUR + rb"-----END PGP SIGNATURE-----\s*",
    re.DOTALL,
)
_PUBLIC_KEYS = re.compile(
    rb"(?:\s*-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    + _ARMOUR
    + rb"-----END PGP PUBLIC KEY BLOCK-----)+\s*"
)


def unix_lines(text: bytes) -> bytes:
    """Return ``text`` with line feeds only, and without a byte order mark.

    This changes no OpenPGP signature of a text: its lines end in CR LF when it is signed.
    """
    return text.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")


def is_public_keys(text: bytes) -> bool:
    """Whether ``text`` is one or more armoured public keys, and nothing else."""
    return _PUBLIC_KEYS.fullmatch(unix_lines(text)) is not None


def key_fingerprint(text: bytes) -> str | None:
    """Return the fingerprint of the first key in ``text``, in groups of four characters.

    The first packet must be a public key of version 4 or 6 (RFC 9580, sections 4.2, 5.5.4);
    otherwise it is ``None``.
    """
    armour = re.search(rb"\n[ \t]*\n([A-Za-z0-9+/\n]+)", unix_lines(text))
    packet = base64.b64decode(armour[1] + b"==") if armour else b""
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
    anything outside the signature.
    """
    whole = unix_lines(whole)
    if b"-----BEGIN PGP" not in whole:
        return whole
    match = _CLEAR_SIGNED.fullmatch(whole)
    if match is None or b"\n-----BEGIN PGP" in match[1]:
        raise CccrError(f"{name} holds something that gpg did not sign.", "Make it again.")
    return b"".join(line.removeprefix(b"- ") for line in match[1].splitlines(keepends=True))
