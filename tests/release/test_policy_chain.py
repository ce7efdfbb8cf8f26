"""keys.txt: from any earlier key or policy, this file alone leads to the newest one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.command import run
from support.policies import (
    CHAIN,
    EDITOR,
    SECURITY_KEY,
    SSH_KEY,
    STRANGER,
    THIRD,
    TWO_OF_THREE,
    WITHOUT_LAWYER,
    key_change,
    one_key,
    policy_signature,
    signed_chain,
    ssh_signature,
)
from support.signed import KEY, PUBLIC, facts, known_key, known_key_file, put_release

from cccr_web.errors import CccrError, SignatureError
from cccr_web.release import PolicyChain, Signer, SigningPolicy, make_release, with_archive
from cccr_web.release.policy_chain import BEGIN, END, follow
from cccr_web.standalone import verify as verify_py

README = Path(__file__).parents[2] / "cccr_web/README.md"
# The test vector, which cccr_web/README.md shows.
VECTOR = signed_chain(EDITOR.public, (TWO_OF_THREE, (EDITOR, SSH_KEY)))
FIRST, SECOND, NEWEST = CHAIN.policies


def test_the_file_is_that_of_the_vector() -> None:
    """The manual shows the whole file, and the fingerprint to which it leads."""
    manual = README.read_text(encoding="utf-8")
    assert f"```text\n{VECTOR.to_file().decode()}```" in manual
    assert VECTOR.newest.fingerprint in manual
    assert PolicyChain.read(VECTOR.to_file(), EDITOR.public) == VECTOR


@pytest.mark.parametrize("trusted", [EDITOR.public, *CHAIN.policies])
def test_every_earlier_policy_leads_to_the_newest(trusted: SigningPolicy) -> None:
    """Whoever holds any of the fingerprints learns the newest one."""
    found = follow(trusted, CHAIN.to_file(), verify=True)
    assert found[0].fingerprint == trusted.fingerprint
    assert found[-1] == NEWEST


def test_without_the_file_one_s_own_policy_is_the_newest() -> None:
    """Nor does the notice of version 0.2.0 lead anywhere."""
    for keys in (None, b"Keys of the Chinese Coalition for Citizens Rights\n"):
        assert follow(SECOND, keys, verify=True) == (SECOND,)
        assert follow(EDITOR.public, keys, verify=True) == (SigningPolicy.of(EDITOR.public),)


def test_each_policy_names_the_text_before_it() -> None:
    """So a fingerprint of several signers vouches for everything before it."""
    assert [policy.number for policy in CHAIN.policies] == [0, 1, 2]
    assert [policy.previous for policy in CHAIN.policies] == [None, FIRST.sha256, SECOND.sha256]
    assert SigningPolicy.parse(NEWEST.to_file()) == NEWEST


def test_one_key_replaces_another() -> None:
    """The change of an organisation with one key is the same operation."""
    new = known_key(b"new")
    assert follow(EDITOR.public, key_change(EDITOR, new), verify=True)[-1].single_key == new.public


@pytest.mark.parametrize("program", ["minisign", "ssh-keygen"])
def test_other_programs_verify_each_signature(program: str, tmp_path: Path) -> None:
    """What signers sign is the text of the policy, so minisign and ssh-keygen can check it."""
    link = CHAIN.links[1]
    minisig, sshsig = link.signatures
    (tmp_path / "policy").write_bytes(link.policy.to_file())
    (tmp_path / "policy.minisig").write_bytes(minisig.removeprefix(BEGIN).removesuffix(END))
    (tmp_path / "policy.sig").write_bytes(sshsig)
    (tmp_path / "allowed").write_text(f"cccr {SSH_KEY}\n")
    command = {
        "minisign": ["minisign", "-Vm", "policy", "-P", str(EDITOR.public)],
        "ssh-keygen": ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "cccr", "-n", "file",
                       "-s", "policy.sig"],
    }[program]  # fmt: skip
    text = link.policy.to_file()
    for said, status in ((text, True), (text + b"\n", False)):
        (tmp_path / "policy").write_bytes(said)
        done = subprocess.run(command, cwd=tmp_path, input=said, capture_output=True, check=False)
        assert (done.returncode == 0) is status, done.stderr


def test_a_signature_is_added_until_none_is_missing() -> None:
    """The old signers decide, and the new ones prove that they can meet their threshold."""
    chain = PolicyChain.begin(EDITOR.public).add(TWO_OF_THREE)
    assert chain.missing == (
        "as for policy 0, it has 0 of 1 signatures; organisation can sign and "
        "as for policy 1, it has 0 of 2 signatures; editor, lawyer, second can sign"
    )
    chain = chain.sign(policy_signature(chain.newest, SECURITY_KEY))
    chain = chain.sign(ssh_signature(chain.newest.to_file(), SECURITY_KEY, counter=9))
    assert len(chain.links[1].signatures) == 1
    assert "as for policy 0, it has 0 of 1" in chain.missing
    chain = chain.sign(policy_signature(chain.newest, EDITOR))
    assert chain.missing == ""
    assert PolicyChain.read(chain.to_file(), EDITOR.public) == chain
    for signer in (STRANGER, THIRD):
        with pytest.raises(CccrError, match="No signer of the last two policies"):
            chain.sign(policy_signature(chain.newest, signer))


def test_a_policy_that_is_not_signed_is_replaced() -> None:
    """A mistake is corrected before enough have signed it, and never afterwards."""
    begun = PolicyChain.begin(EDITOR.public)
    wrong = begun.add(WITHOUT_LAWYER)
    wrong = wrong.sign(policy_signature(wrong.newest, EDITOR))
    assert wrong.add(TWO_OF_THREE) == begun.add(TWO_OF_THREE)
    assert VECTOR.add(WITHOUT_LAWYER).policies == CHAIN.policies


def test_no_policy_comes_back() -> None:
    """A key that signed alone before does not sign alone again."""
    with pytest.raises(SignatureError, match="policy 3 leads back to policy 0"):
        CHAIN.add(one_key(EDITOR, 3))


def text_of(*links: tuple[SigningPolicy, tuple[bytes, ...]]) -> bytes:
    """Return a file of any policies and signatures."""
    return b"".join(policy.to_file() + b"".join(made) for policy, made in links)


def numbered(policy: SigningPolicy, number: int, before: SigningPolicy) -> SigningPolicy:
    """Return a policy with this number and past."""
    return replace(policy, number=number, previous=before.sha256)


def signed(policy: SigningPolicy, *signers: object) -> tuple[SigningPolicy, tuple[bytes, ...]]:
    """Return a policy with the signatures of these."""
    return policy, tuple(policy_signature(policy, each) for each in signers)  # type: ignore[arg-type]


_LOW = replace(SECOND, threshold=1)
_SKIPPED = numbered(WITHOUT_LAWYER, 3, SECOND)
_FORK = numbered(WITHOUT_LAWYER, 1, FIRST)
_BACK = numbered(one_key(EDITOR, 2), 2, SECOND)
_REVOKED = numbered(TWO_OF_THREE, 3, NEWEST)
FIRST_PART = signed(FIRST)
SECOND_PART = signed(SECOND, EDITOR, SSH_KEY)
FOR_A_RELEASE = BEGIN + EDITOR.sign(SECOND.to_file(), "signer:editor") + END
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not as cccr-web writes it after line 0"),
    "no beginning": (text_of(SECOND_PART), "does not begin with the first policy"),
    "a signed beginning": (
        text_of(signed(FIRST, EDITOR), SECOND_PART),
        "does not begin with the first policy",
    ),
    "text after it": (VECTOR.to_file() + b"Trust me.\n", "after line 23"),
    "a line feed after it": (VECTOR.to_file() + b"\n", "after line 23"),
    "no last line feed": (VECTOR.to_file()[:-1], "not as cccr-web writes it"),
    "Windows' line ends": (VECTOR.to_file().replace(b"\n", b"\r\n"), "line 1: it is not"),
    "a comment": (VECTOR.to_file().replace(b"number 1", b"# 1\nnumber 1"), "line 2: it is not"),
    "a number left out": (
        text_of(FIRST_PART, SECOND_PART, signed(_SKIPPED, EDITOR, SSH_KEY)),
        "policy of number 3 does not follow policy 1",
    ),
    "a policy left out": (
        text_of(FIRST_PART, signed(NEWEST, EDITOR, SSH_KEY)),
        "policy of number 2 does not follow policy 0",
    ),
    "two orders": (
        text_of(FIRST_PART, signed(NEWEST, EDITOR, SSH_KEY), SECOND_PART),
        "policy of number 2 does not follow policy 0",
    ),
    "a fork": (
        text_of(FIRST_PART, SECOND_PART, signed(_FORK, EDITOR, SSH_KEY)),
        "policy of number 1 does not follow policy 1",
    ),
    "the same policy twice": (
        text_of(FIRST_PART, SECOND_PART, SECOND_PART),
        "policy of number 1 does not follow policy 1",
    ),
    "a loop": (
        text_of(FIRST_PART, SECOND_PART, signed(_BACK, EDITOR, SSH_KEY)),
        "policy 2 leads back to policy 0",
    ),
    "another past": (
        text_of(FIRST_PART, signed(numbered(TWO_OF_THREE, 1, NEWEST), EDITOR, SSH_KEY)),
        "policy of number 1 does not follow policy 0",
    ),
    "no past": (
        text_of(FIRST_PART, signed(TWO_OF_THREE, EDITOR, SSH_KEY)),
        "policy of number 1 does not follow policy 0",
    ),
    "no signature": (text_of(FIRST_PART, (SECOND, ())), "policy 1 is not signed: as for policy 0"),
    "none of the old signers": (
        text_of(FIRST_PART, signed(SECOND, SECURITY_KEY, SSH_KEY)),
        "as for policy 0, it has 0 of 1 signatures; organisation can sign",
    ),
    "too few of the new signers": (
        text_of(FIRST_PART, signed(SECOND, EDITOR)),
        "as for policy 1, it has 1 of 2 signatures; lawyer, second can sign",
    ),
    "one of two old signers": (
        text_of(FIRST_PART, SECOND_PART, signed(NEWEST, EDITOR, THIRD)),
        "as for policy 1, it has 1 of 2 signatures; lawyer, second can sign",
    ),
    "a signer twice": (
        text_of(FIRST_PART, SECOND_PART, signed(NEWEST, EDITOR, EDITOR)),
        "signature 2 of policy 2 is twice by one signer",
    ),
    "a stranger's signature": (
        text_of(FIRST_PART, signed(SECOND, EDITOR, SSH_KEY, STRANGER)),
        "signature 3 of policy 1 is by no signer",
    ),
    "a signature by a revoked signer": (
        text_of(
            FIRST_PART,
            SECOND_PART,
            signed(NEWEST, EDITOR, SSH_KEY),
            signed(numbered(replace(NEWEST, threshold=1), 3, NEWEST), EDITOR, SECURITY_KEY),
        ),
        "signature 2 of policy 3 is by no signer",
    ),
    "a revoked signer who comes back alone": (
        text_of(
            FIRST_PART,
            SECOND_PART,
            signed(NEWEST, EDITOR, SSH_KEY),
            signed(_REVOKED, EDITOR, SECURITY_KEY),
        ),
        "as for policy 2, it has 1 of 2 signatures; second, third can sign",
    ),
    "signatures of another policy": (
        text_of(FIRST_PART, (numbered(_LOW, 1, FIRST), SECOND_PART[1])),
        "signature 1 of policy 1 is by no signer, or over another text",
    ),
    "a signature for a release": (
        text_of(FIRST_PART, (SECOND, (FOR_A_RELEASE,))),
        "signature 1 of policy 1 is by no signer",
    ),
    "a signature that ends as the other kind": (
        VECTOR.to_file().replace(END, END.replace(b"MINISIGN", b"SSH")),
        "signature 1 of policy 1 is by no signer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_chain_is_rejected_where_it_breaks(case: str) -> None:
    """The error names the policy or the line, and nobody is led further."""
    text, problem = BROKEN[case]
    with pytest.raises(SignatureError, match=problem) as caught:
        PolicyChain.read(text, EDITOR.public)
    assert caught.value.path == "keys.txt"
    assert caught.value.remedy


@pytest.mark.parametrize("case", [case for case in BROKEN if case != "nothing"])
def test_verify_py_rejects_the_same(case: str) -> None:
    """What readers run on a copy follows the same rules, and the file is the same."""
    with pytest.raises(verify_py.CopyError):
        verify_py.follow_chain(BROKEN[case][0], EDITOR.public.fingerprint)
    for policy in CHAIN.policies:
        assert verify_py.follow_chain(CHAIN.to_file(), policy.fingerprint) == NEWEST.fingerprint


@pytest.mark.parametrize("place", range(0, len(VECTOR.to_file()), 7))
def test_no_byte_of_the_file_can_be_changed(place: int) -> None:
    """Every byte is of the canonical form, or signed."""
    flip: Callable[[int], int] = lambda byte: byte ^ 1  # noqa: E731
    text = bytearray(VECTOR.to_file())
    text[place] = flip(text[place])
    with pytest.raises(SignatureError):
        PolicyChain.read(bytes(text), VECTOR.newest)


def test_a_stranger_is_not_led_anywhere() -> None:
    """Whoever trusts another key learns that this chain does not hold it."""
    with pytest.raises(SignatureError, match=f"but not from {STRANGER.public.fingerprint}"):
        PolicyChain.read(CHAIN.to_file(), STRANGER.public)


def test_a_release_of_version_0_2_0_stays_valid(tmp_path: Path) -> None:
    """Its keys.txt is a notice of another form; nobody signs it again."""
    notice = b"Keys of the Chinese Coalition for Citizens Rights\n\nDate: 2026-11-22\n"
    release = Signer(KEY).sign(with_archive(make_release({"keys.txt": notice}, facts())))
    put_release(release, tmp_path / "old")
    done = run("verify", tmp_path / "old", "--public-key", PUBLIC)
    assert done.exit_code == 0, done.stderr
    assert verify_py.main([str(tmp_path / "old"), PUBLIC.fingerprint]) == 0
    (tmp_path / "key").write_bytes(known_key_file(b"the tests' organisation"))
    again = run("sign", tmp_path / "old", "--key", tmp_path / "key")
    assert (again.exit_code, "keys.txt is not as cccr-web writes it" in again.stderr) == (1, True)
