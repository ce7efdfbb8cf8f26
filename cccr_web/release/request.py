"""A signing request: what a signer needs of a release under a policy, and no more.

It is a ZIP as ``archive.py`` packs it, of ``SHA256SUMS``, ``RELEASE.json``, ``policy.txt``,
``releases.txt`` and the signatures so far: small enough for a message. Signing adds one to it.
"""

from __future__ import annotations

from pathlib import Path

from cccr_web import files
from cccr_web.errors import ReleaseError
from cccr_web.release import archive, manifest, metadata
from cccr_web.release.archive import Archive
from cccr_web.release.folder import ReleaseFolder, printable
from cccr_web.release.model import Release
from cccr_web.release.policy import NAME as POLICY
from cccr_web.release.policy import SigningPolicy
from cccr_web.release.record import NAME as RECORD
from cccr_web.release.signed_manifest import read_signed_manifest

# In bytes: the longest list, which compresses to half, and some signatures.
_MAX: int = manifest.MAX_BYTES


def read_request(file: Path) -> tuple[Release, SigningPolicy]:
    """Read a signing request, and its policy.

    The release has the hashes of its other files, but not their bytes. The list, ``RELEASE.json``
    and the policy agree with each other, and the signatures are by signers of the policy. Raises
    ``ReleaseError``.
    """
    with ReleaseFolder.open(file.parent) as around:
        packed = around.read(file.name, _MAX)
    reader = Archive(packed, file.name)
    release = read_signed_manifest(reader.read, None, without_zip=True)
    if not release.metadata.has_policy:
        raise ReleaseError(f"{file} is not a signing request: one key signs its release.")
    reader.check_time(release.metadata.time)
    for extra in reader.unlisted({*_parts(release)}):
        raise ReleaseError(f"{file} is not a signing request: it holds {printable(extra)}.")
    sums = release.files[manifest.NAME].body
    policy = SigningPolicy.parse(release.files[POLICY].body)
    policy.signed_by(sums, release.signatures)
    return release, policy


def write_request(release: Release, file: Path) -> None:
    """Write the signing request of a release, in one step. Raises ``CccrError``."""
    body = archive.make_archive(_parts(release), release.metadata.time)
    with files.writing(file, "Check the disk and the permissions."):
        files.replace(file, body)


def _parts(release: Release) -> dict[str, bytes]:
    names = (manifest.NAME, metadata.NAME, POLICY, RECORD)
    parts = {name: release.files[name].body for name in names if name in release.files}
    return {**parts, **release.signatures}
