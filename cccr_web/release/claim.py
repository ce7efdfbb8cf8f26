"""What a release says of itself, before any of its files is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cccr_web.errors import ChangedFileError, ReleaseError
from cccr_web.release import manifest, metadata
from cccr_web.release.metadata import Metadata
from cccr_web.release.model import File, Release
from cccr_web.release.signature import PublicKey
from cccr_web.release.signing import verify_facts, verify_manifest

# Bytes of a signature or of RELEASE.json: a hundred times what they have.
_SMALL: Final = 64 * 1024


def read_claim(read: Callable[[str, int], bytes], key: PublicKey) -> Release:
    """Return the release that a signed list names, its files by their hashes, without their bytes.

    ``read`` returns a file, given its path and the most bytes it may have. Raises
    ``ReleaseError`` unless ``key`` signed the list and ``RELEASE.json`` agrees with it.
    """
    sums = read(manifest.NAME, manifest.MAX_BYTES)
    signatures = {name: read(name, _SMALL) for name in (manifest.MINISIG, manifest.SSHSIG)}
    comment = verify_manifest(sums, signatures, key)
    if " openpgp:" in comment:
        signatures[manifest.OPENPGP] = read(manifest.OPENPGP, _SMALL)
    listed = manifest.parse_manifest(sums)
    if metadata.NAME not in listed:
        raise ReleaseError(f"{manifest.NAME} does not list {metadata.NAME}.")
    text = read(metadata.NAME, _SMALL)
    if manifest.digest(text) != listed[metadata.NAME]:
        raise ChangedFileError(metadata.NAME, manifest.digest(text), listed[metadata.NAME])
    facts = Metadata.from_json(text)
    verify_facts(comment, facts, signatures, key)
    hashes = {name: manifest.digest(body) for name, body in signatures.items()}
    hashes |= {manifest.NAME: manifest.digest(sums), **listed}
    return Release({path: File(b"", hashes[path]) for path in sorted(hashes)}, facts)
