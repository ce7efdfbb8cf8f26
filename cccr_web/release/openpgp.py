"""OpenPGP signatures, made by the ``gpg`` program with one of its keys.

Our server has no gpg and does not verify them. Instead, the trusted comment of the minisign
signature holds the SHA-256 of the OpenPGP signature, so that nobody can replace it.
"""

from __future__ import annotations

import re
import subprocess

from cccr_web.errors import CccrError


def sign(message: bytes, key: str, *, clear: bool = False) -> bytes:
    """Return an armoured detached signature by gpg's key ``key``. Raises ``CccrError``.

    With ``clear``, return ``message`` itself, still readable, with the signature around it
    (RFC 9580, section 7). gpg asks for its own passphrase. It writes the time into the
    signature, so two signatures of the same bytes differ.
    """
    how = "--clear-sign" if clear else "--detach-sign"
    command = ["gpg", "--armor", how, "--local-user", key, "--output", "-"]
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


_CLEAR_SIGNED = re.compile(
    rb"-----BEGIN PGP SIGNED MESSAGE-----\n(?:Hash: [A-Za-z0-9, -]+\n)?\n"
    rb"(.*\n)"
    rb"-----BEGIN PGP SIGNATURE-----\n\n[A-Za-z0-9+/=\n]+-----END PGP SIGNATURE-----\n",
    re.DOTALL,
)


def strip_clear_signature(whole: bytes, *, name: str) -> bytes:
    """Return the message that was signed with ``clear``, or ``whole`` without such a signature.

    The signature is not verified. Raises ``CccrError`` for anything outside the signature.
    """
    if b"-----BEGIN PGP" not in whole:
        return whole
    match = _CLEAR_SIGNED.fullmatch(whole)
    if match is None or b"\n-----BEGIN PGP" in match[1]:
        raise CccrError(f"{name} holds something that gpg did not sign.", "Make it again.")
    return b"".join(line.removeprefix(b"- ") for line in match[1].splitlines(keepends=True))
