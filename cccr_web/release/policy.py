"""The policy of the organisation: whose signatures a release needs, and how many of them.

Its canonical text is the file ``policy.txt`` in every copy of a release:

    cccr-web policy 1
    number 1
    threshold 2
    editor minisign RWR…
    lawyer ssh sk-ssh-ed25519@openssh.com AAAA…
    second ssh ssh-ed25519 AAAA…

The first line is the format. Each later policy has a higher number; if signers of the one before
it have signed it (``policy_chain.py``), a line after the threshold is “previous” and the SHA-256
of that one's text. The signers are sorted by name, and no two have the same Ed25519 key. Every
line ends in a line feed, parts are separated by one space, and nothing else is accepted: one
policy has one text.

The fingerprint is the first half of the text's SHA-256. The policy of one signer with a minisign
key is that key: it has the key's fingerprint, and its releases are signed as with the key alone.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cccr_web.errors import CccrError, SignatureError, counted
from cccr_web.facts import MAX_POLICY, MAX_SIGNERS, SIGNER
from cccr_web.release.keys import PublicKey, SigningKey, group
from cccr_web.release.manifest import NAME as MANIFEST
from cccr_web.release.manifest import digest
from cccr_web.release.sshsig import SshKey

NAME: Final = "policy.txt"
_FORMAT: Final = "cccr-web policy 1"
_MAX_BYTES: Final = 16 * 1024
_NUMBER: Final = re.compile(r"number (0|[1-9][0-9]{0,9})")
_THRESHOLD: Final = re.compile(r"threshold ([1-9][0-9]?)")
_PREVIOUS: Final = re.compile(r"previous ([0-9a-f]{64})")
_SIGNER: Final = re.compile(rf"({SIGNER.pattern}) (minisign|ssh) (.+)")


@dataclass(frozen=True, slots=True)
class PolicySigner:
    """Somebody who may sign releases: a name, which is a role, and a key."""

    name: str
    key: PublicKey | SshKey

    @classmethod
    def parse(cls, name: str, kind: str, key: str) -> PolicySigner:
        """Read a signer's name and key; the kind is ``minisign`` or ``ssh``.

        Raises ``ValueError``.
        """
        if SIGNER.fullmatch(name) is None:
            raise ValueError(f"“{name[:60]}” is not a signer's name: up to 31 of a–z, 0–9 and “-”.")
        return cls(name, PublicKey.parse(key) if kind == "minisign" else SshKey.parse(key))

    @property
    def file(self) -> str:
        """The name of the file with this signer's signature."""
        return f"{MANIFEST}.{self.name}.{'minisig' if self.is_minisign else 'sshsig'}"

    @property
    def command(self) -> str:
        """How readers verify the signature in any shell (minisign(1), ssh-keygen(1))."""
        if self.is_minisign:
            return f"minisign -VHm {MANIFEST} -x {self.file} -P {self.key}\n"
        file = f"signer-{self.name}.txt"
        return (
            f"echo {self.name} {self.key} > {file}\n"
            f"ssh-keygen -Y verify -f {file} -I {self.name} -n file -s {self.file} < {MANIFEST}\n"
        )

    def __str__(self) -> str:
        return f"{self.name} {'minisign' if self.is_minisign else 'ssh'} {self.key}"

    @property
    def is_minisign(self) -> bool:
        """Whether minisign verifies the signature; otherwise ssh-keygen does."""
        return isinstance(self.key, PublicKey)

    def sign(self, sums: bytes, key: SigningKey) -> bytes:
        """Return the signature file that ``verify`` accepts."""
        return key.sign(sums, self._comment)

    def verify(self, sums: bytes, signature: bytes) -> None:
        """Raise ``SignatureError`` unless this signer made ``signature`` over ``SHA256SUMS``."""
        self.verify_text(sums, signature, self._comment, name=self.file, of=MANIFEST)

    def verify_text(
        self, text: bytes, signature: bytes, comment: str, *, name: str, of: str
    ) -> None:
        """Raise ``SignatureError`` unless this signer made ``signature`` over ``text``.

        With minisign it must have this trusted ``comment``.
        """
        if isinstance(self.key, SshKey):
            self.key.verify(text, signature, name=name, of=of)
            return
        made = self.key.verify(text, signature, name=name, of=of)
        if made != comment:
            raise SignatureError(f"{name} was made for “{made}”, not “{comment}”.")

    @property
    def _comment(self) -> str:
        # Nobody may add a text of their own to a release.
        return f"signer:{self.name}"


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """The signers and the threshold. Raises ``ValueError`` unless they can be a policy."""

    number: int
    threshold: int
    signers: tuple[PolicySigner, ...]
    previous: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.signers) <= MAX_SIGNERS:
            raise ValueError(f"A policy has 1 to {MAX_SIGNERS} signers, not {len(self.signers)}.")
        if not 0 < self.threshold <= len(self.signers):
            signers = counted(len(self.signers), "signer")
            raise ValueError(f"The threshold {self.threshold} cannot be met by {signers}.")
        if not 0 <= self.number <= MAX_POLICY:
            raise ValueError(f"The number {self.number} is more than {MAX_POLICY:,}.")
        seen: dict[bytes, PolicySigner] = {}
        before = ""
        for signer in self.signers:
            if signer.name <= before:
                raise ValueError(
                    f"“{signer.name}” comes after “{before}”: sort the signers by name, and "
                    "name each only once."
                )
            other = seen.setdefault(signer.key.raw, signer)
            if other is not signer:
                raise ValueError(
                    f"“{other.name}” and “{signer.name}” have the same key: each signer needs "
                    "a key of their own."
                )
            before = signer.name

    @classmethod
    def of(cls, trusted: Trusted) -> SigningPolicy:
        """Return the policy; that of a key alone has the number 0."""
        if isinstance(trusted, SigningPolicy):
            return trusted
        return cls(0, 1, (PolicySigner("organisation", trusted),))

    @classmethod
    def parse(cls, text: bytes) -> SigningPolicy:
        """Read ``policy.txt``. Raises ``CccrError`` with the line that is wrong."""
        if len(text) > _MAX_BYTES:
            raise _wrong(1, f"the file has more than {_MAX_BYTES:,} bytes")
        if not text.endswith(b"\n"):
            raise _wrong(text.count(b"\n") + 1, "its end is missing")
        first, *lines = text.decode("ascii", errors="replace")[:-1].split("\n")
        if first != _FORMAT:
            raise _wrong(1, f"it is not “{_FORMAT}”")
        numbers = []
        for at, (pattern, shape) in enumerate(
            ((_NUMBER, "number NUMBER"), (_THRESHOLD, "threshold NUMBER")), start=2
        ):
            match = pattern.fullmatch(lines.pop(0) if lines else "")
            if match is None:
                raise _wrong(at, f"it is not “{shape}”")
            numbers.append(int(match[1]))
        previous = _PREVIOUS.fullmatch(lines[0]) if lines else None
        signers = []
        for at, line in enumerate(lines[1:] if previous else lines, start=5 if previous else 4):
            match = _SIGNER.fullmatch(line)
            if match is None:
                raise _wrong(at, "it is not “NAME minisign KEY” or “NAME ssh KEY”")
            try:
                signers.append(PolicySigner.parse(*match.groups()))
            except ValueError as error:
                raise _wrong(at, str(error).removesuffix(".")) from error
            try:
                cls(0, 1, tuple(signers))
            except ValueError as error:
                raise _wrong(at, str(error).removesuffix(".")) from error
        try:
            past = previous[1] if previous else None
            return cls(numbers[0], numbers[1], tuple(signers), past)
        except ValueError as error:
            raise _wrong(3, str(error).removesuffix(".")) from error

    def to_file(self) -> bytes:
        """Return the canonical text."""
        previous = [f"previous {self.previous}"] if self.previous else []
        head = (_FORMAT, f"number {self.number}", f"threshold {self.threshold}", *previous)
        lines = (*head, *self.signers)
        return "".join(f"{line}\n" for line in lines).encode("ascii")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text, which the next policy names."""
        return digest(self.to_file())

    @property
    def single_key(self) -> PublicKey | None:
        """The key of a policy of one signer with a minisign key."""
        key = self.signers[0].key
        return key if len(self.signers) == 1 and isinstance(key, PublicKey) else None

    @property
    def minisign_keys(self) -> tuple[PublicKey, ...]:
        """The keys that may sign notices inside a release."""
        return tuple(each.key for each in self.signers if isinstance(each.key, PublicKey))

    @property
    def fingerprint(self) -> str:
        """128 bits of a SHA-256 in groups that can be read aloud: what readers compare."""
        if self.single_key:
            return self.single_key.fingerprint
        return group(self.sha256)

    def signed_by(self, sums: bytes, signatures: Mapping[str, bytes]) -> tuple[str, ...]:
        """Return the names of the signers of ``SHA256SUMS``.

        A signature that is not valid counts for nothing, and no release may hold it: nobody
        vouches for its bytes. Raises ``SignatureError`` that names each of them.
        """
        names: list[str] = []
        faults: list[tuple[str, str]] = []
        for signer in self.signers:
            if signer.file in signatures:
                try:
                    signer.verify(sums, signatures[signer.file])
                    names.append(signer.name)
                except SignatureError as error:
                    faults.append((signer.file, str(error)))
        if faults:
            files = ", ".join(file for file, _ in faults)
            described = " ".join(fault for _, fault in faults)
            raise SignatureError(
                f"{described} The release {self.describe_progress(names)}.",
                f"Remove or replace what counts for nothing: {files}.",
                path=faults[0][0],
            )
        return tuple(names)

    def sign(self, sums: bytes, key: SigningKey) -> dict[str, bytes]:
        """Return the signature of ``SHA256SUMS`` by the signer with this key, by file name.

        Raises ``CccrError`` if no signer has it.
        """
        for signer in self.signers:
            if signer.key == key.public:
                return {signer.file: signer.sign(sums, key)}
        raise CccrError(
            f"No signer in {NAME} has the key {key.public.fingerprint}.",
            "Use the key of one of them, or correct public_keys in site.toml and build.",
        )

    def match(self, sums: bytes, signature: bytes) -> dict[str, bytes]:
        """Return an SSH signature of ``SHA256SUMS`` by the name of its signer's file.

        Raises ``CccrError`` if no signer made it.
        """
        for signer in self.signers:
            if isinstance(signer.key, SshKey):
                with contextlib.suppress(SignatureError):
                    signer.verify(sums, signature)
                    return {signer.file: signature}
        raise CccrError(
            f"No signer in {NAME} has this SSH key.",
            "Use the key of one of them, or correct public_keys in site.toml and build.",
        )

    def describe_progress(self, names: Collection[str]) -> str:
        """Return what a release with the signatures of these signers still needs."""
        if len(names) >= self.threshold:
            return f"has the {self.threshold} signatures that it needs ({', '.join(names)})"
        others = ", ".join(each.name for each in self.signers if each.name not in names)
        return f"has {len(names)} of {self.threshold} signatures; {others} can sign"

    def require(self, sums: bytes, signatures: Mapping[str, bytes]) -> None:
        """Raise ``SignatureError`` unless enough signers have signed ``SHA256SUMS``."""
        names = self.signed_by(sums, signatures)
        if len(names) < self.threshold:
            missing = (each.file for each in self.signers if each.name not in names)
            raise SignatureError(
                f"The release {self.describe_progress(names)}.",
                "Add them with: cccr-web sign",
                path=next(missing),
            )

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the signature files that a release may have."""
        return tuple(signer.file for signer in self.signers)


# What somebody who verifies a release trusts: a key alone is a policy of one signer.
Trusted = PublicKey | SigningPolicy


def read_policy(file: Path) -> SigningPolicy:
    """Read a policy from a file. Raises ``CccrError``."""
    try:
        with file.open("rb") as source:
            text = source.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CccrError(
            f"The policy {file} cannot be read: {error.strerror}.", f"Pass the path of a {NAME}."
        ) from error
    return SigningPolicy.parse(text)


def _wrong(line: int, what: str) -> CccrError:
    return CccrError(
        f"{NAME}, line {line}: {what}.",
        "Get the original file, or make it with: cccr-web key policy",
    )
