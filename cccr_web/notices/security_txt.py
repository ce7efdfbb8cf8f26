"""``security.txt``: how to report a vulnerability of the site (RFC 9116)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.signed_text import decode
from cccr_web.release import format_time

NAME: Final = ".well-known/security.txt"

# RFC 9116, section 2.5.5: less than a year into the future.
MAX_AHEAD: Final = timedelta(days=366)


# RFC 9116, section 4. Field names ignore case. Other fields are allowed, but not a typo.
_URI: Final = r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~%]+"
# A link is https, and an address needs its scheme.
_LINK: Final = re.compile(rf"(?!(?i:http):)(?!(?i:mailto):[^@]*$){_URI}")
_FIELDS: Final = {
    "acknowledgments": _LINK,
    "canonical": _LINK,
    "contact": _LINK,
    "csaf": _LINK,
    "encryption": _LINK,
    "expires": re.compile(r"\S+"),
    "hiring": _LINK,
    "policy": _LINK,
    "preferred-languages": re.compile(r"[A-Za-z0-9-]+(?:[ \t]*,[ \t]*[A-Za-z0-9-]+)*"),
}
# RFC 3339, section 5.6.
_DATE_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_NAME: Final = re.compile(r"[!-9;-~]+")
_ONCE: Final = ("Expires", "Preferred-Languages")


def make_security_txt(expires: datetime, fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the file. Raises ``CccrError`` if the RFC does not allow it."""
    lines = [*fields, ("Expires", format_time(expires))]
    body = "".join(f"{name}: {value}\n" for name, value in lines).encode(errors="surrogateescape")
    read_security_txt(body)
    return body


def read_security_txt(body: bytes) -> datetime:
    """Check the file and return the time at which it expires. Raises ``CccrError``."""
    found: dict[str, list[str]] = {}
    for number, whole in enumerate(decode(body, name=NAME).split("\n"), start=1):
        line = whole.rstrip(" \t")
        if not line or line.startswith("#"):
            continue
        name, colon, value = line.partition(": ")
        field = name.lower()
        rule = _FIELDS.get(field)
        wrong = rule.fullmatch(value) is None if rule else _NAME.fullmatch(name) is None
        meant = [] if rule else difflib.get_close_matches(field, _FIELDS, 1, 0.75)
        if wrong or meant or not colon:
            raise CccrError(
                f"{NAME}, line {number}: “{line[:60]}” is not a field of RFC 9116.",
                f"Did you mean “{meant[0].title()}”?"
                if meant
                else "Write “Name: value”; a link is https, a contact may be mailto.",
            )
        found.setdefault(field, []).append(value)
    for name in ("Contact", "Expires"):
        if name.lower() not in found:
            raise CccrError(f"{NAME} has no {name}, which RFC 9116 requires.", "Add it.")
    for name in _ONCE:
        if len(found.get(name.lower(), [])) > 1:
            raise CccrError(f"{NAME} has more than one {name}.", "Keep one.")
    (until,) = found["expires"]
    wrong_date = CccrError(f"{NAME}: Expires is “{until}”.", "Write 2027-06-30T00:00:00Z.")
    # Python knows no leap seconds.
    time = re.sub(r":60(?=[.Z+-])", ":59", until.upper())
    if _DATE_TIME.fullmatch(time) is None:
        raise wrong_date
    try:
        return datetime.fromisoformat(time).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong_date from error
