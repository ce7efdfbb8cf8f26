"""Small signed texts of a release: canary, mirrors, key rotation, security.txt."""

from cccr_web.notices.canary import NAME as CANARY
from cccr_web.notices.canary import make_canary
from cccr_web.notices.key_rotation import (
    KeyRotation,
    check_key_rotation,
    read_key_rotation,
    rotate_key,
)
from cccr_web.notices.mirrors import make_mirrors
from cccr_web.notices.registry import NAMES as NOTICES
from cccr_web.notices.registry import Notice, read_notice, reject_overdue_canary, write_notice
from cccr_web.notices.security_txt import MAX_AHEAD as SECURITY_TXT_AHEAD
from cccr_web.notices.security_txt import make_security_txt
from cccr_web.notices.signed_text import sign_text

__all__ = [
    "CANARY",
    "NOTICES",
    "SECURITY_TXT_AHEAD",
    "KeyRotation",
    "Notice",
    "check_key_rotation",
    "make_canary",
    "make_mirrors",
    "make_security_txt",
    "read_key_rotation",
    "read_notice",
    "reject_overdue_canary",
    "rotate_key",
    "sign_text",
    "write_notice",
]
