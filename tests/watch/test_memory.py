"""watch --state: what was seen before, here or by another watcher, is compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import run
from support.hostile import Hostile
from support.policies import CHAIN, EDITOR, SECURITY_KEY, chained_release, release_under
from support.signed import KEY, PUBLIC, content, facts, signed_release

from cccr_web.errors import CccrError
from cccr_web.release import Release, Signer, Trusted, make_release, record_after, with_archive
from cccr_web.watch import Memory, Report, SiteResult, read_sightings

HERE, THERE = "https://here.example", "https://there.example"


def release(sequence: int, before: Release | None = None, mark: bytes = b"") -> Release:
    """Return a signed release with the record that follows from the one before."""
    record = {"releases.txt": record_after(before)} if before else {}
    files = content(sequence) | record | {"mark.txt": mark}
    return Signer(KEY).sign(with_archive(make_release(files, facts(sequence))))


FIRST = release(1)
SECOND = release(2, FIRST)
THIRD = release(3, SECOND)
FORK = release(2, FIRST, b"another")


def look(
    folder: Path,
    *served: tuple[str, Release | None],
    key: Trusted = PUBLIC,
    others: Path | None = None,
) -> list[tuple[str, str, str]]:
    """Return the address, kind and detail of what a watcher reports who finds these releases."""
    sites = tuple(SiteResult(address, 1, 1, 0, (), signed) for address, signed in served)
    known = read_sightings(others / "seen") if others else ()
    report = Memory(folder, known).judge(Report(FIRST, sites), key)
    return [
        (site.address, found.kind.value, found.detail)
        for site in report.sites
        for found in site.differences
    ]


def test_an_honest_site_is_never_reported(tmp_path: Path) -> None:
    """Each release is seen for some time at two addresses, one of which is away for a while."""
    for one in (FIRST, FIRST, SECOND, THIRD):
        assert look(tmp_path, (HERE, one), (THERE, one if one != SECOND else None)) == []
    lines = (tmp_path / "seen").read_text().splitlines()
    assert [line.split()[1:3] for line in lines].count([HERE, "1"]) == 1
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((HERE, SECOND), (HERE, FIRST), ("rollback", "release 1, but 2 was seen at")),
        ((HERE, SECOND), (THERE, FIRST), ("freeze", "release 1, but 2 was seen at")),
        ((HERE, SECOND), (HERE, FORK), ("fork", f"list {FORK.manifest_sha256[:16]}… of release 2")),
        ((HERE, SECOND), (THERE, FORK), ("fork", f"but {SECOND.manifest_sha256[:16]}… was seen")),
        ((HERE, FORK), (HERE, THIRD), ("unrecorded", "lacks release 2 as it was seen at")),
        ((HERE, SECOND), (HERE, release(3, FIRST)), ("unrecorded", "lacks release 2")),
        ((HERE, SECOND), (THERE, release(3)), ("unrecorded", "lacks release 2")),
    ],
)
def test_what_contradicts_the_memory_is_reported(
    before: tuple[str, Release],
    now: tuple[str, Release],
    expected: tuple[str, str],
    tmp_path: Path,
) -> None:
    """The report names what was seen, where and when; so does the next one."""
    assert look(tmp_path, before) == []
    kind, detail = expected
    (found,) = look(tmp_path, now)
    assert (found[0], found[1], detail in found[2]) == (now[0], kind, True), found
    assert f"seen at {before[0]} on 2" in found[2]
    assert found in look(tmp_path, now)


def test_another_watcher_s_memory_counts_as_one_s_own(tmp_path: Path) -> None:
    """Two places that are shown different releases of one number find out by one file."""
    one, other = tmp_path / "one", tmp_path / "other"
    assert look(one, (HERE, SECOND)) == []
    assert look(other, (HERE, FORK)) == []
    (found,) = look(one, (HERE, SECOND), others=other)
    assert found[1] == "fork"
    # Also later, when both see the same.
    kinds = {kind for _, kind, _ in look(one, (HERE, THIRD), others=other)}
    assert kinds == {"fork", "unrecorded"}
    assert look(other, (HERE, THIRD))[0][1] == "unrecorded"


def test_a_place_that_is_kept_on_an_old_release_is_found(tmp_path: Path) -> None:
    """A reader who is shown the old release learns of the new one from the other watcher."""
    one, other = tmp_path / "one", tmp_path / "other"
    assert look(one, (HERE, FIRST)) == []
    assert look(other, (HERE, SECOND)) == []
    assert [kind for _, kind, _ in look(one, (HERE, FIRST), others=other)] == ["rollback"]


def test_signatures_by_a_revoked_signer_are_reported_and_not_remembered(tmp_path: Path) -> None:
    """After the newest policy was seen, a release under the one before is not the newest."""
    old, second, _ = CHAIN.policies
    keys = {"keys.txt": CHAIN.to_file()[: CHAIN.to_file().index(b"number 2") - 18]}
    revoked = release_under(second, (EDITOR, SECURITY_KEY), keys, sequence=9)
    assert look(tmp_path, (HERE, chained_release()), key=old) == []
    (found,) = look(tmp_path, (HERE, revoked), key=old)
    assert found[1:] == (
        "bad signature",
        f"Policy 1 is older than policy 2, which is recorded in {tmp_path}.",
    )
    assert look(tmp_path, (HERE, chained_release()), key=old) == []


def test_a_damaged_memory_is_an_error(tmp_path: Path) -> None:
    """It does not count as an empty one, and stays as it is."""
    look(tmp_path, (HERE, FIRST))
    file = tmp_path / "seen"
    for body in (file.read_bytes()[:-1], b"x\n", b"\n", b"\xff\n"):
        file.write_bytes(body)
        with pytest.raises(CccrError, match="seen is damaged"):
            look(tmp_path, (HERE, FIRST))
        assert file.read_bytes() == body


def test_the_command_remembers_and_compares(tmp_path: Path) -> None:
    """It exits 1 for what another watcher has seen otherwise, and needs a state to compare."""
    with Hostile(signed_release(2)) as site:
        watch = ("watch", "--public-key", PUBLIC, site.url)
        assert "--compare needs --state" in run(*watch, "--compare", tmp_path / "x").stderr
        state = ("--state", tmp_path / "state")
        for _ in range(2):
            done = run(*watch, *state)
            assert (done.exit_code, "No differences." in done.stdout) == (0, True), done.output
        (tmp_path / "other").write_text(f"2026-11-22T00:00:00Z {site.url} 2 {'0' * 64}\n")
        done = run(*watch, *state, "--compare", tmp_path / "other")
    assert done.exit_code == 1
    assert f"fork: {site.url}: list {signed_release(2).manifest_sha256[:16]}…" in done.stdout
