"""Verify signatures in a process of their own, which ends when it has answered.

A server that runs for months needs them verified a few times. Done apart, no library for
cryptography stands in the process that strangers talk to: 6.5 MB of its memory less.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cccr_web.errors import ReleaseError, SignatureError
from cccr_web.release import signing
from cccr_web.release.signature import PublicKey

_PROGRAM: Final = f"""
import sys
from {__name__} import answer
words, status = answer(sys.stdin.buffer.read())
sys.stdout.buffer.write(words)
sys.exit(status)
"""
_REFUSED: Final = 3
_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class KeyApart(PublicKey):
    """A public key by which ``verify_manifest`` verifies in a process of its own."""

    @classmethod
    def of(cls, key: PublicKey) -> KeyApart:
        """Return the same key."""
        return cls(key.number, key.raw)


def verify_manifest(sums: bytes, signatures: Mapping[str, bytes], key: PublicKey) -> str:
    """Do as ``signing.verify_manifest`` does; by a ``KeyApart`` in a process of its own.

    Raises ``SignatureError``, and ``ReleaseError`` if that process could not do its work.
    """
    if not isinstance(key, KeyApart):
        return signing.verify_manifest(sums, signatures, key)
    question = json.dumps(
        {
            "key": str(key),
            "sums": _text(sums),
            "signatures": {name: _text(body) for name, body in signatures.items()},
        }
    )
    try:
        done = subprocess.run(
            # -P: nothing from the folder that the server was started in, but all that is ours.
            [sys.executable, "-P", "-c", _PROGRAM],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            input=question.encode("ascii"),
            stdout=subprocess.PIPE,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(f"no answer in {_SECONDS} seconds") from error
    except OSError as error:
        raise _failed(f"{sys.executable}: {error.strerror}") from error
    words = done.stdout.decode("utf-8", errors="replace")
    if done.returncode == _REFUSED:
        raise SignatureError(words)
    if done.returncode != 0:
        raise _failed(f"status {done.returncode}")
    return words


def _failed(why: str) -> ReleaseError:
    return ReleaseError(
        f"The process that verifies the signatures failed: {why}.",
        "See whether memory or processes have run out, and try again.",
    )


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


def answer(question: bytes) -> tuple[bytes, int]:
    """Return the trusted comment and 0, or why there is none and another status."""
    asked = json.loads(question)
    signatures = {name: base64.b64decode(body) for name, body in asked["signatures"].items()}
    sums, key = base64.b64decode(asked["sums"]), PublicKey.parse(asked["key"])
    try:
        return signing.verify_manifest(sums, signatures, key).encode("utf-8"), 0
    except SignatureError as error:
        return str(error).encode("utf-8"), _REFUSED
