"""The arithmetic of Ed25519 in ``verify.py`` (RFC 8032)."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from cccr_web.standalone import verify

# RFC 8032, section 7.1: tests 1 to 3, as (public key, message, signature).
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_rfc_8032_hold(key: str, message: str, signature: str) -> None:
    """The arithmetic gives the results of the RFC's examples, and rejects changed ones."""
    key_, message_, signature_ = map(bytes.fromhex, (key, message, signature))
    assert verify.is_signed(key_, message_, signature_)
    assert not verify.is_signed(key_, message_ + b"x", signature_)
    # The same signature with the order of the group added (section 5.1.7, step 1).
    s = int.from_bytes(signature_[32:], "little") + verify.L
    assert not verify.is_signed(key_, message_, signature_[:32] + s.to_bytes(32, "little"))


def test_the_arithmetic_agrees_with_openssl() -> None:
    """Valid and changed signatures of many keys get the same result as from OpenSSL."""
    for number in range(60):
        private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(bytes([number])).digest())
        public = private.public_key()
        message = bytes(range(number))
        signature = bytearray(private.sign(message))
        if number % 2:
            signature[number] ^= 1 << number % 8
        theirs = True
        try:
            public.verify(bytes(signature), message)
        except InvalidSignature:
            theirs = False
        assert verify.is_signed(public.public_bytes_raw(), message, bytes(signature)) == theirs
        assert theirs == (number % 2 == 0)


def _small_order_points() -> set[verify.Point]:
    """Return the eight points with an order that divides the cofactor."""
    points: set[verify.Point] = set()
    number = 0
    while len(points) < 8:
        number += 1
        point = verify.decode_point(hashlib.sha256(bytes([number])).digest())
        if point is not None:
            points.add(verify.multiply_point(verify.L, point))
    return points


def _encode(x: int, y: int) -> bytes:
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_points_of_small_order_get_the_same_result_as_from_openssl() -> None:
    """Such keys and signatures are judged by the equation alone, in both verifiers."""
    points = [_encode(x, y) for x, y in _small_order_points()]
    results = set()
    for key in points:
        public = Ed25519PublicKey.from_public_bytes(key)
        for r in points:
            for message in (b"", b"a", b"b", b"c"):
                signature = r + bytes(32)
                theirs = True
                try:
                    public.verify(signature, message)
                except InvalidSignature:
                    theirs = False
                assert verify.is_signed(key, message, signature) == theirs
                results.add(theirs)
    assert results == {True, False}


def test_a_point_has_one_encoding() -> None:
    """A y outside the field, or a sign of x = 0, encodes no point (section 5.1.3)."""
    for x, y in _small_order_points():
        assert verify.decode_point(_encode(x, y)) == (x, y)
        if y + verify.P < 2**255:
            assert verify.decode_point(_encode(x, y + verify.P)) is None
        if x == 0:
            assert verify.decode_point(_encode(1, y)) is None
