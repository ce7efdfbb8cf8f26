"""``canary.txt``: statements that are true today, and the day by which they are made again.

Modelled on the canaries of Qubes OS: numbered statements, the day of the next one,
and a proof of freshness, such as headlines or the hash of a block, so that a row of
them cannot have been made in advance. A reader learns something when it stops.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.notice import (
    ORGANISATION,
    Notice,
    day_of,
    end_of,
    refuse_foreign_lines,
    signed_words,
    verify_words,
)
from cccr_web.notices.signed_text import sign_text
from cccr_web.release import PublicKey, SigningKey

NAME: Final = "canary.txt"
TITLE: Final = f"Canary of {ORGANISATION}"

# Half a year: whoever waits longer for bad news does not wait for it any more.
MAX_AHEAD: Final = timedelta(days=186)

_FORM: Final = """\
{title}

Date: {said}
Next canary by: {following}
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
_DATE = re.compile(r"^Date: ([0-9]{4}-[0-9]{2}-[0-9]{2})$", re.MULTILINE)
_NEXT = re.compile(r"^Next canary by: ([0-9]{4}-[0-9]{2}-[0-9]{2})$", re.MULTILINE)
_STATEMENTS = re.compile(r"^Whoever .*:\n\n((?:[0-9]+\. .+\n)+)\nIf no new", re.MULTILINE)
_PROOF = re.compile(r"^Proof that .*:\n\n((?:.+\n)+)\nTo check it", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Canary:
    """Who states what, on which day, and by which day again. Raises ``CccrError``."""

    said: date
    following: date
    key: PublicKey
    statements: tuple[str, ...]
    proof: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.said < self.following <= self.said + MAX_AHEAD:
            raise CccrError(
                f"{NAME}: the next canary after {self.said} is due on {self.following}.",
                f"Choose a day after it, and not more than {MAX_AHEAD.days} days.",
            )
        if not self.statements or not self.proof:
            raise CccrError(
                f"{NAME} states nothing, or brings no proof of its date.",
                "Give at least one --statement and one --proof.",
            )
        refuse_foreign_lines(NAME, self.statements + self.proof)

    def text(self) -> bytes:
        """Return the clear text, in its one form."""
        numbered = (f"{number}. {line}" for number, line in enumerate(self.statements, start=1))
        return _FORM.format(
            title=TITLE,
            said=self.said,
            following=self.following,
            key=self.key,
            statements="\n".join(numbered),
            proof="\n".join(self.proof),
        ).encode()


def make_canary(
    key: SigningKey,
    said: date,
    following: date,
    statements: tuple[str, ...],
    proof: tuple[str, ...],
) -> bytes:
    """Return the whole of ``canary.txt``, signed inside. Raises ``CccrError``."""
    canary = Canary(said, following, key.public, statements, proof)
    return sign_text(canary.text(), (key,), f"canary {said}")


def read_canary(whole: bytes, key: PublicKey) -> Notice:
    """Check ``canary.txt`` by ``key``. Raises ``CccrError`` or ``SignatureError``."""
    words = signed_words(whole, NAME)
    statements, proof = _STATEMENTS.search(words), _PROOF.search(words)
    found = Canary(
        day_of(NAME, _DATE, words),
        day_of(NAME, _NEXT, words),
        key,
        tuple(line.partition(". ")[2] for line in statements[1].splitlines()) if statements else (),
        tuple(proof[1].splitlines()) if proof else (),
    )
    if found.text().decode() != words:
        raise CccrError(
            f"{NAME} is not in the form that “cccr-web canary” gives it with the key "
            f"{key.fingerprint}.",
            "Make it anew.",
        )
    verify_words(whole, key, name=NAME)
    return Notice(found.said, end_of(found.following))
