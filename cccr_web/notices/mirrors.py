"""``mirrors.txt``: every address of the site, signed, for readers and programs.

The format is that of dark.fail's Onion Mirror Guidelines ("OMG"): a line that begins
with ``http://`` or ``https://`` is a mirror, which is a scheme and a name without port or
path; all other text follows a ``#``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from cccr_web.errors import CccrError
from cccr_web.facts import CLEARNET, ONION
from cccr_web.notices.signed_text import BILINGUAL_NAME, DAY, KEY, LINES, NoticeFormat, sign_text
from cccr_web.release import PublicKey, SigningKey, unix_lines

NAME: Final = "mirrors.txt"
TITLE: Final = f"# Addresses of {BILINGUAL_NAME}"

_TEMPLATE: Final = (
    TITLE
    + """
#
# Date: {issued}
# Key: {key}
# Fingerprint: {key.fingerprint}
#
%s

{urls}

# To check it: save all above the first line of dashes as mirrors-text, the four lines
# between the lines of dashes as mirrors-text.minisig, and run
# minisign -Vm mirrors-text -P {key}

"""
)
_MEANING: Final = """\
# Each serves the same signed files. The site's page “Official addresses” says which of
# them are the organisation's own, and which are copies that others keep.
# 以下各地址提供同样的、经过签名的文件。哪些是本组织自己的，哪些是别人代为保存的副本，
# 见本站《官方地址》。"""
# What it said when only the organisation's own addresses were listed: such files stay valid.
_EARLIER_MEANING: Final = """\
# Each brings the same bytes. An address that is not here is not ours.
# 以下各地址的内容完全相同。不在这里的地址不是我们的。"""
_URL = re.compile(rf"https?://(?:[a-z0-9-]+\.)*{ONION.pattern}|{CLEARNET.pattern}")


@dataclass(frozen=True, slots=True)
class Mirrors:
    """The addresses, official ones and copies, in the order in which readers should try them.

    Raises ``CccrError``.
    """

    issued: date
    key: PublicKey
    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        for url in self.urls:
            if _URL.fullmatch(url) is None:
                raise CccrError(
                    f"{NAME}: “{url[:100]}” is not the address of a mirror.",
                    "Use https://NAME or http://ADDRESS.onion, without port, path or final slash.",
                )
        if not self.urls or len(set(self.urls)) != len(self.urls):
            raise CccrError(f"{NAME} has no address, or one twice.", "Pass each address once.")


def _format(meaning: str) -> NoticeFormat[Mirrors]:
    return NoticeFormat(
        NAME,
        _TEMPLATE % meaning,
        {"issued": DAY, "key": KEY, "urls": LINES},
        Mirrors,
        "Make it with: cccr-web mirrors",
    )


_FORMAT: Final = _format(_MEANING)
_EARLIER_FORMAT: Final = _format(_EARLIER_MEANING)


def make_mirrors(key: SigningKey, day: date, urls: tuple[str, ...]) -> bytes:
    """Return ``mirrors.txt``, signed. Raises ``CccrError``."""
    text = _FORMAT.format(Mirrors(day, key.public, urls))
    return sign_text(text, key, f"mirrors {day}")


def read_mirrors(body: bytes, *, verify: bool = True) -> Mirrors:
    """Return what a ``mirrors.txt`` says. Raises as ``NoticeFormat.read`` does."""
    earlier = _EARLIER_MEANING.encode() in unix_lines(body)
    return (_EARLIER_FORMAT if earlier else _FORMAT).read(body, verify=verify)
