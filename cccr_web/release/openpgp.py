"""Signatures in OpenPGP's form, made by the ``gpg`` program with a key that it keeps.

Not checked by our server, which has no gpg: its SHA-256 stands in the trusted
comment of the minisign signature instead, so that no other can take its place.
"""

from __future__ import annotations

import re
import subprocess

from cccr_web.errors import CccrError


def sign(message: bytes, key: str) -> bytes:
    """Return an armoured detached signature by gpg's key ``key``. Raises ``CccrError``.

    gpg asks for its own passphrase. It writes the moment into the signature, so
    two of them over the same bytes differ.
    """
    return _gpg(message, "--detach-sign", key)


def _gpg(message: bytes, how: str, key: str) -> bytes:
    command = ["gpg", "--armor", how, "--local-user", key, "--output", "-"]
    try:
        done = subprocess.run(command, input=message, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise CccrError("The program gpg is not installed.", "Install gnupg.") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode("utf-8", errors="replace").strip().splitlines() or ["no word"]
        raise CccrError(
            f"gpg did not sign with {key}: {words[-1]}", "See gpg --list-secret-keys."
        ) from error
    return done.stdout


_CLEAR_SIGNED = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [A-Za-z0-9, -]+\n)?\n"
    rb"(.*\n)"
    rb"-----BEGIN PGP SIGNATURE-----\n\n[A-Za-z0-9+/=\n]+-----END PGP SIGNATURE-----\n",
    re.DOTALL,
)


def sign_clear(text: bytes, key: str) -> bytes:
    """Return ``text``, still readable, with a signature by gpg's key ``key`` inside.

    The form is RFC 9580's cleartext signature framework (section 7). Raises ``CccrError``.
    """
    return _gpg(text, "--clear-sign", key)


def strip_clear_signature(whole: bytes, *, name: str) -> bytes:
    """Return what ``sign_clear`` was given, or ``whole`` if it was not signed so.

    The signature is not checked. Raises ``CccrError`` if something stands beside it.
    """
    if b"-----BEGIN PGP" not in whole:
        return whole
    match = _CLEAR_SIGNED.fullmatch(whole)
    if match is None or b"\n-----BEGIN PGP" in match[1]:
        raise CccrError(f"{name} holds something beside what gpg signed.", "Make it anew.")
    return b"".join(line.removeprefix(b"- ") for line in match[1].splitlines(keepends=True))
