"""``RELEASE.json``: the facts of a release, and the policy that follows for its pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cccr_web.errors import ReleaseError, counted
from cccr_web.facts import CLEARNET, MAX_SEQUENCE, MAX_VALID, ONION

NAME = "RELEASE.json"
# Raise them when older code would misread a release. The ZIP is a listed file in the first, signed
# by one key; in the second, under a policy, it is not, and servers that know only the first must
# reject it.
_FORMAT = 1
_POLICY_FORMAT = 2

_STYLE_HASH = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")
_SLUG = re.compile(r"[a-z]+(-[a-z]+)*")
_FINGERPRINT = re.compile(r"[0-9A-F]{4}( [0-9A-F]{4}){7}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"

# How long before a release expires every command reports it. verify.py has its own copy.
_NEAR = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Expiry:
    """When something expires, as seen at ``now``."""

    time: datetime
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def has_passed(self) -> bool:
        """Whether it has expired."""
        return self.time <= self.now

    @property
    def is_near(self) -> bool:
        """Whether it expires within 14 days."""
        return not self.has_passed and self.time - self.now <= _NEAR

    @property
    def days_left(self) -> int:
        """How many whole days are left; negative once it has expired."""
        return (self.time - self.now).days

    @property
    def left(self) -> str:
        """What is left, in words: ``in 9 days``."""
        return f"in {counted(self.days_left, 'day')}" if self.days_left else "in less than a day"

    def __str__(self) -> str:
        if self.has_passed:
            return f"expired on {self.time:%Y-%m-%d}"
        return f"expires on {self.time:%Y-%m-%d} ({self.left})"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The facts of a release. Raises ``ReleaseError`` if a number or date is out of bounds.

    ``sequence`` rises with every release; ``time`` and ``expires`` are UTC, to the
    second; ``fingerprint`` is that of the key that signs the release, or of the
    policy, or ``None`` while the organisation has no key;
    ``languages`` maps slugs to BCP 47 tags; ``clearnet`` is like
    ``https://example.org``; ``style_hashes`` are CSP hash sources (CSP level 3,
    section 2.3.1) of the style sheets in the pages. ``has_policy`` is whether the release has a
    ``policy.txt``, and the fingerprint is that of this policy.
    """

    sequence: int
    time: datetime
    expires: datetime
    fingerprint: str | None
    languages: Mapping[str, str]
    clearnet: str | None
    onions: tuple[str, ...]
    style_hashes: tuple[str, ...]
    has_policy: bool = False

    @property
    def domain(self) -> str | None:
        """The name of the clearnet site."""
        return self.clearnet.removeprefix("https://") if self.clearnet else None

    def __post_init__(self) -> None:
        begin, end = format_time(self.time), format_time(self.expires)
        wrong, remedy = "", ""
        if self.sequence > MAX_SEQUENCE:
            wrong = f"“sequence” is more than {MAX_SEQUENCE:,}."
            remedy = "Correct it in site.toml and build again."
        elif self.time.year < 1970:
            wrong = "“time” is before 1970."
        elif self.expires < self.time:
            wrong = f"“expires” is {end}, which is before “time”, {begin}."
        elif self.expires - self.time > MAX_VALID:
            limit = f"{MAX_VALID.days:,} days after “time”, {begin}."
            wrong = f"“expires” is {end}, more than {limit}"
        if wrong:
            raise ReleaseError(f"{NAME}: {wrong}", remedy, path=NAME)

    def expiry(self, now: datetime | None = None) -> Expiry:
        """Return when the release expires, as seen at ``now``."""
        return Expiry(self.expires, now or datetime.now(UTC))

    def to_json(self) -> bytes:
        """Return the file: JSON with sorted keys, ending in a line feed."""
        values = {
            "format": _POLICY_FORMAT if self.has_policy else _FORMAT,
            "sequence": self.sequence,
            "time": format_time(self.time),
            "expires": format_time(self.expires),
            "fingerprint": self.fingerprint,
            "languages": dict(self.languages),
            "addresses": {"clearnet": self.clearnet, "onions": list(self.onions)},
            "style_hashes": list(self.style_hashes),
        }
        return (json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Metadata:
        """Read the file. Raises ``ReleaseError`` naming the key that is wrong."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ReleaseError(f"{NAME} is not JSON: {error}.", path=NAME) from error
        number = values.get("format") if isinstance(values, dict) else None
        if type(number) is int and number > _POLICY_FORMAT:
            raise ReleaseError(
                f"{NAME} is of format {number}; this version of cccr-web reads formats {_FORMAT} "
                f"and {_POLICY_FORMAT}.",
                "Upgrade it, on a server with: deploy/deploy.sh upgrade",
                path=NAME,
            )
        if type(number) is not int or number not in (_FORMAT, _POLICY_FORMAT):
            raise ReleaseError(f"{NAME} is not of format {_FORMAT} or {_POLICY_FORMAT}.", path=NAME)
        addresses = values.get("addresses")
        if not isinstance(addresses, dict):
            raise ReleaseError(f"{NAME}: “addresses” is not an object.", path=NAME)
        return cls(
            sequence=_checked(values, "sequence", lambda v: type(v) is int and v > 0),
            time=_time(values, "time"),
            expires=_time(values, "expires"),
            fingerprint=_checked(
                values, "fingerprint", lambda v: v is None or _is(_FINGERPRINT, v)
            ),
            languages=_checked(values, "languages", _is_languages),
            clearnet=_checked(addresses, "clearnet", lambda v: v is None or _is(CLEARNET, v)),
            onions=tuple(_checked(addresses, "onions", lambda v: _is_list(ONION, v))),
            style_hashes=tuple(
                _checked(values, "style_hashes", lambda v: _is_list(_STYLE_HASH, v))
            ),
            has_policy=values["format"] == _POLICY_FORMAT,
        )


def format_time(time: datetime) -> str:
    """Return ``time`` in UTC in the format of RFC 3339, to the second."""
    return time.astimezone(UTC).strftime(_TIME)


def page_policy(style_hashes: Iterable[str]) -> dict[str, str]:
    """Return the Content Security Policy (level 3) of a page: only its style sheet and our images.

    An image in a page is a ``data:`` URI: the QR code on paper, and all images of the whole site
    in one HTML file.

    It is in each page's ``<meta>``, for copies opened from a disk, and in a header.
    Only the header has ``frame-ancestors``, for which browsers log a warning in a ``<meta>``.
    """
    return {
        "default-src": "'none'",
        "style-src": " ".join(f"'{hash_}'" for hash_ in style_hashes),
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def format_policy(directives: dict[str, str]) -> str:
    """Return the directives as one header value."""
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_list(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, list) and all(_is(pattern, item) for item in value)


def _is_languages(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_is(_SLUG, slug) and isinstance(tag, str) for slug, tag in value.items())
    )


def _checked(values: dict[str, Any], key: str, rule: Any) -> Any:
    if key not in values or not rule(values[key]):
        raise ReleaseError(f"{NAME}: “{key}” is missing or wrong.", path=NAME)
    return values[key]


def _time(values: dict[str, Any], key: str) -> datetime:
    try:
        return datetime.strptime(str(values.get(key)), _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise ReleaseError(f"{NAME}: “{key}” is missing or wrong.", path=NAME) from error
