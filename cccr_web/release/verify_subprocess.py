"""Verify signatures in a subprocess that ends when it has answered.

A server that runs for months verifies signatures a few times. In a subprocess, the
cryptography libraries are not loaded into the server, which saves 6.5 MB of its memory.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from cccr_web.errors import ReleaseError, SignatureError
from cccr_web.release.policy import SigningPolicy, Trusted
from cccr_web.release.signed_manifest import verify_signatures

_PROGRAM: Final = f"""
import sys
from {__name__} import answer
text, status = answer(sys.stdin.buffer.read())
sys.stdout.buffer.write(text)
sys.exit(status)
"""
_REJECTED: Final = 3
_SECONDS: Final = 60


def verify_in_subprocess(sums: bytes, signatures: Mapping[str, bytes], key: Trusted) -> str:
    """Do what ``verify_signatures`` does, in a subprocess.

    Raises ``SignatureError``, or ``ReleaseError`` if the subprocess failed.
    """
    question = json.dumps(
        {
            "policy": _encode(SigningPolicy.of(key).to_file()),
            "sums": _encode(sums),
            "signatures": {name: _encode(body) for name, body in signatures.items()},
        }
    )
    try:
        done = subprocess.run(
            # -P and our own path: no module from the folder that the server was started in.
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
    text = done.stdout.decode("utf-8", errors="replace")
    if done.returncode == _REJECTED:
        raise SignatureError(text)
    if done.returncode != 0:
        raise _failed(f"status {done.returncode}")
    return text


def _failed(why: str) -> ReleaseError:
    return ReleaseError(
        f"The process that verifies the signatures failed: {why}.",
        "Check whether the machine has run out of memory or processes, and try again.",
    )


def _encode(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


def answer(question: bytes) -> tuple[bytes, int]:
    """Return the trusted comment and 0, or the error and another exit status."""
    values = json.loads(question)
    signatures = {name: base64.b64decode(body) for name, body in values["signatures"].items()}
    sums, policy = (
        base64.b64decode(values["sums"]),
        SigningPolicy.parse(base64.b64decode(values["policy"])),
    )
    try:
        return verify_signatures(sums, signatures, policy).encode("utf-8"), 0
    except SignatureError as error:
        return str(error).encode("utf-8"), _REJECTED
