"""Public keys by OpenPGP: every armour that gpg reads, and the fingerprint of the key in it."""

from __future__ import annotations

import base64
import hashlib
import subprocess

import pytest
from support.signed import OPENPGP_KEY

from cccr_web.errors import CccrError
from cccr_web.release import key_fingerprints

FINGERPRINT = "D9EF 5333 0FFE F310 56C2 3561 98A4 37EB 2FB7 6171"
BEGIN, _, *DATA, CHECKSUM, END = OPENPGP_KEY.splitlines()


def armour(*lines: bytes) -> bytes:
    """Return lines between the first and the last of the armour."""
    return b"".join(line + b"\n" for line in (BEGIN, *lines, END))


ARMOURS = {
    "as gpg writes it": OPENPGP_KEY,
    "blanks after the data": armour(b"", *(line + b" \t" for line in DATA), CHECKSUM),
    "blanks after every line": OPENPGP_KEY.replace(b"\n", b" \n"),
    "blanks after the first line": OPENPGP_KEY.replace(b"-\n", b"- \t\n", 1),
    "three empty lines first": b"\n\n\n" + OPENPGP_KEY,
    "empty lines in the data": armour(b"", DATA[0], b"", *DATA[1:], b"", CHECKSUM, b""),
    "a header with digits": armour(b"X-9: 1", b"Version: GnuPG v2", b"", *DATA, CHECKSUM),
    "an empty header": armour(b"Comment:", b"", *DATA, CHECKSUM),
    "text before": "Key 1 – 公钥：\n\n".encode() + OPENPGP_KEY,
    "text after": OPENPGP_KEY + b"\n-- \nWrite to us.\n",
    "lines of Windows": OPENPGP_KEY.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("case", ARMOURS)
def test_the_fingerprint_is_found_in_whatever_gpg_reads(case: str) -> None:
    """Blanks, empty lines, headers and text that other programs add hide no fingerprint."""
    text = ARMOURS[case]
    shown = subprocess.run(
        ["gpg", "--show-keys", "--with-colons"], input=text, capture_output=True, check=True
    )
    assert FINGERPRINT.replace(" ", "").encode() in shown.stdout
    assert key_fingerprints(text, name="f") == (FINGERPRINT,)


def test_each_of_several_keys_has_its_fingerprint() -> None:
    """Text between the keys is skipped."""
    assert key_fingerprints(OPENPGP_KEY + b"and\n" + OPENPGP_KEY, name="f") == (FINGERPRINT,) * 2


LONG_KEY = b"\x04" + b"k" * 299
SHORT_KEY = b"\x06" + b"k" * 99


@pytest.mark.parametrize(
    ("packet", "hashed"),
    [
        (b"\x98\x64" + SHORT_KEY, ("sha256", b"\x9b\0\0\0\x64" + SHORT_KEY)),
        (b"\xc6\x64" + SHORT_KEY, ("sha256", b"\x9b\0\0\0\x64" + SHORT_KEY)),
        (b"\x99\x01\x2c" + LONG_KEY, ("sha1", b"\x99\x01\x2c" + LONG_KEY)),
        (b"\xc6\xc0\x6c" + LONG_KEY, ("sha1", b"\x99\x01\x2c" + LONG_KEY)),
        (b"\xc6\xff\0\0\x01\x2c" + LONG_KEY, ("sha1", b"\x99\x01\x2c" + LONG_KEY)),
        (b"\x99\x01\x2c" + LONG_KEY[:-1], None),
        (b"\x98\x64\x03" + SHORT_KEY[1:], None),
        (b"\x88\x64" + SHORT_KEY, None),
    ],
)
def test_the_fingerprint_of_a_key_is_computed(
    packet: bytes, hashed: tuple[str, bytes] | None
) -> None:
    """Every length of RFC 9580 is read; another packet, version or a damaged key has none."""
    armour = b"%s\nComment: x\n\n%s%s\n" % (BEGIN, base64.encodebytes(packet), END)
    if hashed is None:
        with pytest.raises(CccrError, match="f holds a key without a readable fingerprint"):
            key_fingerprints(armour, name="f")
    else:
        expected = hashlib.new(*hashed, usedforsecurity=False).hexdigest().upper()
        assert [each.replace(" ", "") for each in key_fingerprints(armour, name="f")] == [expected]
