"""What of a release is signed, and what must be so before a signature counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from cccr_web.errors import CccrError, SignatureError
from cccr_web.release import archive, metadata, openpgp, sshsig
from cccr_web.release.manifest import MINISIG, NAME, OPENPGP, SSHSIG
from cccr_web.release.metadata import Metadata, format_time
from cccr_web.release.model import File, Release, bodies, complete, format_list
from cccr_web.release.signature import PublicKey, SigningKey


@dataclass(frozen=True, slots=True)
class Signer:
    """The organisation's key, and the name of its key in gpg if it has one."""

    key: SigningKey
    openpgp: str | None = None

    def sign(self, release: Release) -> Release:
        """Return ``release`` signed: its own list, and the list inside its ZIP.

        Without an OpenPGP key the same release always becomes the same bytes.
        Raises ``CccrError`` unless ``RELEASE.json`` names this key.
        """
        facts = release.metadata
        named, ours = facts.fingerprint, self.key.public.fingerprint
        if named is None:
            raise CccrError(
                f"{metadata.NAME} names no key, so no page shows its fingerprint.",
                f'Write public_key = "{self.key.public}" into translations/site.toml and build.',
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
        """Return the manifest over ``listed`` and its signatures."""
        sums = format_list(listed)
        extra = {NAME: sums, SSHSIG: sshsig.sign(sums, self.key)}
        if self.openpgp is not None:
            extra[OPENPGP] = openpgp.sign(sums, self.openpgp)
        extra[MINISIG] = self.key.sign(sums, trusted_comment(facts, extra.get(OPENPGP)))
        return extra


def trusted_comment(facts: Metadata, armour: bytes | None) -> str:
    """Return what minisign signs beside the list: the facts, and the OpenPGP signature's hash."""
    comment = (
        f"sequence:{facts.sequence} "
        f"issued:{format_time(facts.time)} expires:{format_time(facts.expires)}"
    )
    return comment if armour is None else f"{comment} openpgp:{hashlib.sha256(armour).hexdigest()}"


def verify_manifest(sums: bytes, signatures: Mapping[str, bytes], key: PublicKey) -> str:
    """Check both signatures by ``key`` over the manifest; return the trusted comment.

    Nothing of the release is read before this is done. Raises ``SignatureError``.
    """
    for name in (MINISIG, SSHSIG):
        if name not in signatures:
            raise SignatureError(f"{name} is missing: the release is not signed.")
    comment = key.verify(sums, signatures[MINISIG], name=MINISIG, of=NAME)
    sshsig.verify(sums, signatures[SSHSIG], key, name=SSHSIG, of=NAME)
    return comment


def verify_facts(
    comment: str, facts: Metadata, signatures: Mapping[str, bytes], key: PublicKey
) -> None:
    """Raise ``SignatureError`` unless ``RELEASE.json`` says what was signed with the list."""
    if comment.partition(" openpgp:")[0] != trusted_comment(facts, None):
        raise SignatureError(
            f"{MINISIG} was made for “{comment}”, and {metadata.NAME} says otherwise."
        )
    if comment != trusted_comment(facts, signatures.get(OPENPGP)):
        raise SignatureError(f"{OPENPGP} is missing, or not the one that {MINISIG} names.")
    if facts.fingerprint != key.fingerprint:
        raise SignatureError(
            f"{metadata.NAME} names the key {facts.fingerprint}, but {key.fingerprint} signed."
        )
