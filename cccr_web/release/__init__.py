"""A release: a folder of exactly the bytes that readers get, listed, signed and checked."""

from cccr_web.release.apart import KeyApart
from cccr_web.release.archive import NAME as ARCHIVE
from cccr_web.release.archive import make_archive, pack_zip, with_archive
from cccr_web.release.claim import read_claim
from cccr_web.release.csp import format_policy, page_policy
from cccr_web.release.history import History, refuse_expired, refuse_future
from cccr_web.release.keys import new_key, read_locked_key, read_public_key, write_new
from cccr_web.release.manifest import SIGNATURES
from cccr_web.release.metadata import Metadata, format_time
from cccr_web.release.model import File, Release, make_release
from cccr_web.release.openpgp import sign_clear, strip_clear_signature
from cccr_web.release.signature import PublicKey, SigningKey
from cccr_web.release.signing import Signer
from cccr_web.release.sshsig import allowed_signers
from cccr_web.release.store import MAX_FILE, MAX_TOTAL, differences, load, write

__all__ = [
    "ARCHIVE",
    "MAX_FILE",
    "MAX_TOTAL",
    "SIGNATURES",
    "File",
    "History",
    "KeyApart",
    "Metadata",
    "PublicKey",
    "Release",
    "Signer",
    "SigningKey",
    "allowed_signers",
    "differences",
    "format_policy",
    "format_time",
    "load",
    "make_archive",
    "make_release",
    "new_key",
    "pack_zip",
    "page_policy",
    "read_claim",
    "read_locked_key",
    "read_public_key",
    "refuse_expired",
    "refuse_future",
    "sign_clear",
    "strip_clear_signature",
    "with_archive",
    "write",
    "write_new",
]
