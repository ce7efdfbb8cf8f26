"""Small signed texts of a release: canary, mirrors, key rotation, security.txt."""

from cccr_web.notices.canary import make_canary
from cccr_web.notices.key_rotation import Handover, check_handover, hand_over, read_handover
from cccr_web.notices.mirrors import make_mirrors
from cccr_web.notices.notice import Notice
from cccr_web.notices.reader import NAMES as NOTICES
from cccr_web.notices.reader import read_notice, refuse_old_canary, write_notice
from cccr_web.notices.security_txt import MAX_AHEAD as SECURITY_TXT_AHEAD
from cccr_web.notices.security_txt import make_security_txt
from cccr_web.notices.signed_text import sign_text, split_text, verify_text

__all__ = [
    "NOTICES",
    "SECURITY_TXT_AHEAD",
    "Handover",
    "Notice",
    "check_handover",
    "hand_over",
    "make_canary",
    "make_mirrors",
    "make_security_txt",
    "read_handover",
    "read_notice",
    "refuse_old_canary",
    "sign_text",
    "split_text",
    "verify_text",
    "write_notice",
]
