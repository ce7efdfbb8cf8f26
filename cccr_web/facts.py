"""The formats and limits of facts that ``site.toml``, releases and notices share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

# The last part starts with a letter, so that no IPv4 address matches.
DOMAIN: Final = re.compile(r"(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+")
# The address of a site on the clearnet, without a path.
CLEARNET: Final = re.compile(rf"https://{DOMAIN.pattern}")
ONION: Final = re.compile(r"[a-z2-7]{56}\.onion")

# minisign's format: 56 characters of base64, for “Ed”, a key number and Ed25519's key.
PUBLIC_KEY: Final = re.compile(r"RW[QRST][A-Za-z0-9+/]{53}")
# OpenSSH's, as in a .pub file without the comment; ``release/sshsig.py`` reads the base64.
SSH_KEY: Final = re.compile(r"(?:sk-ssh-ed25519@openssh\.com|ssh-ed25519) [A-Za-z0-9+/]+={0,2}")
# The name of a signer, which is a part of file names.
SIGNER: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
# More could not be read aloud or checked by hand.
MAX_SIGNERS: Final = 16
MAX_POLICY: Final = 10**9

# A server must be able to record the sequence, and to go beyond it.
MAX_SEQUENCE: Final = 10**9
# How long a release can be valid.
MAX_VALID: Final = timedelta(days=3650)

# How far ahead of this machine's clock a date may be: clocks differ, and people write the day of
# their own time zone.
CLOCK_TOLERANCE: Final = timedelta(days=1)
