"""The release on its server: signature, expiry, sequence and notices (``doctor/release.py``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.live_site import signed, target_of
from support.policies import TWO_OF_THREE, key_change, signatures, unsigned_release
from support.signed import KEY, TODAY, facts, known_key, put_release, signed_release

from cccr_web.doctor import CheckResult, CheckVerdict
from cccr_web.doctor.release import check_release
from cccr_web.notices import (
    SECURITY_TXT,
    make_canary,
    make_mirrors,
    make_security_txt,
)
from cccr_web.release import (
    KEYS,
    MANIFEST,
    Release,
    RollbackGuard,
    Signer,
    SigningPolicy,
    add_signature,
    make_release,
)

DAY = timedelta(days=1)


def check(folder: Path, release: Release, **changes: Any) -> dict[str, CheckResult]:
    """Write a release, and return the results of its checks by name."""
    put_release(release, folder / "release")
    _, results = check_release(target_of(folder / "release", **changes))
    return {result.name: result for result in results}


def verdicts(results: dict[str, CheckResult]) -> dict[str, str]:
    """Return each check's verdict."""
    return {name: result.verdict.value for name, result in results.items()}


def test_a_signed_valid_release_is_ok(tmp_path: Path) -> None:
    """A signed release that is valid for a year is ok; the notices are optional."""
    found = check(tmp_path, signed())
    assert verdicts(found) == {
        "release": "ok",
        "expiry": "ok",
        "canary": "not applicable",
        "mirrors.txt": "not applicable",
        "keys.txt": "not applicable",
        "security.txt": "ok",
    }
    release = make_release({"en/index.html": b""}, facts())
    without = check(tmp_path / "2", Signer(KEY).sign(release))
    assert without["security.txt"].verdict is CheckVerdict.NOT_APPLICABLE
    assert found["release"].sentence.startswith(f"Release 1 of {TODAY:%Y-%m-%d}: ")


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (2, "Signed by editor, second; 2 of 3 must sign."),
        (1, "1 of 3 must sign. So one stolen key is enough to sign a release."),
    ],
)
def test_the_signers_of_a_release_are_named(tmp_path: Path, threshold: int, said: str) -> None:
    """Under a policy it says who signed, and calls a threshold of one what it is."""
    policy = SigningPolicy(1, threshold, TWO_OF_THREE.signers)
    release = unsigned_release(policy)
    sums = release.files[MANIFEST].body
    whole = add_signature(release, signatures(sums, "editor", "second"))
    found = check(tmp_path, whole, key=policy)["signers"]
    assert (found.verdict.value, said in found.sentence) == ("ok", True), found


def test_an_older_policy_than_the_recorded_one_is_wrong(tmp_path: Path) -> None:
    """A server with that state would reject it."""
    RollbackGuard(tmp_path / "state").record_policy(TWO_OF_THREE)
    found = check(tmp_path, signed(), states=(tmp_path / "state",))["release"]
    assert found.verdict is CheckVerdict.WRONG
    assert "A single key is older than policy 1" in found.sentence


def test_a_changed_file_in_the_release_is_named(tmp_path: Path) -> None:
    """A release with a changed file is wrong, and the file is named."""
    put_release(signed(), tmp_path / "release")
    (tmp_path / "release" / "en" / "index.html").write_text("other")
    release, (result,) = check_release(target_of(tmp_path / "release"))
    assert release is None
    assert result.verdict is CheckVerdict.WRONG
    assert "en/index.html" in result.sentence


def test_a_release_signed_with_another_key_is_wrong(tmp_path: Path) -> None:
    """A release that another key signed is wrong."""
    put_release(signed(), tmp_path / "release")
    stranger = known_key(b"a stranger").public
    release, (result,) = check_release(target_of(tmp_path / "release", key=stranger))
    assert release is None
    assert (result.name, result.verdict) == ("release", CheckVerdict.WRONG)


@pytest.mark.parametrize(
    ("expires", "verdict", "words"),
    [
        (-1, "wrong", "expired on"),
        (13, "wrong", "in 12 days"),
        (15, "ok", "in 14 days"),
    ],
)
def test_a_release_within_two_weeks_of_expiry_is_wrong(
    tmp_path: Path, expires: int, verdict: str, words: str
) -> None:
    """A release that has expired, or will within two weeks, is wrong."""
    release = signed(time=TODAY - 300 * DAY, expires=datetime.now(UTC) + expires * DAY)
    result = check(tmp_path, release)["expiry"]
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


