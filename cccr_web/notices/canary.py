"""``canary.txt``: statements that are true today, and the day of the next canary.

Modelled on the canaries of Qubes OS: numbered statements, the day of the next canary, and a
proof of freshness, such as headlines or the hash of a block, so that nobody can prepare a
series of them in advance. Readers are warned when it stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.signed_text import (
    BILINGUAL_NAME,
    DAY,
    KEY,
    LINES,
    NUMBERED_LINES,
    NoticeFormat,
    midnight,
    sign_text,
)
from cccr_web.release import PublicKey, SigningKey

NAME: Final = "canary.txt"
TITLE: Final = f"Canary of {BILINGUAL_NAME}"

# Half a year: a longer silence would not warn anybody in time.
_MAX_AHEAD: Final = timedelta(days=186)

_TEMPLATE: Final = (
    TITLE
    + """

Date: {issued}
Next canary by: {next}
Key: {key}
Fingerprint: {key.fingerprint}

Whoever holds this key states (持有此密钥者声明):

{statements}

If no new canary has come by the day above, or if a statement is gone from it
without a reason, take that for a warning.
如果到上述日期还没有新的声明，或者其中一条无故消失，请把它看作警告。

Proof that this was not written before its date (证明本声明并非事先写好):

{proof}

To check it: save all above the first line of dashes as canary-text, the four lines
between the lines of dashes as canary-text.minisig, and run
minisign -Vm canary-text -P {key}

"""
)


@dataclass(frozen=True, slots=True)
class Canary:
    """The statements of a canary, its day and the day of the next one. Raises ``CccrError``."""

    issued: date
    next: date
    key: PublicKey
    statements: tuple[str, ...]
    proof: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.issued < self.next <= self.issued + _MAX_AHEAD:
            raise CccrError(
                f"{NAME}: the next canary after {self.issued} is due on {self.next}.",
                f"Choose a later day, but at most {_MAX_AHEAD.days} days later.",
            )
        if not self.statements or not self.proof:
            raise CccrError(
                f"{NAME} has no statement, or no proof of its date.",
                "Pass at least one --statement and one --proof.",
            )
        for line in self.statements + self.proof:
            _check_line(line)


def _check_line(line: str) -> None:
    """Raise ``CccrError`` for a line that could be mistaken for another part of the notice."""
    if not line.strip() or line != line.strip() or not line.isprintable() or len(line) > 1000:
        raise CccrError(
            f"{NAME}: {line[:60]!a} is not a line of text.",
            "Write one line of at most 1,000 characters, without space around it.",
        )


def valid_until(next_day: date) -> datetime:
    """Return when a canary expires: at the end of the day by which the next one is due, in UTC."""
    return midnight(next_day + timedelta(days=1))


FORMAT: Final = NoticeFormat(
    NAME,
    _TEMPLATE,
    {"issued": DAY, "next": DAY, "key": KEY, "statements": NUMBERED_LINES, "proof": LINES},
    Canary,
    "Make it with: cccr-web canary",
)


def make_canary(
    key: SigningKey,
    day: date,
    next_day: date,
    statements: tuple[str, ...],
    proof: tuple[str, ...],
) -> bytes:
    """Return ``canary.txt``, signed. Raises ``CccrError``."""
    canary = Canary(day, next_day, key.public, statements, proof)
    return sign_text(FORMAT.format(canary), key, f"canary {day}")
