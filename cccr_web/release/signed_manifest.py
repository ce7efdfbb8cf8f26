"""The manifest and its signatures: how a release is signed, and in which order it is verified."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cccr_web.errors import (
    CccrError,
    ChangedFileError,
    MissingFileError,
    ReleaseError,
    SignatureError,
)
from cccr_web.release import archive, manifest, metadata, openpgp, sshsig
from cccr_web.release.keys import PublicKey, SigningKey
from cccr_web.release.manifest import MINISIG, NAME, OPENPGP, SSHSIG
from cccr_web.release.metadata import Metadata, format_time
from cccr_web.release.model import File, Release, bodies, complete

Read = Callable[[str, int], bytes]
Verify = Callable[[bytes, Mapping[str, bytes], PublicKey], str]

# In bytes: a hundred times what a signature or RELEASE.json has.
_MAX_SMALL: Final = 64 * 1024

_OPENPGP_FIELD: Final = " openpgp:"


@dataclass(frozen=True, slots=True)
class Signer:
    """The organisation's key, and the name of its key in gpg if it has one."""

    key: SigningKey
    openpgp: str | None = None

    def sign(self, release: Release) -> Release:
        """Return ``release`` signed: its own manifest, and the manifest inside its ZIP.

        Without an OpenPGP key the same release always becomes the same bytes.
        Raises ``CccrError`` unless ``RELEASE.json`` names this key.
        """
        facts = release.metadata
        named, ours = facts.fingerprint, self.key.public.fingerprint
        if named is None:
            raise CccrError(
                f"{metadata.NAME} names no key, so no page shows its fingerprint.",
                f'Write public_key = "{self.key.public}" into site.toml and build.',
            )
        if named != ours:
            raise CccrError(
                f"{metadata.NAME} names the key {named}, not this one, {ours}.",
                "Sign with the organisation's key, or correct public_key in site.toml and build.",
            )
        listed = release.listed
        if archive.NAME in listed:
            inner = {path: file for path, file in listed.items() if path != archive.NAME}
            extra = self._extra(inner, facts)
            packed = archive.make_archive({**bodies(inner), **extra}, facts.time)
            listed[archive.NAME] = File.of(packed)
        return complete(listed, self._extra(listed, facts), facts)

    def _extra(self, listed: Mapping[str, File], facts: Metadata) -> dict[str, bytes]:
        """Return the manifest of the ``listed`` files, and its signatures."""
        sums = manifest.format_manifest({path: file.sha256 for path, file in listed.items()})
        extra = {NAME: sums, SSHSIG: sshsig.sign(sums, self.key)}
        if self.openpgp is not None:
            extra[OPENPGP] = openpgp.sign(sums, self.openpgp)
        extra[MINISIG] = self.key.sign(sums, trusted_comment(facts, extra.get(OPENPGP)))
        return extra


def trusted_comment(facts: Metadata, armour: bytes | None) -> str:
    """Return minisign's trusted comment: the facts, and the hash of the OpenPGP signature."""
    comment = (
        f"sequence:{facts.sequence} "
        f"issued:{format_time(facts.time)} expires:{format_time(facts.expires)}"
    )
    if armour is None:
        return comment
    return f"{comment}{_OPENPGP_FIELD}{manifest.digest(armour)}"


def verify_signatures(sums: bytes, signatures: Mapping[str, bytes], key: PublicKey) -> str:
    """Verify both signatures by ``key`` over the manifest; return the trusted comment.

    Raises ``SignatureError``.
    """
    for name in (MINISIG, SSHSIG):
        if name not in signatures:
            raise SignatureError(f"{name} is missing: the release is not signed.", path=name)
    comment = key.verify(sums, signatures[MINISIG], name=MINISIG, of=NAME)
    sshsig.verify(sums, signatures[SSHSIG], key, name=SSHSIG, of=NAME)
    return comment


def read_signed_manifest(
    read: Read, key: PublicKey | None, verify: Verify = verify_signatures
) -> Release:
    """Verify a release in the one order: manifest, signatures, ``RELEASE.json``, facts.

    ``read`` takes the path of a file and the most bytes that it may have. Nothing is parsed
    before ``verify`` has checked its signature; without a ``key`` nothing is verified.
    Returns the release with the hashes of its other files, but without their bytes.
    Raises ``ReleaseError``.
    """
    sums = read(NAME, manifest.MAX_BYTES)
    signatures = dict(_present(read, MINISIG, SSHSIG))
    comment = verify(sums, signatures, key) if key else ""
    # An OpenPGP signature that minisign's does not name is not part of the release.
    if key is None or _OPENPGP_FIELD in comment:
        signatures |= _present(read, OPENPGP)
    listed = {path: File(b"", sha256) for path, sha256 in manifest.parse_manifest(sums).items()}
    if metadata.NAME not in listed:
        raise ReleaseError(f"{NAME} does not list {metadata.NAME}.")
    listed[metadata.NAME] = check_file(metadata.NAME, read(metadata.NAME, _MAX_SMALL), listed)
    facts = Metadata.from_json(listed[metadata.NAME].body)
    if key:
        _verify_facts(comment, facts, signatures.get(OPENPGP), key)
    return complete(listed, {NAME: sums, **signatures}, facts)


def _verify_facts(comment: str, facts: Metadata, armour: bytes | None, key: PublicKey) -> None:
    """Raise ``SignatureError`` unless ``RELEASE.json`` agrees with the trusted comment."""
    if comment.partition(_OPENPGP_FIELD)[0] != trusted_comment(facts, None):
        raise SignatureError(
            f"{MINISIG} was made for “{comment}”, but {metadata.NAME} says otherwise."
        )
    if comment != trusted_comment(facts, armour):
        raise unknown_openpgp_signature()
    if facts.fingerprint != key.fingerprint:
        raise SignatureError(
            f"{metadata.NAME} names the key {facts.fingerprint}, but {key.fingerprint} signed.",
            path=metadata.NAME,
        )


def unknown_openpgp_signature() -> SignatureError:
    """Return the error of an OpenPGP signature that the minisign signature does not name."""
    return SignatureError(
        f"{OPENPGP} is missing, or not the one that {MINISIG} names.", path=OPENPGP
    )


def _present(read: Read, *names: str) -> Iterator[tuple[str, bytes]]:
    for name in names:
        with contextlib.suppress(MissingFileError):
            yield name, read(name, _MAX_SMALL)


def check_file(path: str, body: bytes, listed: Mapping[str, File]) -> File:
    """Return a listed file. Raises ``ChangedFileError`` if its hash is not the listed one."""
    file = File.of(body)
    if file.sha256 != listed[path].sha256:
        swapped = (other for other, known in listed.items() if known.sha256 == file.sha256)
        raise ChangedFileError(path, file.sha256, listed[path].sha256, next(swapped, None))
    return file
