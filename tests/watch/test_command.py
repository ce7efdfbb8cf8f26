"""The output and exit status of ``cccr-web watch``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.command import run, undocumented
from support.hostile import Hostile
from support.policies import with_latest
from support.signed import KEY, PUBLIC, TODAY, facts, put_release, signed_release

from cccr_web.notices import make_mirrors
from cccr_web.release import Signer, latest_of, make_release


def watch(*arguments: object) -> Result:
    """Run ``watch`` with the tests' key and these arguments."""
    return run("watch", "--public-key", PUBLIC, *arguments)


@pytest.fixture
def site() -> Iterator[Hostile]:
    """An honest server of release 2."""
    with Hostile(signed_release(2)) as server:
        yield server


def test_json_has_a_fixed_format(site: Hostile) -> None:
    """The JSON output has a fixed format that programs can rely on."""
    with Hostile(signed_release(1)) as old:
        done = watch("--json", site.url, old.url)
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert undocumented(said, "watch") == set()
    for address in said["addresses"]:
        assert isinstance(address.pop("seconds"), float)
    assert said == {
        "format": 1,
        "same": False,
        "release": {
            "sequence": 2,
            "time": signed_release(2).metadata.time.isoformat(),
            "expires": signed_release(2).metadata.expires.isoformat(),
            "expired": False,
            "days_left": 364,
            "sha256sums": signed_release(2).manifest_sha256,
        },
        "problem": None,
        "addresses": [
            {"address": site.url, "release": 2, "latest": None, "files": 18, "differences": []},
            {
                "address": old.url,
                "release": 1,
                "latest": None,
                "files": 18,
                "differences": [
                    {
                        "path": "",
                        "kind": "older release",
                        "detail": "release 1, not 2",
                        "remedy": "Publish the newest release there.",
                    }
                ],
            },
        ],
    }
    assert list(said) == ["format", "same", "release", "problem", "addresses"]


def test_the_table_has_a_line_for_each_address_and_distinct_difference(site: Hostile) -> None:
    """The table lists each address, and each difference once, however many files have it."""
    done = watch(site.url)
    assert done.exit_code == 0
    first, head, line, unknown, last = done.stdout.splitlines()
    assert first == f"Compared with release 2 of {TODAY:%Y-%m-%d}."
    assert head.split() == ["address", "release", "files", "differences", "seconds"]
    assert line.split()[:-1] == [site.url, "2", "18", "0"]
    assert unknown == f"No SHA256SUMS.latest, so a newer release may exist: {site.url}"
    assert last == "No differences."
    site.tamper = lambda _path, answer: replace(
        answer, headers=(*answer.headers, ("Set-Cookie", "id=1"))
    )
    site.asked.clear()
    done = watch(site.url)
    assert done.exit_code == 1
    asked = len({*site.asked} - {"/SHA256SUMS.latest"})  # which may be missing
    assert done.stdout.splitlines()[-3::2] == [
        f"extra header: {site.url}/ and {asked - 1} more: Set-Cookie: id=1",
        "There are DIFFERENCES.",
    ]
    assert watch(site.url, "--allow-header", "set-cookie").exit_code == 0


@pytest.mark.parametrize(
    ("changes", "kind", "detail"),
    [
        ({}, None, ""),
        (
            {"issued": TODAY.date() - timedelta(days=40), "lapses": TODAY.date()},
            "lapsed",
            f"of {TODAY.date() - timedelta(days=40)}, lapsed on {TODAY.date()}",
        ),
        (
            {"sequence": 3, "sha256": "0" * 64},
            "freeze",
            "release 2, but it names release 3",
        ),
    ],
)
def test_an_address_that_may_not_have_the_newest_release_is_reported(
    changes: dict[str, Any], kind: str | None, detail: str
) -> None:
    """Programs get the statement, too; one that is good is no difference."""
    release = with_latest(signed_release(2), KEY, **changes)
    with Hostile(release) as site:
        done, said = watch(site.url), watch(site.url, "--json")
    assert done.exit_code == said.exit_code == (1 if kind else 0), done.stdout
    (address,) = json.loads(said.stdout)["addresses"]
    assert [(each["kind"], each["detail"]) for each in address["differences"]] == (
        [(kind, detail)] if kind else []
    )
    latest = latest_of(release)
    assert latest
    assert address["latest"] == {
        "release": latest.sequence,
        "date": f"{latest.issued}",
        "lapses": f"{latest.lapses}",
        "lapsed": kind == "lapsed",
    }
    assert "so a newer release may exist" not in done.stdout
    assert (f"{kind}: {site.url}/SHA256SUMS.latest: {detail}" in done.stdout) == bool(kind)


