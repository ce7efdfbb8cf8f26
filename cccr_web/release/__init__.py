"""A release: a folder of exactly the bytes that readers get, listed, signed and checked."""

from cccr_web.release.archive import make_archive, with_archive
from cccr_web.release.csp import format_policy, page_policy
from cccr_web.release.history import History, refuse_future
from cccr_web.release.manifest import ManifestError
from cccr_web.release.metadata import Metadata, MetadataError
from cccr_web.release.model import File, Release, make_release
from cccr_web.release.signature import PublicKey, SignatureError, SigningKey
from cccr_web.release.signing import Signer
from cccr_web.release.sshsig import allowed_signers
from cccr_web.release.store import differences, load, write

__all__ = [
    "File",
    "History",
    "ManifestError",
    "Metadata",
    "MetadataError",
    "PublicKey",
    "Release",
    "SignatureError",
    "Signer",
    "SigningKey",
    "allowed_signers",
    "differences",
    "format_policy",
    "load",
    "make_archive",
    "make_release",
    "page_policy",
    "refuse_future",
    "with_archive",
    "write",
]
