"""``mirrors.txt``: every address of the site, signed, for readers and programs.

The form is that of dark.fail's Onion Mirror Guidelines ("OMG"): a line that begins
with ``http://`` or ``https://`` is a mirror, a scheme and a name without port or path,
and nothing else; other text stands behind ``#``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.notices.notice import ORGANISATION, Notice, day_of, signed_words, verify_words
from cccr_web.notices.signed_text import sign_text
from cccr_web.release import PublicKey, SigningKey

NAME: Final = "mirrors.txt"
TITLE: Final = f"# Addresses of {ORGANISATION}"

_FORM: Final = """\
{title}
#
# Date: {date}
# Key: {key}
# Fingerprint: {key.fingerprint}
#
# Each brings the same bytes. An address that is not here is not ours.
# 以下各地址的内容完全相同。不在这里的地址不是我们的。

{urls}

# To check it: save all above the first line of dashes as mirrors-text, the four lines
# between the lines of dashes as mirrors-text.minisig, and run
# minisign -Vm mirrors-text -P {key}

"""
_DATE = re.compile(r"^# Date: ([0-9]{4}-[0-9]{2}-[0-9]{2})$", re.MULTILINE)
_URL = re.compile(
    r"https?://(?:[a-z0-9-]+\.)*[a-z2-7]{56}\.onion|https://(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*"
)


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The addresses, in the order in which readers should try them. Raises ``CccrError``."""

    date: date
    key: PublicKey
    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        for url in self.urls:
            if _URL.fullmatch(url) is None:
                raise CccrError(
                    f"{NAME}: “{url[:100]}” is no address of a mirror.",
                    "Give https://NAME or http://ADDRESS.onion, without port, path or final slash.",
                )
        if not self.urls or len(set(self.urls)) != len(self.urls):
            raise CccrError(f"{NAME} names no address, or one twice.", "Give each once.")

    def text(self) -> bytes:
        """Return the clear text, in its one form."""
        urls = "\n".join(self.urls)
        return _FORM.format(title=TITLE, date=self.date, key=self.key, urls=urls).encode()


def make_mirrors(key: SigningKey, said: date, urls: tuple[str, ...]) -> bytes:
    """Return the whole of ``mirrors.txt``, signed inside. Raises ``CccrError``."""
    return sign_text(Mirrors(said, key.public, urls).text(), (key,), f"mirrors {said}")


def read_mirrors(whole: bytes, key: PublicKey) -> Notice:
    """Check ``mirrors.txt`` by ``key``. Raises ``CccrError`` or ``SignatureError``."""
    words = signed_words(whole, NAME)
    urls = tuple(line for line in words.splitlines() if line.startswith("http"))
    said = Mirrors(day_of(NAME, _DATE, words), key, urls)
    if said.text().decode() != words:
        raise CccrError(
            f"{NAME} is not in the form that “cccr-web mirrors” gives it with the key "
            f"{key.fingerprint}.",
            "Make it anew.",
        )
    verify_words(whole, key, name=NAME)
    return Notice(said.date)
