"""The names of hosts: domains, and onion addresses (tor's rend-spec-v3, section 6)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

# The last part starts with a letter, so that no IPv4 address matches.
DOMAIN: Final = re.compile(r"(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+")
# The address of a site on the clearnet, without a path.
CLEARNET: Final = re.compile(rf"https://{DOMAIN.pattern}")
ONION: Final = re.compile(r"[a-z2-7]{56}\.onion")

_VERSION: Final = b"\x03"


def onion_address(public_key: bytes) -> str:
    """Return the address of an Ed25519 public key (32 bytes)."""
    check = hashlib.sha3_256(b".onion checksum" + public_key + _VERSION).digest()[:2]
    return base64.b32encode(public_key + check + _VERSION).decode("ascii").lower() + ".onion"
