"""``RELEASE.json`` (``release/metadata.py``)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from support.serving import ONION

from cccr_web.errors import ReleaseError
from cccr_web.release import Expiry, Metadata, Release

FACTS = Metadata(
    sequence=7,
    time=datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC),
    expires=datetime(2027, 11, 22, 1, 2, 3, tzinfo=UTC),
    fingerprint="5526 8BD2 F7B4 282D 20A3 5DAE 2A0A E959",
    languages={"en": "en", "zh-hans": "zh-Hans"},
    clearnet="https://example.org",
    onions=(ONION,),
    style_hashes=("sha256-+Sp0eju0a6J0I7vmHHQfWmKMqqlOSwSgWkLM5ksy2bE=",),
)


def values() -> dict[str, Any]:
    """Return the file's JSON, to be changed."""
    whole: dict[str, Any] = json.loads(FACTS.to_json())
    return whole


def test_metadata_is_read_as_it_was_written() -> None:
    """The file is sorted and ends in a line feed."""
    assert values() == {
        "addresses": {"clearnet": "https://example.org", "onions": [ONION]},
        "expires": "2027-11-22T01:02:03Z",
        "fingerprint": "5526 8BD2 F7B4 282D 20A3 5DAE 2A0A E959",
        "format": 1,
        "languages": {"en": "en", "zh-hans": "zh-Hans"},
        "sequence": 7,
        "style_hashes": list(FACTS.style_hashes),
        "time": "2026-11-22T01:02:03Z",
    }
    assert list(values()) == sorted(values())
    assert FACTS.to_json().endswith(b"}\n")
    assert Metadata.from_json(FACTS.to_json()) == FACTS


def test_times_are_written_in_utc() -> None:
    """A time in another zone is converted."""
    beijing = timezone(timedelta(hours=8))
    shifted = replace(FACTS, time=FACTS.time.astimezone(beijing))
    assert json.loads(shifted.to_json())["time"] == "2026-11-22T01:02:03Z"


@pytest.mark.parametrize(
    ("left", "words", "is_near"),
    [
        (timedelta(days=15), "expires on 2027-11-22 (in 15 days)", False),
        (timedelta(days=14, seconds=1), "expires on 2027-11-22 (in 14 days)", False),
        (timedelta(days=14), "expires on 2027-11-22 (in 14 days)", True),
        (timedelta(days=2, hours=-1), "expires on 2027-11-22 (in 1 day)", True),
        (timedelta(seconds=1), "expires on 2027-11-22 (in less than a day)", True),
        (timedelta(0), "expired on 2027-11-22", False),
        (timedelta(days=-3), "expired on 2027-11-22", False),
    ],
)
def test_expiry_is_near_from_14_days_ahead_and_is_described_in_days(
    left: timedelta, words: str, *, is_near: bool
) -> None:
    """Fourteen days before it expires it is near; the days left are whole days."""
    expiry = FACTS.expiry(FACTS.expires - left)
    assert (str(expiry), expiry.is_near, expiry.has_passed) == (
        words,
        is_near,
        left <= timedelta(0),
    )
    assert isinstance(expiry, Expiry)


WRONG: dict[str, tuple[str, Any]] = {
    "sequence zero": ("sequence", 0),
    "sequence true": ("sequence", True),
    "sequence text": ("sequence", "7"),
    "time without its zone": ("time", "2026-11-22T01:02:03"),
    "time none": ("time", None),
    "no such time": ("time", "2026-02-30T00:00:00Z"),
    "languages none": ("languages", {}),
    "languages list": ("languages", ["en"]),
    "slug with a slash": ("languages", {"../en": "en"}),
    "tag none": ("languages", {"en": None}),
    "hash of another kind": ("style_hashes", ["unsafe-inline"]),
    "hash that ends the directive": ("style_hashes", [FACTS.style_hashes[0] + "; script-src *"]),
    "hashes none": ("style_hashes", None),
}


