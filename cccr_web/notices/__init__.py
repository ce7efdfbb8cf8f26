"""Small signed texts of a release: canary, mirrors, security.txt."""

from cccr_web.notices.canary import NAME as CANARY
from cccr_web.notices.canary import make_canary
from cccr_web.notices.canary import valid_until as canary_valid_until
from cccr_web.notices.mirrors import NAME as MIRRORS
from cccr_web.notices.mirrors import make_mirrors, read_mirrors
from cccr_web.notices.promotion import make_promotion, read_promotion
from cccr_web.notices.registry import NAMES as NOTICES
from cccr_web.notices.registry import (
    PGP,
    check_notices,
    expired_notices,
    read_notice,
    reject_expired_notices,
    write_notice,
)
from cccr_web.notices.security_txt import MAX_AHEAD as SECURITY_TXT_AHEAD
from cccr_web.notices.security_txt import NAME as SECURITY_TXT
from cccr_web.notices.security_txt import make_security_txt
from cccr_web.notices.signed_text import MAX_AGE, Notice, midnight

__all__ = [
    "CANARY",
    "MAX_AGE",
    "MIRRORS",
    "NOTICES",
    "PGP",
    "SECURITY_TXT",
    "SECURITY_TXT_AHEAD",
    "Notice",
    "canary_valid_until",
    "check_notices",
    "expired_notices",
    "make_canary",
    "make_mirrors",
    "make_promotion",
    "make_security_txt",
    "midnight",
    "read_mirrors",
    "read_notice",
    "read_promotion",
    "reject_expired_notices",
    "write_notice",
]
