"""What can be done to the signatures of a release."""

from __future__ import annotations

import base64
from collections.abc import Callable

from cccr_web.release import SigningKey
from cccr_web.release.sshsig import sign as sign_for_ssh
from support.attacks.target import (
    MINISIG,
    SSHSIG,
    AttackTarget,
    attack,
    simple,
)
from support.signed import (
    ARMOUR,
    organisation_key,
    signed_release,
)

# The signatures.

MISFIT = f"{MINISIG} does not match SHA256SUMS: one of them was changed."
SPELLING = f"{MINISIG} is not written as “cccr-web sign” writes it."
LEGACY = f"{MINISIG} is a legacy minisign signature: only prehashed ones are accepted."
COUNT = f"{MINISIG} does not hold exactly one signature."


def signature(name: str, change: Callable[[bytes], bytes], sentence: str, *, of: str) -> None:
    """One signature file is changed."""
    simple(
        f"{of} {name}",
        sentence,
        lambda target: (target / of).write_bytes(change((target / of).read_bytes())),
    )


def base64_of(line: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change the bytes that a line of a minisign signature holds in base64."""

    def run(body: bytes) -> bytes:
        rows = body.split(b"\n")
        rows[line] = base64.b64encode(change(base64.b64decode(rows[line])))
        return b"\n".join(rows)

    return run


signature("empty", lambda _: b"", f"{MINISIG} is empty.", of=MINISIG)
signature("blank", lambda _: b"\n\n\n\n", f"{MINISIG} is empty.", of=MINISIG)
signature("doubled", lambda body: body + body, COUNT, of=MINISIG)
signature("cut off", lambda body: body[:-1], COUNT, of=MINISIG)
signature("with a line more", lambda body: body + b"<script>\n", COUNT, of=MINISIG)
signature("damaged", base64_of(1, lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])), MISFIT, of=MINISIG)
signature(
    "of another kind",
    base64_of(1, lambda raw: b"EE" + raw[2:]),
    f"{MINISIG} is not a minisign signature.",
    of=MINISIG,
)
signature("relabelled as legacy", base64_of(1, lambda raw: b"Ed" + raw[2:]), LEGACY, of=MINISIG)
signature("with CRLF", lambda body: body.replace(b"\n", b"\r\n"), SPELLING, of=MINISIG)
signature(
    "with an unsigned comment of the attacker's",
    lambda body: body.replace(b"signature of the", b"visit evil.example", 1),
    SPELLING,
    of=MINISIG,
)
signature(
    "with its trusted comment changed",
    lambda body: body.replace(b"sequence:2", b"sequence:9"),
    MISFIT,
    of=MINISIG,
)
signature(
    "with its second signature damaged",
    base64_of(3, lambda raw: bytes([raw[0] ^ 1]) + raw[1:]),
    MISFIT,
    of=MINISIG,
)
signature(
    "too long",
    lambda body: body + b"x" * 65_536,
    f"{MINISIG} has more than 65,536 bytes.",
    of=MINISIG,
)
signature(
    "in words",
    lambda _: b"trust\nme\nplease\nnow\n",
    f"{MINISIG} is not a minisign signature.",
    of=MINISIG,
)
signature(
    "of the last release",
    lambda _: signed_release(1).files[MINISIG].body,
    MISFIT,
    of=MINISIG,
)


@attack(f"{MINISIG} is missing: the release is not signed.")
def no_signature(target: AttackTarget) -> None:
    """The minisign signature missing."""
    (target / MINISIG).unlink()


@attack(LEGACY)
def a_true_legacy_signature(target: AttackTarget) -> None:
    """A true legacy signature."""
    made = organisation_key()._secret.sign(target.sums.read_bytes(), prehash=False)
    (target / MINISIG).write_bytes(bytes(made) + b"\n")


@attack(f"{MINISIG} was made with another key than {organisation_key().public.fingerprint}.")
def a_foreign_signature(target: AttackTarget) -> None:
    """A foreign signature."""
    target.sign(SigningKey.generate())


@attack(MISFIT)
def a_foreign_key_under_our_number(target: AttackTarget) -> None:
    """A foreign key under our number."""
    target.sign(SigningKey.generate())
    change = base64_of(1, lambda raw: raw[:2] + organisation_key().public.number + raw[10:])
    (target / MINISIG).write_bytes(change((target / MINISIG).read_bytes()))


@attack(f"{SSHSIG} is missing: the release is not signed.")
def no_ssh_signature(target: AttackTarget) -> None:
    """The SSH signature missing."""
    (target / SSHSIG).unlink()


NO_SSH = f"{SSHSIG} is not an SSH signature by {organisation_key().public.fingerprint}."
signature("empty", lambda _: b"", NO_SSH, of=SSHSIG)
signature("doubled", lambda body: body + body, NO_SSH, of=SSHSIG)
signature("with words below", lambda body: body + b"visit evil.example\n", NO_SSH, of=SSHSIG)
signature(
    "of the last release",
    lambda _: signed_release(1).files[SSHSIG].body,
    f"{SSHSIG} does not match SHA256SUMS: one of them was changed.",
    of=SSHSIG,
)


@attack(NO_SSH)
def a_foreign_ssh_signature(target: AttackTarget) -> None:
    """An SSH signature by a foreign key."""
    made = sign_for_ssh(target.sums.read_bytes(), SigningKey.generate())
    (target / SSHSIG).write_bytes(made)


NOT_NAMED = f"SHA256SUMS.asc is missing, or not the one that {MINISIG} names."


@attack(NOT_NAMED)
def an_openpgp_signature_added(target: AttackTarget) -> None:
    """An OpenPGP signature added."""
    (target / "SHA256SUMS.asc").write_bytes(ARMOUR)


@attack(NOT_NAMED)
def the_openpgp_signature_changed(target: AttackTarget) -> None:
    """The OpenPGP signature changed."""
    target.sign(armour=ARMOUR)
    (target / "SHA256SUMS.asc").write_bytes(ARMOUR + b"\n")


@attack(NOT_NAMED)
def the_openpgp_signature_removed(target: AttackTarget) -> None:
    """The OpenPGP signature removed."""
    target.sign(armour=ARMOUR)
    (target / "SHA256SUMS.asc").unlink()