@pytest.mark.parametrize(("key", "value"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_rejected(key: str, value: Any) -> None:
    """A value that the server could not use, or that would weaken its headers, is an error."""
    text = json.dumps(values() | {key: value}).encode()
    with pytest.raises(ReleaseError, match=rf"^RELEASE\.json: “{key}” is missing or wrong\.$"):
        Metadata.from_json(text)
    without = values()
    del without[key]
    with pytest.raises(ReleaseError, match=f"“{key}” is missing or wrong"):
        Metadata.from_json(json.dumps(without).encode())


AT = "2026-11-22T01:02:03Z"
OUT_OF_BOUNDS: dict[str, tuple[dict[str, Any], str]] = {
    "sequence": (
        {"sequence": 10**9 + 1},
        ("“sequence” is more than 1,000,000,000. Correct it in site.toml and build again."),
    ),
    "sequence with 4,000 digits": ({"sequence": 10**3999}, "“sequence” is more than 1,000,000,000"),
    "expires before time": (
        {"expires": "2026-11-22T01:02:02Z"},
        f"“expires” is 2026-11-22T01:02:02Z, which is before “time”, {AT}.",
    ),
    "valid for too long": (
        {"expires": "2036-11-20T01:02:03Z"},
        f"“expires” is 2036-11-20T01:02:03Z, more than 3,650 days after “time”, {AT}.",
    ),
    "before Unix": ({"time": "1969-12-31T23:59:59Z"}, "“time” is before 1970."),
}


@pytest.mark.parametrize(("changes", "problem"), OUT_OF_BOUNDS.values(), ids=OUT_OF_BOUNDS)
def test_a_number_or_a_date_out_of_bounds_is_rejected(
    changes: dict[str, Any], problem: str
) -> None:
    """The error says which bound is exceeded, and names the file."""
    with pytest.raises(ReleaseError) as caught:
        Metadata.from_json(json.dumps(values() | changes).encode())
    assert str(caught.value).startswith(f"RELEASE.json: {problem}")
    assert caught.value.path == "RELEASE.json"


def test_the_bounds_themselves_are_accepted() -> None:
    """The highest sequence, a release that expires at once, and ten years are in order."""
    last = replace(FACTS, sequence=10**9, expires=FACTS.time)
    assert Metadata.from_json(last.to_json()) == last
    ten_years = replace(FACTS, expires=FACTS.time + timedelta(days=3650))
    assert Metadata.from_json(ten_years.to_json()) == ten_years


def test_metadata_out_of_bounds_cannot_be_made() -> None:
    """So no build and no signature can hold them either."""
    with pytest.raises(ReleaseError, match="“sequence” is more than"):
        replace(FACTS, sequence=10**9 + 1)


@pytest.mark.parametrize(
    ("addresses", "key"),
    [
        ({"clearnet": "http://example.org", "onions": []}, "clearnet"),
        ({"clearnet": "https://example.org/\r\nX: y", "onions": []}, "clearnet"),
        ({"clearnet": "https://example..org", "onions": []}, "clearnet"),
        ({"onions": []}, "clearnet"),
        ({"clearnet": None, "onions": [ONION + "\n"]}, "onions"),
        ({"clearnet": None, "onions": ONION}, "onions"),
        ({"clearnet": None}, "onions"),
        ([], "addresses"),
        (None, "addresses"),
    ],
)
def test_a_wrong_address_is_rejected(addresses: Any, key: str) -> None:
    """An address that would not be valid in a header is an error."""
    text = json.dumps(values() | {"addresses": addresses}).encode()
    with pytest.raises(ReleaseError, match=f"“{key}” is"):
        Metadata.from_json(text)


def test_a_newer_format_is_rejected_with_the_command_that_upgrades() -> None:
    """Nothing else of a newer file is read, because its other keys may mean something else."""
    with pytest.raises(ReleaseError) as caught:
        Metadata.from_json(b'{"format": 3, "sequence": "one"}')
    assert str(caught.value) == (
        "RELEASE.json is of format 3; this version of cccr-web reads formats 1 and 2. "
        "Upgrade it, on a server with: deploy/deploy.sh upgrade"
    )


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b"[]", b"1", b"{}", b'{"format": 0}', b'{"format": true}']
)
def test_a_file_of_another_format_is_rejected(text: bytes) -> None:
    """Other JSON files, and formats that never existed, are errors."""
    with pytest.raises(ReleaseError, match=r"^RELEASE\.json is not (JSON|of format 1 or 2)"):
        Metadata.from_json(text)


def test_a_built_release_has_its_facts(release: Release) -> None:
    """RELEASE.json holds the sequence, the day, the languages, the addresses and the style."""
    facts = json.loads(release.files["RELEASE.json"].body)
    (style,) = facts.pop("style_hashes")
    assert style.startswith("sha256-")
    assert facts == {
        "format": 1,
        "sequence": 1,
        "time": "2026-11-29T00:00:00Z",
        "expires": "2027-11-29T00:00:00Z",
        "fingerprint": None,
        "languages": {"en": "en", "zh-hans": "zh-Hans", "zh-hant": "zh-Hant"},
        "addresses": {"clearnet": "https://cccr.example", "onions": [ONION]},
    }
