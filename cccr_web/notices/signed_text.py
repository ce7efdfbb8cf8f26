"""A text in a fixed format with its minisign signatures inside, so that one file can be verified.

The text ends at the first ``-----BEGIN MINISIGN SIGNATURE-----``. Each signature is such a
line, the four lines of a minisign file, and an END line. To verify without us: save what is
above the first BEGIN as ``text``, the four lines of a signature as ``text.minisig``, and run
``minisign -Vm text -P KEY``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from string import Formatter
from typing import Any, Final, Generic, TypeVar

from cccr_web.errors import CccrError, SignatureError, counted
from cccr_web.facts import CLOCK_TOLERANCE, PUBLIC_KEY
from cccr_web.release import (
    ORGANISATION,
    PublicKey,
    SigningKey,
    SigningPolicy,
    Trusted,
    strip_clear_signature,
)

MAX_BYTES: Final = 64 * 1024
# How long a list of addresses is valid.
MAX_AGE: Final = timedelta(days=366)
BILINGUAL_NAME: Final = f"{ORGANISATION} (公民自由联盟)"

_MARK: Final = "-----BEGIN"
_BEGIN: Final = b"-----BEGIN MINISIGN SIGNATURE-----\n"
_END: Final = b"-----END MINISIGN SIGNATURE-----\n"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a release needs to know of a notice: the day it was issued, and when it expires."""

    issued: date | None = None
    until: datetime | None = None

    @property
    def last_day(self) -> date | None:
        """The last day in UTC on which it is valid, if it expires."""
        return (self.until - timedelta.resolution).date() if self.until else None

    def fault(self, now: datetime, reference: str = "this machine's clock says") -> str:
        """Return why it is not valid ``now``, or nothing; ``reference`` says what that time is."""
        if self.issued is not None and midnight(self.issued) > now + CLOCK_TOLERANCE:
            return (
                f"It is dated {self.issued}, but {reference} {now:%Y-%m-%d}. "
                "Correct the date and make it again."
            )
        if self.until is not None and self.until <= now:
            return (
                f"It was valid until {self.until:%Y-%m-%d %H:%M} UTC, but {reference} "
                f"{now:%Y-%m-%d}. Make a new one."
            )
        return ""


def midnight(day: date) -> datetime:
    """Return the beginning of a day in UTC."""
    return datetime.combine(day, time(), UTC)


def sign_text(text: bytes, keys: Sequence[SigningKey], trusted_comment: str) -> bytes:
    """Return ``text``, which must end in a line feed, signed inside by each key."""
    if not text.endswith(b"\n") or _MARK.encode() in text:
        raise ValueError("the text must end its last line and hold no mark of a signature")
    made = (key.sign(text, trusted_comment) for key in keys)
    return text + b"".join(_BEGIN + signature + _END for signature in made)


def decode(body: bytes, *, name: str) -> str:
    """Return a notice as text, without a signature by gpg around it. Raises ``CccrError``."""
    try:
        return strip_clear_signature(body, name=name).decode()
    except UnicodeDecodeError as error:
        raise CccrError(f"{name} is not UTF-8.", "Make it again.") from error


def check_key(name: str, named: PublicKey, key: Trusted) -> None:
    """Raise ``CccrError`` unless the key ``named`` in a notice is one of the organisation's."""
    ours = SigningPolicy.of(key).minisign_keys
    if named not in ours:
        known = ", ".join(each.fingerprint for each in ours) or "in none of minisign's files"
        raise CccrError(
            f"{name} names the key {named.fingerprint}; the organisation's key is {known}.",
            "Make it again with the organisation's key, or fetch it again.",
        )


@dataclass(frozen=True, slots=True)
class Field:
    """How the value of a field is found in a text, read, and prepared for the template."""

    pattern: str
    parse: Callable[[str], Any]
    prepare: Callable[[Any], Any] = lambda value: value


