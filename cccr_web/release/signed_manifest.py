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
from cccr_web.release.keys import SigningKey
from cccr_web.release.manifest import MINISIG, NAME, OPENPGP, SSHSIG
from cccr_web.release.metadata import Metadata, format_time
from cccr_web.release.model import File, Release, bodies, complete
from cccr_web.release.policy import NAME as POLICY
from cccr_web.release.policy import SigningPolicy, Trusted
from cccr_web.release.policy_chain import NAME as KEYS
from cccr_web.release.policy_chain import follow
from cccr_web.release.record import MAX_BYTES as MAX_RECORD
from cccr_web.release.record import NAME as RECORD
from cccr_web.release.record import check_record

Read = Callable[[str, int], bytes]
Verify = Callable[[bytes, Mapping[str, bytes], Trusted], str]

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


def release_policy(release: Release) -> SigningPolicy | None:
    """Return the policy that a release ships, or ``None`` if one key signs it.

    Raises ``CccrError``.
    """
    return SigningPolicy.parse(release.files[POLICY].body) if release.metadata.has_policy else None


def add_signature(release: Release, signature: Mapping[str, bytes]) -> Release:
    """Return a release under a policy with more signatures, also in its ZIP."""
    return archive.with_archive(with_signatures(release, signature))


def with_signatures(release: Release, signature: Mapping[str, bytes]) -> Release:
    """Return a release under a policy with more signatures, but without a ZIP."""
    extra = {NAME: release.files[NAME].body, **release.signatures, **signature}
    return complete(release.listed, extra, release.metadata)


def trusted_comment(facts: Metadata, armour: bytes | None) -> str:
    """Return minisign's trusted comment: the facts, and the hash of the OpenPGP signature."""
    comment = (
        f"sequence:{facts.sequence} "
        f"issued:{format_time(facts.time)} expires:{format_time(facts.expires)}"
    )
    if armour is None:
        return comment
    return f"{comment}{_OPENPGP_FIELD}{manifest.digest(armour)}"


def verify_signatures(sums: bytes, signatures: Mapping[str, bytes], key: Trusted) -> str:
    """Verify that the organisation has signed the manifest; return the trusted comment.

    ``keys.txt``, if it is among the ``signatures``, leads from ``key`` to who must sign. A single
    key needs both of its signatures, a policy as many as its threshold; under a policy nothing
    depends on comments, and none is returned. Raises ``SignatureError``.
    """
    policy = follow(key, signatures.get(KEYS), verify=True)[-1]
    single = policy.single_key
    if single is None:
        policy.require(sums, signatures)
        return ""
    for name in (MINISIG, SSHSIG):
        if name not in signatures:
            raise SignatureError(f"{name} is missing: the release is not signed.", path=name)
    comment = single.verify(sums, signatures[MINISIG], name=MINISIG, of=NAME)
    sshsig.verify(sums, signatures[SSHSIG], single, name=SSHSIG, of=NAME)
    return comment


def signature_files(key: Trusted) -> tuple[str, ...]:
    """Return the names of the signatures that are verified with a key or a policy."""
    policy = SigningPolicy.of(key)
    return (MINISIG, SSHSIG) if policy.single_key else policy.files


