"""A text with its minisign signatures inside, so that one file can be checked alone.

The text ends where the first ``-----BEGIN MINISIGN SIGNATURE-----`` stands; each
such line, four lines of signature, and an END line follow one another. By hand:
save what is above the first BEGIN as ``text``, the four lines of a signature as
``text.minisig``, and run ``minisign -Vm text -P KEY``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cccr_web.errors import SignatureError
from cccr_web.release import PublicKey, SigningKey

_BEGIN: Final = b"-----BEGIN MINISIGN SIGNATURE-----\n"
_END: Final = b"-----END MINISIGN SIGNATURE-----\n"


def sign_text(text: bytes, keys: Sequence[SigningKey], trusted_comment: str) -> bytes:
    """Return ``text``, which must end in a line feed, signed inside by each key."""
    if not text.endswith(b"\n") or b"-----BEGIN" in text:
        raise ValueError("the text must end its last line and hold no mark of a signature")
    made = (key.sign(text, trusted_comment) for key in keys)
    return text + b"".join(_BEGIN + signature + _END for signature in made)


def split_text(whole: bytes, *, name: str) -> tuple[bytes, list[bytes]]:
    """Return the text and its signatures, unchecked. Raises ``SignatureError``."""
    text, *rest = whole.split(_BEGIN)
    if not rest or not all(part.endswith(_END) for part in rest):
        raise SignatureError(f"{name} holds no signature, or something beside its signatures.")
    return text, [part.removesuffix(_END) for part in rest]


def verify_text(whole: bytes, keys: Sequence[PublicKey], *, name: str) -> bytes:
    """Return the text if it is signed by ``keys``, one signature each in this order.

    Raises ``SignatureError``.
    """
    text, signatures = split_text(whole, name=name)
    if len(signatures) != len(keys):
        raise SignatureError(f"{name} holds {len(signatures)} signatures, not {len(keys)}.")
    for number, (key, signature) in enumerate(zip(keys, signatures, strict=True), start=1):
        key.verify(text, signature, name=f"Signature {number} in {name}", of="the text above it")
    return text
