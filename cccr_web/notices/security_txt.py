"""``security.txt``: how to report a vulnerability of the site (RFC 9116)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.signed_text import decode

NAME: Final = ".well-known/security.txt"

# RFC 9116, section 2.5.5: less than a year into the future.
MAX_AHEAD: Final = timedelta(days=366)

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"

# RFC 9116, section 2.5, and CSAF from IANA's registry. Any other name is a typo.
_FIELDS: Final = {
    "Acknowledgments": re.compile(r"https://\S+"),
    "Canonical": re.compile(r"https://\S+"),
    "Contact": re.compile(r"https://\S+|mailto:\S+@\S+|tel:\+?[0-9-]+"),
    "CSAF": re.compile(r"https://\S+"),
    "Encryption": re.compile(r"https://\S+|dns:\S+|openpgp4fpr:[0-9A-Fa-f]+"),
    "Expires": re.compile(r"\S+"),
    "Hiring": re.compile(r"https://\S+"),
    "Policy": re.compile(r"https://\S+"),
    "Preferred-Languages": re.compile(r"[A-Za-z-]+(, ?[A-Za-z-]+)*"),
}
_ONCE: Final = ("Expires", "Preferred-Languages")


def make_security_txt(expires: datetime, fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the file. Raises ``CccrError`` if the RFC does not allow it."""
    lines = [*fields, ("Expires", expires.astimezone(UTC).strftime(_TIME))]
    body = "".join(f"{name}: {value}\n" for name, value in lines).encode()
    read_security_txt(body)
    return body


def read_security_txt(body: bytes) -> datetime:
    """Check the file and return the time at which it expires. Raises ``CccrError``."""
    lines = decode(body, name=NAME).splitlines()
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(": ")
        rule = _FIELDS.get(name)
        if rule is None or not colon or rule.fullmatch(value) is None:
            raise CccrError(
                f"{NAME}, line {number}: “{line[:60]}” is not a field of RFC 9116.",
                "Write “Name: value”; a link is https, a contact may be mailto.",
            )
        found.setdefault(name, []).append(value)
    for name in ("Contact", "Expires"):
        if name not in found:
            raise CccrError(f"{NAME} has no {name}, which RFC 9116 requires.", "Add it.")
    for name in _ONCE:
        if len(found.get(name, [])) > 1:
            raise CccrError(f"{NAME} has more than one {name}.", "Keep one.")
    try:
        until = datetime.fromisoformat(found["Expires"][0])
    except ValueError as error:
        raise CccrError(
            f"{NAME}: Expires is “{found['Expires'][0]}”.", "Write 2027-06-30T00:00:00Z."
        ) from error
    if until.tzinfo is None:
        raise CccrError(f"{NAME}: Expires has no time zone.", "Write 2027-06-30T00:00:00Z.")
    return until
