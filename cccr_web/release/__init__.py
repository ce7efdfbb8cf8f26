"""A release: a folder with exactly the bytes that readers get, listed, signed and verified."""

from cccr_web.release.archive import NAME as ARCHIVE
from cccr_web.release.archive import Archive, deflate, pack_zip, with_archive
from cccr_web.release.folder import NO_JEKYLL, ReleaseFolder, printable
from cccr_web.release.keys import (
    ORGANISATION,
    PublicKey,
    SigningKey,
    new_key,
    read_locked_key,
    read_public_key,
)
from cccr_web.release.manifest import MAX_FILE, MINISIG, SIGNATURES, is_safe_path, is_signature
from cccr_web.release.manifest import NAME as MANIFEST
from cccr_web.release.metadata import NAME as METADATA
from cccr_web.release.metadata import Expiry, Metadata, format_policy, format_time, page_policy
from cccr_web.release.model import (
    ERROR_PAGES,
    INDEX,
    File,
    Release,
    is_html,
    make_release,
    media_type,
)
from cccr_web.release.openpgp import (
    key_fingerprints,
    strip_clear_signature,
    unix_lines,
)
from cccr_web.release.openpgp import sign as sign_with_gpg
from cccr_web.release.policy import NAME as POLICY
from cccr_web.release.policy import PolicySigner, SigningPolicy, Trusted, read_policy
from cccr_web.release.policy_chain import NAME as KEYS
from cccr_web.release.policy_chain import PolicyChain, is_chain, policies_of, sign_policy
from cccr_web.release.record import NAME as RECORD
from cccr_web.release.record import (
    check_before,
    compare_record,
    parse_record,
    record_after,
    record_of,
)
from cccr_web.release.request import read_request, write_request
from cccr_web.release.rollback_guard import (
    RollbackGuard,
    reject_expired,
    reject_future,
    reject_older,
)
from cccr_web.release.signed_manifest import (
    Read,
    Signer,
    Verify,
    add_signature,
    check_file,
    read_signed_manifest,
    release_policy,
    verify_signatures,
    with_signatures,
)
from cccr_web.release.sshsig import allowed_signers, sign_with_ssh_keygen
from cccr_web.release.store import (
    MAX_TOTAL,
    MEGABYTE,
    differences,
    load,
    open_unverified,
    read_files,
    reject_larger,
    reject_loss,
    write,
)
from cccr_web.release.verify_subprocess import verify_in_subprocess

__all__ = [
    "ARCHIVE",
    "ERROR_PAGES",
    "INDEX",
    "KEYS",
    "MANIFEST",
    "MAX_FILE",
    "MAX_TOTAL",
    "MEGABYTE",
    "METADATA",
    "MINISIG",
    "NO_JEKYLL",
    "ORGANISATION",
    "POLICY",
    "RECORD",
    "SIGNATURES",
    "Archive",
    "Expiry",
    "File",
    "Metadata",
    "PolicyChain",
    "PolicySigner",
    "PublicKey",
    "Read",
    "Release",
    "ReleaseFolder",
    "RollbackGuard",
    "Signer",
    "SigningKey",
    "SigningPolicy",
    "Trusted",
    "Verify",
    "add_signature",
    "allowed_signers",
    "check_before",
    "check_file",
    "compare_record",
    "deflate",
    "differences",
    "format_policy",
    "format_time",
    "is_chain",
    "is_html",
    "is_safe_path",
    "is_signature",
    "key_fingerprints",
    "load",
    "make_release",
    "media_type",
    "new_key",
    "open_unverified",
    "pack_zip",
    "page_policy",
    "parse_record",
    "policies_of",
    "printable",
    "read_files",
    "read_locked_key",
    "read_policy",
    "read_public_key",
    "read_request",
    "read_signed_manifest",
    "record_after",
    "record_of",
    "reject_expired",
    "reject_future",
    "reject_larger",
    "reject_loss",
    "reject_older",
    "release_policy",
    "sign_policy",
    "sign_with_gpg",
    "sign_with_ssh_keygen",
    "strip_clear_signature",
    "unix_lines",
    "verify_in_subprocess",
    "verify_signatures",
    "with_archive",
    "with_signatures",
    "write",
    "write_request",
]
