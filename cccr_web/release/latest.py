"""``SHA256SUMS.latest``: a signer says which release was the newest, and on which day.

    Newest release of the Chinese Coalition for Citizens Rights

    Release: 8
    SHA256SUMS: 0123…
    Date: 2026-11-29
    Lapses: 2027-01-03
    Key: RW…

    -----BEGIN MINISIGN SIGNATURE-----
    …
    -----END MINISIGN SIGNATURE-----

It is next to the list, which cannot name it, and in no ZIP, because it is written again each month
without a release. The signature is over all above it. One signer with a minisign key is enough: a
stolen key can hide that there is a newer release until it lapses, but cannot make one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Self

from cccr_web.errors import SignatureError
from cccr_web.facts import CLOCK_TOLERANCE, MAX_SEQUENCE, PUBLIC_KEY
from cccr_web.release import manifest
from cccr_web.release.keys import ORGANISATION, PublicKey, SigningKey
from cccr_web.release.metadata import Expiry
from cccr_web.release.model import Release
from cccr_web.release.policy import SigningPolicy
from cccr_web.release.policy_chain import BEGIN, END

NAME: Final = manifest.LATEST
# For how long it is good, by default and at most.
VALID: Final = timedelta(days=35)
MAX_VALID: Final = timedelta(days=366)

_COMMENT: Final = "latest"
_TITLE: Final = f"Newest release of {ORGANISATION}"
_DAY: Final = "(20[0-9]{2}-[0-9]{2}-[0-9]{2})"
_TEXT: Final = re.compile(
    rf"{re.escape(_TITLE)}\n\nRelease: ([1-9][0-9]{{0,9}})\nSHA256SUMS: ([0-9a-f]{{64}})\n"
    rf"Date: {_DAY}\nLapses: {_DAY}\nKey: ({PUBLIC_KEY.pattern})\n\n"
)


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest release on the day ``issued``, and the first day on which this no longer counts.

    Days are in UTC. Raises ``SignatureError`` if it lapses before it begins, or too late.
    """

    sequence: int
    sha256: str
    issued: date
    lapses: date
    key: PublicKey

    def __post_init__(self) -> None:
        if not self.issued < self.lapses <= self.issued + MAX_VALID:
            raise _wrong(f"is of {self.issued} and would lapse on {self.lapses}")

    @classmethod
    def parse(cls, whole: bytes) -> Self:
        """Read the file without checking its signature. Raises ``SignatureError``."""
        text, _ = _split(whole)
        match = _TEXT.fullmatch(text.decode(errors="replace"))
        if match is None or int(match[1]) > MAX_SEQUENCE:
            raise _wrong("is not as cccr-web writes it")
        try:
            days = date.fromisoformat(match[3]), date.fromisoformat(match[4])
        except ValueError as error:
            raise _wrong("has a day that no calendar has") from error
        return cls(int(match[1]), match[2], *days, PublicKey.parse(match[5]))

    @property
    def text(self) -> bytes:
        """What is signed."""
        return (
            f"{_TITLE}\n\nRelease: {self.sequence}\nSHA256SUMS: {self.sha256}\n"
            f"Date: {self.issued}\nLapses: {self.lapses}\nKey: {self.key}\n\n"
        ).encode()

    @property
    def expiry(self) -> Expiry:
        """When it lapses."""
        return Expiry(_midnight(self.lapses))

    def newer_than(self, release: Release) -> bool:
        """Whether it names a release after this one."""
        return self.sequence > release.metadata.sequence

    def faults(self, release: Release) -> Iterator[str]:
        """Yield a sentence if it has lapsed, and one if it names a release after this one."""
        if self.newer_than(release):
            yield (
                f"{NAME} says that release {self.sequence} is newer than this one, "
                f"{release.metadata.sequence}."
            )
        if self.expiry.has_passed:
            yield f"{NAME} of {self.issued} lapsed on {self.lapses}."

    def check(self, sequence: int, sha256: str) -> None:
        """Raise ``SignatureError`` unless it may be next to the release with this list.

        It may name a newer release, and may have lapsed.
        """
        if self.sequence < sequence:
            raise _wrong(f"names release {self.sequence}, which is before release {sequence}")
        if self.sequence == sequence and self.sha256 != sha256:
            raise _wrong(f"names another list for release {sequence}")
        if _midnight(self.issued) > datetime.now(UTC) + CLOCK_TOLERANCE:
            raise _wrong(f"is dated {self.issued}, which is in the future")


def make_latest(release: Release, key: SigningKey, issued: date, lapses: date) -> bytes:
    """Return the file for a release. Raises ``SignatureError``."""
    sequence, sha256 = release.metadata.sequence, release.manifest_sha256
    latest = Latest(sequence, sha256, issued, lapses, key.public)
    latest.check(sequence, sha256)
    return latest.text + BEGIN + key.sign(latest.text, _COMMENT) + END


def verify_latest(whole: bytes, policy: SigningPolicy) -> None:
    """Raise ``SignatureError`` unless one signer of the policy has signed the file."""
    latest, (text, signature) = Latest.parse(whole), _split(whole)
    if latest.key not in policy.minisign_keys:
        raise _wrong(f"is by {latest.key.fingerprint}, which is no key of a signer")
    comment = latest.key.verify(
        text, signature, name=f"The signature in {NAME}", of="the text above it"
    )
    if comment != _COMMENT:
        raise _wrong(f"was signed as “{comment}”")


def latest_of(release: Release) -> Latest | None:
    """Return what is next to a verified release."""
    return Latest.parse(release.files[NAME].body) if NAME in release.files else None


def _split(whole: bytes) -> tuple[bytes, bytes]:
    text, begin, rest = whole.partition(BEGIN)
    if not begin or not rest.endswith(END):
        raise _wrong("holds no signature, or something after it")
    return text, rest.removesuffix(END)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _wrong(what: str) -> SignatureError:
    return SignatureError(f"{NAME} {what}.", "Make it again with: cccr-web latest", path=NAME)
