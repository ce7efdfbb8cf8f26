"""A signature in OpenPGP's form, made by the ``gpg`` program with a key that it keeps.

Not checked by our server, which has no gpg: its SHA-256 stands in the trusted
comment of the minisign signature instead, so that no other can take its place.
"""

from __future__ import annotations

import subprocess

from cccr_web.errors import OpenPgpError


def sign(message: bytes, key: str) -> bytes:
    """Return an armoured detached signature by gpg's key ``key``. Raises ``OpenPgpError``.

    gpg asks for its own passphrase. It writes the moment into the signature, so
    two of them over the same bytes differ.
    """
    command = ["gpg", "--armor", "--detach-sign", "--local-user", key, "--output", "-"]
    try:
        done = subprocess.run(command, input=message, capture_output=True, check=True)
    except FileNotFoundError as error:
        raise OpenPgpError("The program gpg is not installed.", "Install gnupg.") from error
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode("utf-8", errors="replace").strip().splitlines() or ["no word"]
        raise OpenPgpError(
            f"gpg did not sign with {key}: {words[-1]}", "See gpg --list-secret-keys."
        ) from error
    return done.stdout