@pytest.mark.parametrize(
    ("expires", "verdict", "words"),
    [
        (-1, "wrong", ".well-known/security.txt expired on"),
        (1.5, "wrong", "(in 1 day)."),
        (13, "wrong", "(in 12 days)."),
        (15, "ok", "(in 14 days)."),
        (None, "wrong", "has no Expires, which RFC 9116 requires."),
    ],
)
def test_a_security_txt_within_two_weeks_of_expiry_is_wrong(
    tmp_path: Path, expires: float | None, verdict: str, words: str
) -> None:
    """It is judged as the release is; researchers must not trust one that has expired."""
    until = datetime.now(UTC) + (expires or 0) * DAY
    made = make_security_txt(until, [("Contact", "mailto:a@cccr.example")])
    if expires is None:
        made = made.partition(b"Expires")[0]
    result = check(tmp_path, signed({SECURITY_TXT: made}))["security.txt"]
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


@pytest.mark.parametrize(
    ("issued", "verdict", "words"),
    [
        (-367, "wrong", "expired on"),
        (-360, "wrong", "(in 5 days)."),
        (-350, "ok", "(in 15 days)."),
    ],
)
def test_a_list_of_addresses_near_its_end_is_wrong(
    tmp_path: Path, issued: int, verdict: str, words: str
) -> None:
    """It is judged as the release is: no server accepts a release with one that has expired."""
    day = datetime.now(UTC).date() + issued * DAY
    made = {"mirrors.txt": make_mirrors(KEY, day, ("https://cccr.example",))}
    release = signed(made, time=TODAY + issued * DAY, expires=TODAY + 99 * DAY)
    result = check(tmp_path, release)["mirrors.txt"]
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


def test_a_change_of_keys_does_not_expire(tmp_path: Path) -> None:
    """The record of an earlier key stays valid."""
    made = key_change(known_key(b"the former"), KEY)
    result = check(tmp_path, signed({"keys.txt": made}))["keys.txt"]
    assert (result.verdict.value, result.sentence) == ("ok", "keys.txt does not expire.")


def test_an_older_release_than_the_last_served_is_wrong(tmp_path: Path) -> None:
    """A release older than the last one that a server served is wrong."""
    state = tmp_path / "state"
    RollbackGuard(state).record(signed_release(2))
    result = check(tmp_path, signed_release(1), states=(state,))["release"]
    assert result.verdict is CheckVerdict.WRONG
    assert (
        "Release 1 is older than release 2, which was served before. This is recorded in"
        in result.sentence
    )


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (f"1 {known_key(b'other').public.fingerprint}\n", "Policy 1 differs"),
        (f"2 {KEY.public.fingerprint}\n", "Policy 1 is older than policy 2"),
        ("not a policy\n", "policy is damaged."),
    ],
)
def test_a_recorded_policy_that_a_server_would_not_leave_is_wrong(
    tmp_path: Path, recorded: str, words: str
) -> None:
    """The policy in a state folder is judged with those of the release, as the server does."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/policy").write_text(recorded)
    keys = key_change(known_key(b"the former"), KEY)
    result = check(tmp_path, signed({KEYS: keys}), states=(tmp_path / "state",))["release"]
    assert (result.verdict, words in result.sentence) == (CheckVerdict.WRONG, True), result
    assert "higher sequence" not in result.remedy


@pytest.mark.parametrize(
    ("said", "following", "verdict", "words"),
    [
        (-9, 30, "ok", "(in 30 days)"),
        (-9, 5, "ok", "(in 5 days)"),
        (-9, 0, "ok", "(in less than a day)"),
        (-99, -2, "wrong", "was due on"),
        (0, None, "wrong", "does not match"),
    ],
)
def test_an_overdue_or_damaged_canary_is_wrong(
    tmp_path: Path, said: int, following: int | None, verdict: str, words: str
) -> None:
    """A canary is wrong if the next one is overdue or its signature does not match.

    Before that, the result says how many days are left.
    """
    day = TODAY.date() + said * DAY
    next_day = TODAY.date() + (30 if following is None else following) * DAY
    made = make_canary(KEY, day, next_day, ("All is well.",), ("A headline",))
    if following is None:
        made = made.replace(b"All is well", b"All is lost")
    release = signed({"canary.txt": made}, time=TODAY + said * DAY)
    result = check(tmp_path, release)["canary"]
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


@pytest.mark.parametrize("days", [-400, 9])
def test_a_notice_that_no_server_accepts_is_wrong(tmp_path: Path, days: int) -> None:
    """It was not valid when the release was made, which is why the servers reject the release."""
    day, time = TODAY.date() + (days - 100) * DAY, TODAY - 100 * DAY
    made = {
        "canary.txt": make_canary(KEY, day, day + 30 * DAY, ("All is well.",), ("A headline",)),
        "mirrors.txt": make_mirrors(KEY, day, ("https://cccr.example",)),
    }
    results = check(tmp_path, signed(made, time=time))
    for name in ("canary", "mirrors.txt"):
        assert results[name].verdict is CheckVerdict.WRONG
        assert f"but the release is dated {time:%Y-%m-%d}." in results[name].sentence
