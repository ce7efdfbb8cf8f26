"""A release: a folder of exactly the bytes that readers get, listed, signed and checked."""

from cccr_web.release.apart import KeyApart
from cccr_web.release.archive import NAME as ARCHIVE
from cccr_web.release.archive import make_archive, with_archive
from cccr_web.release.canary import make_canary
from cccr_web.release.claim import ChangedFileError, read_claim
from cccr_web.release.csp import format_policy, page_policy
from cccr_web.release.handover import Handover, check_handover, hand_over, read_handover
from cccr_web.release.history import History, refuse_expired, refuse_future
from cccr_web.release.keys import new_key, read_locked_key, read_public_key, write_new
from cccr_web.release.manifest import ManifestError
from cccr_web.release.metadata import Metadata, MetadataError
from cccr_web.release.mirrors import make_mirrors
from cccr_web.release.model import File, Release, make_release
from cccr_web.release.notice import Notice
from cccr_web.release.notices import NAMES as NOTICES
from cccr_web.release.notices import read_notice, refuse_old_canary, write_notice
from cccr_web.release.security_txt import MAX_AHEAD as SECURITY_TXT_AHEAD
from cccr_web.release.security_txt import make_security_txt
from cccr_web.release.signature import PublicKey, SignatureError, SigningKey
from cccr_web.release.signed_text import sign_text, split_text, verify_text
from cccr_web.release.signing import Signer
from cccr_web.release.sshsig import allowed_signers
from cccr_web.release.store import MAX_FILE, MAX_TOTAL, differences, load, write

__all__ = [
    "ARCHIVE",
    "MAX_FILE",
    "MAX_TOTAL",
    "NOTICES",
    "SECURITY_TXT_AHEAD",
    "ChangedFileError",
    "File",
    "Handover",
    "History",
    "KeyApart",
    "ManifestError",
    "Metadata",
    "MetadataError",
    "Notice",
    "PublicKey",
    "Release",
    "SignatureError",
    "Signer",
    "SigningKey",
    "allowed_signers",
    "check_handover",
    "differences",
    "format_policy",
    "hand_over",
    "load",
    "make_archive",
    "make_canary",
    "make_mirrors",
    "make_release",
    "make_security_txt",
    "new_key",
    "page_policy",
    "read_claim",
    "read_handover",
    "read_locked_key",
    "read_notice",
    "read_public_key",
    "refuse_expired",
    "refuse_future",
    "refuse_old_canary",
    "sign_text",
    "split_text",
    "verify_text",
    "with_archive",
    "write",
    "write_new",
    "write_notice",
]
