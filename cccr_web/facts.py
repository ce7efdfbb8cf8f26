"""The formats and limits of facts that ``site.toml``, releases and notices share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

# minisign's format: 56 characters of base64, for “Ed”, a key number and Ed25519's key.
PUBLIC_KEY: Final = re.compile(r"RW[QRST][A-Za-z0-9+/]{53}")

# A server must be able to record the sequence, and to go beyond it.
MAX_SEQUENCE: Final = 10**9
# How long a release can be valid.
MAX_VALID: Final = timedelta(days=3650)

# How far ahead of this machine's clock a date may be: clocks differ, and people write the day of
# their own time zone.
CLOCK_TOLERANCE: Final = timedelta(days=1)