def test_with_a_release_given_all_addresses_are_compared_with_it(
    site: Hostile, tmp_path: Path
) -> None:
    """With --release, every address is compared with it, even if all of them are older."""
    put_release(signed_release(3), tmp_path / "release")
    done = watch(site.url, "--release", tmp_path / "release")
    assert done.exit_code == 1
    assert f"older release: {site.url}: release 2, not 3" in done.stdout


@pytest.mark.parametrize(
    ("days", "status", "words", "kind"),
    [
        (-2, 1, ", which EXPIRED on {}.", "expired"),
        (9, 0, ", which expires on {} (in 8 days).", "expires"),
        (20, 0, ".", None),
    ],
)
def test_expiry_is_reported_even_if_all_addresses_agree(
    days: int, status: int, words: str, kind: str | None
) -> None:
    """The days left are shown from 14 days ahead; an expired release is a failure."""
    old = facts(2, time=TODAY - timedelta(days=30), expires=TODAY + timedelta(days=days))
    release = Signer(KEY).sign(make_release({"en/index.html": b"x"}, old))
    with Hostile(release) as site:
        done = watch(site.url)
        said = watch(site.url, "--json")
    first = (
        f"Compared with release 2 of {old.time:%Y-%m-%d}{words.format(f'{old.expires:%Y-%m-%d}')}"
    )
    assert (done.exit_code, done.stdout.splitlines()[0]) == (status, first)
    assert said.exit_code == status
    facts_said = json.loads(said.stdout)["release"]
    assert (facts_said["expired"], facts_said["days_left"]) == (days < 0, days - 1)
    problem = json.loads(said.stdout)["problem"]
    assert (problem and problem["kind"]) == kind


def test_the_addresses_in_mirrors_txt_are_checked_too(tmp_path: Path) -> None:
    """With --mirrors, the signed list of addresses is checked, each address once."""
    onion = f"http://{'a' * 56}.onion"
    mirrors = make_mirrors(KEY, TODAY.date(), ("https://cccr.invalid", onion))
    release = Signer(KEY).sign(make_release({"mirrors.txt": mirrors}, facts(2)))
    with Hostile(release) as site:
        rejected = watch(site.url, "--mirrors")
        done = watch(site.url, "--mirrors", "--socks", "127.0.0.1:1", "--json", "--time-limit", "5")
    assert (rejected.exit_code, "Pass --socks" in rejected.stderr) == (1, True)
    addresses = [each["address"] for each in json.loads(done.stdout)["addresses"]]
    assert addresses == [site.url, "https://cccr.invalid", onion]
    put_release(release, tmp_path / "release")
    given = watch(site.url, "--mirrors", "--release", tmp_path / "release")
    assert "Pass --socks" in given.stderr
    with Hostile(signed_release(2)) as site:
        done = watch(site.url, "--mirrors")
    assert (done.exit_code, done.stderr) == (
        1,
        "The release has no mirrors.txt. Leave --mirrors out.\n",
    )


def test_a_missing_signature_is_reported_first(site: Hostile) -> None:
    """The output begins by saying that no signed release was found."""
    site.tamper = lambda _path, answer: replace(answer, status=404)
    done = watch(site.url)
    assert done.exit_code == 1
    assert done.stdout.startswith("No release with a good signature was found.\n")
    assert f"missing: {site.url}/SHA256SUMS: responded with 404" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["http://cccr.example"], 2, "http is only for onions and this machine"),
        ([], 2, "Missing argument"),
        ([f"http://{'a' * 56}.onion"], 1, "An onion can be reached only through Tor."),
        (["https://cccr.example", "--socks", "unix:/run/tor"], 2, "is not HOST:PORT"),
        (["https://cccr.example", "--release", "gone"], 1, "gone is not a release"),
    ],
)
def test_wrong_arguments_are_rejected(arguments: list[str], status: int, problem: str) -> None:
    """Wrong arguments fail with a message before anything is fetched."""
    done = watch(*arguments)
    assert done.exit_code == status
    assert problem in done.stderr


def test_a_report_is_what_json_prints(site: Hostile, tmp_path: Path) -> None:
    """``--report`` writes the file for ``notify``, and prints the table all the same."""
    done = watch(site.url, "--report", tmp_path / "watch.json")
    assert done.stdout.endswith("No differences.\n")
    written = json.loads((tmp_path / "watch.json").read_text())
    assert written["addresses"][0]["differences"] == []
    done = watch(site.url, "--report", tmp_path / "none/watch.json")
    assert done.exit_code == 1
    assert "watch.json cannot be written" in done.stderr