DAY: Final = Field(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}", date.fromisoformat)
KEY: Final = Field(PUBLIC_KEY.pattern, PublicKey.parse)
LINES: Final = Field(r".+(?:\n.+)*", lambda text: tuple(text.split("\n")), "\n".join)
NUMBERED_LINES: Final = Field(
    r"[0-9]+\. .+(?:\n[0-9]+\. .+)*",
    lambda text: tuple(line.partition(". ")[2] for line in text.split("\n")),
    lambda lines: "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1)),
)


class NoticeFormat(Generic[Value]):
    """The format of a signed notice: a template whose fields are filled in, and read back.

    ``template`` is for ``str.format``: ``{field}`` or ``{field.attribute}``. ``make`` takes
    the fields as keyword arguments, and returns a value that has them as attributes.
    ``signers`` returns the keys that must sign a value, in this order.
    """

    def __init__(
        self,
        name: str,
        template: str,
        fields: Mapping[str, Field],
        make: Callable[..., Value],
        signers: Callable[[Value], Sequence[PublicKey]],
        remedy: str,
    ) -> None:
        self.name = name
        self._template = template
        self._fields = fields
        self._make = make
        self._signers = signers
        self._remedy = remedy
        self._pattern = _compile(template, fields)

    def format(self, value: Value) -> bytes:
        """Return the only text that has this value. Raises ``CccrError``."""
        prepared = {
            name: field.prepare(getattr(value, name)) for name, field in self._fields.items()
        }
        text = self._template.format(**prepared)
        for line in text.splitlines():
            if _MARK in line:
                raise CccrError(
                    f"{self.name}: “{line[:60]}” looks like a signature.", "Rephrase it."
                )
        return text.encode()

    def read(self, whole: bytes, *, verify: bool = True) -> Value:
        """Return the value of a notice that exactly its ``signers`` have signed.

        Without ``verify``, the signatures are counted but not checked.
        Raises ``CccrError`` for any other text, ``SignatureError`` for a wrong signature.
        """
        text, *rest = strip_clear_signature(whole, name=self.name).split(_BEGIN)
        if not rest or not all(part.endswith(_END) for part in rest):
            raise SignatureError(
                f"{self.name} holds no signature, or something after its signatures."
            )
        value = self._parse(decode(text, name=self.name))
        keys = self._signers(value)
        if len(rest) != len(keys):
            held = counted(len(rest), "signature")
            raise SignatureError(f"{self.name} holds {held}, not {len(keys)}.")
        for number, (key, part) in enumerate(zip(keys, rest, strict=True), start=1):
            signature, name = part.removesuffix(_END), f"Signature {number} in {self.name}"
            if verify:
                key.verify(text, signature, name=name, of="the text above it")
        return value

    def _parse(self, text: str) -> Value:
        match = self._pattern.fullmatch(text)
        values = {}
        for name, found in match.groupdict().items() if match else ():
            try:
                values[name] = self._fields[name].parse(found)
            except ValueError as error:
                raise CccrError(
                    f"{self.name}: {name} cannot be “{found}”.", self._remedy
                ) from error
        value = self._make(**values) if match else None
        # Attributes such as {key.fingerprint} are not in the pattern.
        if value is None or self.format(value).decode() != text:
            raise CccrError(f"{self.name} is not in the format that cccr-web writes.", self._remedy)
        return value


def _compile(template: str, fields: Mapping[str, Field]) -> re.Pattern[str]:
    """Return the regular expression of all texts that ``template`` can become."""
    pattern, seen = "", set()
    for literal, name, _, _ in Formatter().parse(template):
        pattern += re.escape(literal)
        if name is None:
            continue
        if name in seen:
            pattern += f"(?P={name})"
        elif name in fields:
            pattern += f"(?P<{name}>{fields[name].pattern})"
            seen.add(name)
        else:
            pattern += ".*"
    return re.compile(pattern)
