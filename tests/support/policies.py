"""A policy of three signers, two of whom must sign, and releases signed under it."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cccr_web.release import (
    KEYS,
    MANIFEST,
    POLICY,
    PolicyChain,
    PolicySigner,
    Release,
    Signer,
    SigningKey,
    SigningPolicy,
    Trusted,
    add_signature,
    make_release,
    sign_policy,
    with_archive,
)
from cccr_web.release.sshsig import SshKey
from support.signed import content, facts, known_key

EDITOR = known_key(b"editor")
_SSH = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"an SSH key").digest())
_SECURITY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a security key").digest())
SSH_KEY = SshKey(_SSH.public_key().public_bytes_raw())
SECURITY_KEY = SshKey(_SECURITY.public_key().public_bytes_raw(), b"ssh:")
TWO_OF_THREE = SigningPolicy(
    1,
    2,
    (
        PolicySigner("editor", EDITOR.public),
        PolicySigner("lawyer", SECURITY_KEY),
        PolicySigner("second", SSH_KEY),
    ),
)

THIRD, STRANGER = known_key(b"a third"), known_key(b"a stranger")
# “lawyer” was revoked, and somebody else came.
WITHOUT_LAWYER = SigningPolicy(
    2,
    2,
    (
        PolicySigner("editor", EDITOR.public),
        PolicySigner("second", SSH_KEY),
        PolicySigner("third", THIRD.public),
    ),
)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def ssh_signature(
    message: bytes,
    key: SshKey,
    *,
    namespace: bytes = b"file",
    flags: int = 1,
    counter: int = 7,
    hashed: bytes = b"sha512",
) -> bytes:
    """Return an armoured SSH signature, written from PROTOCOL.sshsig and PROTOCOL.u2f."""
    digest = hashlib.new(hashed.decode(), message).digest()
    signed = b"SSHSIG" + b"".join(map(_string, (namespace, b"", hashed, digest)))
    if key.application is None:
        made = _string(b"ssh-ed25519") + _string(_SSH.sign(signed))
    else:
        last = bytes([flags]) + counter.to_bytes(4, "big")
        application = hashlib.sha256(key.application).digest()
        whole = application + last + hashlib.sha256(signed).digest()
        made = _string(b"sk-ssh-ed25519@openssh.com") + _string(_SECURITY.sign(whole)) + last
    data = b"SSHSIG\0\0\0\1" + b"".join(map(_string, (key.blob, namespace, b"", hashed, made)))
    lines = textwrap.wrap(base64.b64encode(data).decode(), 70)
    return "\n".join(
        ("-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----\n")
    ).encode()


def unsigned_release(
    policy: SigningPolicy = TWO_OF_THREE,
    sequence: int = 1,
    more: Mapping[str, bytes] = MappingProxyType({}),
    **changes: Any,
) -> Release:
    """Return a release under a policy, without signatures."""
    files = {
        path: body
        for path, body in content(sequence).items()
        if path not in {"minisign.pub", "allowed_signers"}
    }
    known = facts(sequence, fingerprint=policy.fingerprint, has_policy=True, **changes)
    return with_archive(make_release({**files, **more, POLICY: policy.to_file()}, known))


def signatures(sums: bytes, *names: str) -> dict[str, bytes]:
    """Return the signatures of these signers, by file name."""
    made = {
        "editor": TWO_OF_THREE.sign(sums, EDITOR),
        "lawyer": {"SHA256SUMS.lawyer.sshsig": ssh_signature(sums, SECURITY_KEY)},
        "second": {"SHA256SUMS.second.sshsig": ssh_signature(sums, SSH_KEY)},
    }
    return {file: body for name in names for file, body in made[name].items()}


@functools.cache
def policy_release(*names: str, sequence: int = 1) -> Release:
    """Return a release under the policy, signed by these signers."""
    release = unsigned_release(sequence=sequence)
    return add_signature(release, signatures(release.files[MANIFEST].body, *names))


def one_key(key: SigningKey, number: int) -> SigningPolicy:
    """Return the policy of a key alone."""
    return SigningPolicy(number, 1, (PolicySigner("organisation", key.public),))


def signed_chain(
    first: Trusted, *changes: tuple[SigningPolicy, tuple[SigningKey | SshKey, ...]]
) -> PolicyChain:
    """Return a chain with these policies after the first, each with those who sign it."""
    chain = PolicyChain.begin(first)
    for policy, signers in changes:
        chain = chain.add(policy)
        for signer in signers:
            chain = chain.sign(policy_signature(chain.newest, signer))
    return chain


def policy_signature(policy: SigningPolicy, signer: SigningKey | SshKey) -> bytes:
    """Return a signature of a policy's text, as ``keys.txt`` holds it."""
    if isinstance(signer, SshKey):
        return ssh_signature(policy.to_file(), signer)
    return sign_policy(policy, signer)


def key_change(before: SigningKey, after: SigningKey) -> bytes:
    """Return the ``keys.txt`` of one key that replaced another."""
    return signed_chain(before.public, (one_key(after, 1), (before, after))).to_file()


CHAIN = signed_chain(
    EDITOR.public, (TWO_OF_THREE, (EDITOR, SSH_KEY)), (WITHOUT_LAWYER, (EDITOR, SSH_KEY))
)


def release_under(
    policy: SigningPolicy,
    keys: tuple[SigningKey | SshKey, ...],
    files: Mapping[str, bytes],
    *,
    sequence: int = 1,
) -> Release:
    """Return a release with these files more, signed by the signers of a policy with these keys."""
    if policy.single_key:
        known = facts(sequence, fingerprint=policy.fingerprint)
        whole = with_archive(make_release({**content(sequence), **files}, known))
        (key,) = (
            each
            for each in keys
            if isinstance(each, SigningKey) and policy.single_key == each.public
        )
        return Signer(key).sign(whole)
    unsigned = unsigned_release(policy, sequence, more=files)
    sums, made = unsigned.files[MANIFEST].body, dict[str, bytes]()
    for signer, each in itertools.product(policy.signers, keys):
        if isinstance(each, SigningKey):
            if each.public == signer.key:
                made[signer.file] = signer.sign(sums, each)
        elif each == signer.key:
            made[signer.file] = ssh_signature(sums, each)
    return add_signature(unsigned, made)


@functools.cache
def chained_release() -> Release:
    """Return a release under the newest policy of the chain, by a signer old and new."""
    return release_under(CHAIN.newest, (SSH_KEY, THIRD), {KEYS: CHAIN.to_file()})