def read_signed_manifest(
    read: Read,
    key: Trusted | None,
    verify: Verify = verify_signatures,
    *,
    without_zip: bool = False,
) -> Release:
    """Verify a release in the one order: manifest, signatures, ``RELEASE.json``, facts.

    If its ``keys.txt`` leads from ``key`` to a newer policy, the signers of that one must sign.

    Under a policy the ZIP, which is not listed, follows, unless the release is read from a ZIP
    or only its list matters (``without_zip``).

    ``read`` takes the path of a file and the most bytes that it may have. Nothing is parsed
    before ``verify`` has checked its signature; without a ``key`` nothing is verified.
    Returns the release with the hashes of its other files, but without their bytes.
    Raises ``ReleaseError``.
    """
    sums = read(NAME, manifest.MAX_BYTES)
    signatures: dict[str, bytes] = {}
    comment, keys = "", dict[str, bytes]()
    if key:
        # A list without it saves a request; who signed the list is checked in any case.
        keys = dict(_present(read, KEYS)) if f"  {KEYS}\n".encode() in sums else {}
        newest = follow(key, keys.get(KEYS))[-1]
        signatures = dict(_present(read, *signature_files(newest)))
        comment, key = verify(sums, {**signatures, **keys}, key), newest
    listed = {path: File(b"", sha256) for path, sha256 in manifest.parse_manifest(sums).items()}
    if metadata.NAME not in listed:
        raise ReleaseError(f"{NAME} does not list {metadata.NAME}.")
    listed |= {path: check_file(path, body, listed) for path, body in keys.items()}
    if RECORD in listed:
        listed[RECORD] = check_file(RECORD, read(RECORD, MAX_RECORD), listed)
    listed[metadata.NAME] = check_file(metadata.NAME, read(metadata.NAME, _MAX_SMALL), listed)
    facts = Metadata.from_json(listed[metadata.NAME].body)
    _check_format(facts, listed, key)
    if facts.has_policy:
        listed[POLICY] = check_file(POLICY, read(POLICY, _MAX_SMALL), listed)
        shipped = _shipped_policy(listed, facts, key)
        if key is None:
            signatures |= _present(read, *shipped.files)
        release = complete(listed, {NAME: sums, **signatures}, facts)
        check_record(release)
        return release if without_zip else _with_checked_archive(release, read)
    # An OpenPGP signature that minisign's does not name is not part of the release.
    unverified = () if key else (MINISIG, SSHSIG)
    if key is None or _OPENPGP_FIELD in comment:
        signatures |= _present(read, *unverified, OPENPGP)
    if key:
        _verify_comment(comment, facts, signatures.get(OPENPGP))
    release = complete(listed, {NAME: sums, **signatures}, facts)
    check_record(release)
    return release


def _check_format(facts: Metadata, listed: Mapping[str, File], key: Trusted | None) -> None:
    """Raise ``ReleaseError`` unless the release is made for this key or policy."""
    if key and facts.fingerprint != key.fingerprint:
        what = "key" if SigningPolicy.of(key).single_key else "policy"
        raise SignatureError(
            f"{metadata.NAME} names the {what} {facts.fingerprint}, but {key.fingerprint} signed.",
            path=metadata.NAME,
        )
    if facts.has_policy != (POLICY in listed):
        raise ReleaseError(f"{NAME} lists {POLICY} only if {metadata.NAME} is of format 2.")
    if facts.has_policy and archive.NAME in listed:
        raise ReleaseError(f"{NAME} lists {archive.NAME}, which holds the signatures.")


def _shipped_policy(
    listed: Mapping[str, File], facts: Metadata, key: Trusted | None
) -> SigningPolicy:
    """Return the policy that readers get. Raises ``ReleaseError`` unless it is the release's."""
    try:
        shipped = SigningPolicy.parse(listed[POLICY].body)
    except CccrError as error:
        raise ReleaseError(error.problem, error.remedy, path=POLICY) from error
    if shipped.fingerprint != facts.fingerprint or shipped.single_key:
        raise ReleaseError(
            f"{POLICY} has the fingerprint {shipped.fingerprint}, but {metadata.NAME} names "
            f"{facts.fingerprint}.",
            path=POLICY,
        )
    if key and shipped != key:
        raise ReleaseError(f"{POLICY} is not the policy that is trusted here.", path=POLICY)
    if shipped.previous and KEYS not in listed:
        raise ReleaseError(f"{NAME} does not list {KEYS}, which leads to {POLICY}.", path=KEYS)
    return shipped


def _with_checked_archive(release: Release, read: Read) -> Release:
    """Return the release with its ZIP. Raises ``ReleaseError`` if that holds anything else."""
    packed = read(archive.NAME, manifest.MAX_FILE)
    archive.check_archive(packed, release)
    files = {**release.files, archive.NAME: File.of(packed)}
    return Release(dict(sorted(files.items())), release.metadata)


def _verify_comment(comment: str, facts: Metadata, armour: bytes | None) -> None:
    """Raise ``SignatureError`` unless ``RELEASE.json`` agrees with the trusted comment."""
    if comment.partition(_OPENPGP_FIELD)[0] != trusted_comment(facts, None):
        raise SignatureError(
            f"{MINISIG} was made for “{comment}”, but {metadata.NAME} says otherwise."
        )
    if comment != trusted_comment(facts, armour):
        raise unknown_openpgp_signature()


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
