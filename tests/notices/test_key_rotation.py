"""keys.txt: the rotation from one key to the next can be verified with this file alone."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.signed import DAY, known_key

from cccr_web.errors import CccrError, SignatureError
from cccr_web.notices import read_key_rotation, rotate_key
from cccr_web.notices.key_rotation import KeyRotation
from cccr_web.notices.signed_text import sign_text
from cccr_web.release import SigningKey

OLD, NEW, OTHER = known_key(b"old"), known_key(b"new"), known_key(b"other")


def text_of(whole: bytes) -> bytes:
    """Return what the keys have signed."""
    return whole.partition(b"-----BEGIN")[0]


def test_keys_txt_names_both_keys() -> None:
    """A reader who trusts the old key learns the new one."""
    whole = rotate_key(OLD, NEW, DAY)
    assert read_key_rotation(whole, OLD.public) == KeyRotation(DAY, OLD.public, NEW.public)
    assert whole == rotate_key(OLD, NEW, DAY)


def test_a_key_is_not_replaced_by_itself() -> None:
    """A rotation needs two keys."""
    with pytest.raises(CccrError, match="are the same"):
        rotate_key(OLD, OLD, DAY)


def test_minisign_verifies_each_signature(tmp_path: Path) -> None:
    """The commands that the file describes work."""
    text, first, second = rotate_key(OLD, NEW, DAY).split(b"-----BEGIN MINISIGN SIGNATURE-----\n")
    (tmp_path / "keys-text").write_bytes(text)
    for key, block in ((OLD, first), (NEW, second)):
        lines = block.splitlines(keepends=True)[:4]
        (tmp_path / "keys-text.minisig").write_bytes(b"".join(lines))
        command = ["minisign", "-Vm", "keys-text", "-P", str(key.public)]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_a_later_change_is_added_to_the_earlier_ones() -> None:
    """A reader who missed a change, or trusts the second key, learns the newest key."""
    whole = rotate_key(NEW, OTHER, DAY + timedelta(days=1), rotate_key(OLD, NEW, DAY))
    newest = KeyRotation(DAY + timedelta(days=1), NEW.public, OTHER.public)
    assert read_key_rotation(whole, OLD.public) == newest
    assert read_key_rotation(whole, NEW.public) == newest


THIRD = known_key(b"third")
CHAIN = rotate_key(NEW, OTHER, DAY, rotate_key(OLD, NEW, DAY))
NO_CHAIN: dict[str, tuple[bytes, SigningKey, SigningKey, str]] = {
    "two successors": (
        rotate_key(OLD, NEW, DAY),
        OLD,
        OTHER,
        (
            f"{OLD.public.fingerprint} hands over to two keys, "
            f"{NEW.public.fingerprint} and {OTHER.public.fingerprint}. Keep the first"
        ),
    ),
    "two successors of an earlier key": (CHAIN, OLD, THIRD, "hands over to two keys"),
    "back": (
        rotate_key(OLD, NEW, DAY),
        NEW,
        OLD,
        f"the changes lead back to the key {OLD.public.fingerprint}. Make a new key",
    ),
    "back in three steps": (CHAIN, OTHER, OLD, "the changes lead back to"),
    "back to the key before": (CHAIN, OTHER, NEW, "the changes lead back to"),
    "from a key that was not announced": (
        CHAIN,
        THIRD,
        OLD,
        f"{THIRD.public.fingerprint} is not the one that was announced before",
    ),
}


@pytest.mark.parametrize("case", NO_CHAIN)
def test_changes_that_are_no_chain_are_rejected(case: str) -> None:
    """A key has one successor, and no key comes back: neither is made, nor read."""
    before, current, following, problem = NO_CHAIN[case]
    with pytest.raises(CccrError, match=problem):
        rotate_key(current, following, DAY, before)
    with pytest.raises(CccrError, match=problem):
        read_key_rotation(before + rotate_key(current, following, DAY), OLD.public)


def test_changes_whose_dates_run_backwards_are_rejected() -> None:
    """So the date of the last change, which is checked, is the latest of all."""
    later = DAY + timedelta(days=1)
    before = rotate_key(OLD, NEW, later)
    problem = rf"keys\.txt: the change of {DAY} comes after that of {later}\. Correct the date"
    with pytest.raises(CccrError, match=problem):
        rotate_key(NEW, OTHER, DAY, before)
    with pytest.raises(CccrError, match=problem):
        read_key_rotation(before + rotate_key(NEW, OTHER, DAY), OLD.public)


def test_a_key_that_is_its_own_successor_is_rejected() -> None:
    """A file that was not made by ``key rotate`` can say so."""
    text = text_of(rotate_key(OLD, NEW, DAY))
    for new, old in (
        (str(NEW.public), str(OLD.public)),
        (NEW.public.fingerprint, OLD.public.fingerprint),
    ):
        text = text.replace(new.encode(), old.encode())
    with pytest.raises(CccrError, match="the changes lead back to"):
        read_key_rotation(sign_text(text, [OLD, OLD], "x"), OLD.public)


def test_a_change_in_the_future_is_rejected() -> None:
    """Tomorrow is accepted, because clocks and time zones differ."""
    today = datetime.now(UTC).date()
    read_key_rotation(rotate_key(OLD, NEW, today + timedelta(days=1)), OLD.public)
    with pytest.raises(CccrError, match=r"keys\.txt: It is dated .* clock says"):
        read_key_rotation(rotate_key(OLD, NEW, today + timedelta(days=3)), OLD.public)


def without(block: int) -> Callable[[bytes], bytes]:
    """Take one signature away."""

    def change(whole: bytes) -> bytes:
        mark = b"-----BEGIN MINISIGN SIGNATURE-----\n"
        parts = whole.split(mark)
        del parts[block]
        return mark.join(parts)

    return change


CHANGED = "Signature 1 in keys.txt does not match the text above it"
UNSIGNED = "keys.txt holds no signature, or something after its signatures"
OTHER_FORM = "keys.txt is not in the format that cccr-web writes"
BROKEN: dict[str, tuple[Callable[[bytes], bytes], type[CccrError], str]] = {
    "date changed": (
        lambda whole: whole.replace(b"2026-11-22", b"2026-11-23", 1),
        SignatureError,
        CHANGED,
    ),
    "next key changed": (
        lambda whole: whole.replace(str(NEW.public).encode(), str(OTHER.public).encode()).replace(
            NEW.public.fingerprint.encode(), OTHER.public.fingerprint.encode()
        ),
        SignatureError,
        CHANGED,
    ),
    "only the key changed": (
        lambda whole: whole.replace(str(NEW.public).encode(), str(OTHER.public).encode()),
        CccrError,
        OTHER_FORM,
    ),
    "no signature by the old key": (without(1), SignatureError, "holds 1 signature, not 2"),
    "no signature by the new key": (without(2), SignatureError, "holds 1 signature, not 2"),
    "no signature": (lambda whole: whole.partition(b"-----BEGIN")[0], SignatureError, UNSIGNED),
    "text added at the end": (
        lambda whole: whole + b"visit evil.example\n",
        SignatureError,
        UNSIGNED,
    ),
    "a third signature": (
        lambda whole: whole + whole[whole.rindex(b"-----BEGIN") :],
        SignatureError,
        "holds 3 signatures, not 2",
    ),
    "another text, signed by the old key": (
        lambda _: sign_text(b"Date: 2026-11-22\n", [OLD, NEW], "x"),
        CccrError,
        OTHER_FORM,
    ),
    "more text, signed": (
        lambda whole: sign_text(text_of(whole) + b"more\n", [OLD, NEW], "x"),
        CccrError,
        OTHER_FORM,
    ),
    "announced by another key": (
        lambda _: rotate_key(OTHER, NEW, DAY),
        CccrError,
        f"names the key {OTHER.public.fingerprint}; the organisation's key is",
    ),
    "empty": (lambda _: b"", SignatureError, UNSIGNED),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rotation_is_rejected(name: str) -> None:
    """A rotation that was changed, or that the trusted key did not sign, is rejected."""
    change, error, problem = BROKEN[name]
    with pytest.raises(error, match=problem):
        read_key_rotation(change(rotate_key(OLD, NEW, DAY)), OLD.public)


def test_text_that_looks_signed_cannot_be_signed() -> None:
    """A text that looks signed already, or has no final line feed, is rejected."""
    for text in (b"no end", b"-----BEGIN MINISIGN SIGNATURE-----\n"):
        with pytest.raises(ValueError, match="the text must end"):
            sign_text(text, [OLD], "x")
