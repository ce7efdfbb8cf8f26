"""``keys.txt``: every policy of the organisation, oldest first, each signed by those before it.

The file is the canonical text of each policy (``policy.py``), followed by its signatures:

    cccr-web policy 1
    number 0
    threshold 1
    organisation minisign RW…
    cccr-web policy 1
    number 1
    threshold 2
    previous 0123…
    editor minisign RW…
    second ssh ssh-ed25519 AAAA…
    -----BEGIN MINISIGN SIGNATURE-----
    …
    -----END MINISIGN SIGNATURE-----
    -----BEGIN SSH SIGNATURE-----
    …
    -----END SSH SIGNATURE-----

A key alone is policy 0. Each later policy has the next number, and ``previous`` is the SHA-256 of
the text before it: a policy has one past. As in The Update Framework (specification 1.0, section
5.3.4), enough signers of the policy before must sign it, who decide the change, and enough of its
own, who prove that it can be met. Each signs the text of the policy. No fingerprint comes back.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Self

from cccr_web.errors import CccrError, SignatureError
from cccr_web.release.keys import SigningKey
from cccr_web.release.model import Release
from cccr_web.release.policy import NAME as POLICY
from cccr_web.release.policy import SigningPolicy, Trusted

NAME: Final = "keys.txt"
MAX_BYTES: Final = 64 * 1024
BEGIN: Final = b"-----BEGIN MINISIGN SIGNATURE-----\n"
END: Final = b"-----END MINISIGN SIGNATURE-----\n"

_COMMENT: Final = "policy"
_LINES: Final = rb"(?:(?!cccr-web policy |-----)[^\n]*\n)+"
_LINK: Final = re.compile(
    rb"(cccr-web policy [^\n]*\n%b)((?:-----BEGIN (?:MINISIGN|SSH) SIGNATURE-----\n%b"
    rb"-----END (?:MINISIGN|SSH) SIGNATURE-----\n)*)" % (_LINES, _LINES)
)
_SIGNATURE: Final = re.compile(rb"-----BEGIN .*\n%b-----END .*\n" % _LINES)


@dataclass(frozen=True, slots=True)
class ChainLink:
    """A policy, and the signatures over its text in their armour."""

    policy: SigningPolicy
    signatures: tuple[bytes, ...] = ()

    def signed_by(self, before: SigningPolicy) -> dict[bytes, bytes]:
        """Return each signature by the Ed25519 key that made it, of a signer of either policy.

        Raises ``SignatureError``.
        """
        made: dict[bytes, bytes] = {}
        for number, signature in enumerate(self.signatures, start=1):
            key = self.find_key(before, signature)
            if key is None or key in made:
                what = "twice by one signer" if key else "by no signer, or over another text"
                raise _broken(
                    f"{NAME}: signature {number} of policy {self.policy.number} is {what}."
                )
            made[key] = signature
        return made

    def find_key(self, before: SigningPolicy, signature: bytes) -> bytes | None:
        """Return the Ed25519 key of the signer of either policy who made this signature."""
        text = self.policy.to_file()
        for signer in (*before.signers, *self.policy.signers):
            bare = (
                signature.removeprefix(BEGIN).removesuffix(END) if signer.is_minisign else signature
            )
            with contextlib.suppress(SignatureError):
                signer.verify_text(text, bare, _COMMENT, name=NAME, of=POLICY)
                return signer.key.raw
        return None

    def missing(self, before: SigningPolicy) -> str:
        """Return what the signatures lack, as a part of a sentence. Raises ``SignatureError``."""
        keys, lacking = self.signed_by(before), []
        for policy in (before, self.policy):
            names = [each.name for each in policy.signers if each.key.raw in keys]
            if len(names) < policy.threshold:
                lacking.append(
                    f"as for policy {policy.number}, it {policy.describe_progress(names)}"
                )
        return " and ".join(lacking)


@dataclass(frozen=True, slots=True)
class PolicyChain:
    """All policies, oldest first. Raises ``SignatureError`` unless each follows the one before."""

    links: tuple[ChainLink, ...]

    def __post_init__(self) -> None:
        if self.links[0].policy.previous or self.links[0].signatures:
            raise _broken(f"{NAME} does not begin with the first policy.")
        for before, after in pairwise(self.policies):
            if after.number != before.number + 1 or after.previous != before.sha256:
                raise _broken(
                    f"{NAME}: the policy of number {after.number} does not follow policy "
                    f"{before.number}, {before.fingerprint}."
                )
        seen: dict[str, int] = {}
        for policy in self.policies:
            earlier = seen.setdefault(policy.fingerprint, policy.number)
            if earlier != policy.number:
                raise _broken(
                    f"{NAME}: policy {policy.number} leads back to policy {earlier}, "
                    f"{policy.fingerprint}."
                )

    @classmethod
    def begin(cls, key: Trusted) -> Self:
        """Return the chain of one policy. Raises ``SignatureError`` for one with a past."""
        return cls((ChainLink(SigningPolicy.of(key)),))

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read the file without checking a signature. Raises ``SignatureError``."""
        links, at = [], 0
        while match := _LINK.match(text, at):
            try:
                policy = SigningPolicy.parse(match[1])
            except CccrError as error:
                above = text.count(b"\n", 0, at)
                raise _broken(
                    f"{NAME}: in the policy below line {above}: {error.problem}"
                ) from error
            links.append(ChainLink(policy, tuple(_SIGNATURE.findall(match[2]))))
            at = match.end()
        if at != len(text) or not links or at > MAX_BYTES:
            above = text.count(b"\n", 0, at)
            raise _broken(f"{NAME} is not as cccr-web writes it after line {above}.")
        return cls(tuple(links))

    @classmethod
    def read(cls, text: bytes, key: Trusted) -> Self:
        """Return the file's chain with all signatures checked, which holds what is trusted.

        Raises ``SignatureError``.
        """
        chain = cls.parse(text)
        chain.verify()
        chain.after(key)
        return chain

    @property
    def policies(self) -> tuple[SigningPolicy, ...]:
        """Every policy, oldest first."""
        return tuple(link.policy for link in self.links)

    @property
    def newest(self) -> SigningPolicy:
        """The policy that signs now."""
        return self.links[-1].policy

    def to_file(self) -> bytes:
        """Return the file."""
        parts = ((link.policy.to_file(), *link.signatures) for link in self.links)
        return b"".join(part for link in parts for part in link)

    def verify(self) -> None:
        """Raise ``SignatureError`` that names the first policy without enough signatures."""
        for before, link in zip(self.policies, self.links[1:], strict=False):
            if missing := link.missing(before):
                raise _broken(f"{NAME}: policy {link.policy.number} is not signed: {missing}.")

    @property
    def missing(self) -> str:
        """What signatures the newest policy lacks, if any. Raises ``SignatureError``."""
        return self.links[-1].missing(self.policies[-2]) if len(self.links) > 1 else ""

    def after(self, key: Trusted) -> tuple[SigningPolicy, ...]:
        """Return the policies from the trusted one to the newest. Raises ``SignatureError``."""
        for at, policy in enumerate(self.policies):
            if policy.fingerprint == key.fingerprint:
                return self.policies[at:]
        raise _broken(
            f"{NAME} leads to {self.newest.fingerprint}, but not from {key.fingerprint}, which "
            "is trusted here."
        )

    def add(self, policy: SigningPolicy) -> Self:
        """Return the chain with one more policy, in place of one that is not signed yet.

        It gets its number and its past. Raises ``SignatureError`` for a policy that was there.
        """
        links = self.links[:-1] if self.missing else self.links
        last = links[-1].policy
        after = replace(policy, number=last.number + 1, previous=last.sha256)
        return replace(self, links=(*links, ChainLink(after)))

    def sign(self, signature: bytes) -> Self:
        """Return the chain with one more signature of its newest policy.

        It replaces an earlier one by the same signer. Raises ``CccrError``.
        """
        *others, link = self.links
        key = link.find_key(others[-1].policy, signature) if others else None
        if key is None:
            raise CccrError(
                f"No signer of the last two policies in {NAME} has this key.",
                "Use the key of one of them, or correct site.toml and run: cccr-web key change",
            )
        made = {**link.signed_by(others[-1].policy), key: signature}
        signed = replace(link, signatures=tuple(made.values()))
        return replace(self, links=(*others, signed))


def is_chain(keys: bytes) -> bool:
    """Whether this ``keys.txt`` is not the notice of version 0.2.0, which leads nowhere."""
    return keys.startswith(b"cccr-web policy ")


def sign_policy(policy: SigningPolicy, key: SigningKey) -> bytes:
    """Return the signature of a policy's text, for ``PolicyChain.sign``."""
    return BEGIN + key.sign(policy.to_file(), _COMMENT) + END


def follow(key: Trusted, keys: bytes | None, *, verify: bool = False) -> tuple[SigningPolicy, ...]:
    """Return the policies from the trusted one to the newest that ``keys.txt`` leads to.

    Without ``verify``, somebody else checks the signatures. Raises ``SignatureError``.
    """
    if keys is None or not is_chain(keys):
        return (SigningPolicy.of(key),)
    chain = PolicyChain.read(keys, key) if verify else PolicyChain.parse(keys)
    return chain.after(key)


def policies_of(release: Release, key: Trusted) -> tuple[SigningPolicy, ...]:
    """Return the policies from the trusted one to the one that signs a verified release."""
    return follow(key, release.files[NAME].body if NAME in release.files else None)


def _broken(problem: str) -> SignatureError:
    return SignatureError(problem, "Get the original file from another address.", path=NAME)
