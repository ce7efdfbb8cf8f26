"""A mirror that a volunteer fetches: verified, only what changed, in one step or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result
from support.command import run
from support.hostile import Hostile, HostileResponse, change_a_byte_of
from support.killer import Killer
from support.policies import with_latest
from support.signed import (
    KEY,
    PUBLIC,
    TODAY,
    content,
    facts,
    known_key,
    put,
    signed_release,
)
from support.tls import certificate

from cccr_web.errors import CccrError
from cccr_web.mirror import fetch_mirror, write_mirror
from cccr_web.release import Release, Signer, load, make_release
from cccr_web.watch import Address, CheckSettings, RequestLimits

if TYPE_CHECKING:
    from support.hostile import Tamper

# The list, what may say that it is the newest, its signatures, and RELEASE.json.
SIGNED = [
    *("/SHA256SUMS", "/SHA256SUMS.latest", "/SHA256SUMS.minisig", "/SHA256SUMS.sshsig"),
    "/RELEASE.json",
]
KILLS = int(os.environ.get("TESTS_KILLS", "210")) // 7


def fetch(url: str, folder: Path, *options: object) -> Result:
    """Fetch a mirror with the tests' key."""
    return run("mirror", "fetch", url, "--to", folder, "--public-key", PUBLIC, *options)


@pytest.fixture
def site() -> Iterator[Hostile]:
    """An honest server of release 2."""
    with Hostile(signed_release(2)) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a mirror that does not exist yet."""
    return tmp_path / "volunteer" / "mirror"


def holds(folder: Path, sequence: int) -> bool:
    """Return whether the mirror is this release, verified, with all that belongs to it."""
    assert {path.name for path in folder.iterdir()} == {"headers", "redirects", "site"}
    return load(folder / "site", PUBLIC).files == signed_release(sequence).files


def test_a_new_mirror_costs_a_few_requests(site: Hostile, folder: Path) -> None:
    """The ZIP holds all other files, so they need no requests of their own."""
    done = fetch(site.url, folder)
    assert (done.exit_code, done.stderr) == (0, "")
    assert site.asked == [*SIGNED, "/cccr-web.zip"]
    assert holds(folder, 2)
    assert done.stdout.startswith("Release 2, 18 files, signed by ")
    assert f", is now in {folder / 'site'}; the headers are in {folder / 'headers'}." in done.stdout
    assert done.stdout.endswith("5 files fetched.\n")


def test_an_unchanged_release_is_fetched_no_second_time(site: Hostile, folder: Path) -> None:
    """A daily run costs five small requests, and replaces no file or folder."""
    fetch(site.url, folder)
    before = {path: path.stat() for path in folder.rglob("*")}
    site.asked.clear()
    done = fetch(site.url, folder)
    assert (done.exit_code, site.asked) == (0, SIGNED)
    assert "was already in" in done.stdout
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == {
        path: status.st_ino for path, status in before.items()
    }


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({}, ""),
        (
            {"sequence": 3, "sha256": "0" * 64},
            (
                "Warning: SHA256SUMS.latest says that release 3 is newer than this one, 2. "
                "Look for it at another address.\n"
            ),
        ),
    ],
)
def test_a_mirror_has_the_statement_of_the_newest_release(
    changes: dict[str, Any], warning: str, folder: Path
) -> None:
    """A renewed one is fetched without a release; one that names a newer release is a warning."""
    with Hostile(signed_release(2)) as site:
        fetch(site.url, folder)
    dated = with_latest(signed_release(2), KEY, **changes)
    with Hostile(dated) as site:
        done = fetch(site.url, folder)
    assert (done.exit_code, done.stderr) == (0, warning)
    assert load(folder / "site", PUBLIC).files == dated.files
    rules = (folder / "headers/nginx.conf").read_text()
    assert (
        'location ~ \\.latest$ { default_type "text/plain; charset=utf-8"; '
        'set $cccr_cache "no-cache"; }'
    ) in rules


def test_a_mirror_is_repaired(site: Hostile, folder: Path) -> None:
    """A file that changed on the volunteer's disk is replaced, with headers and redirects."""
    fetch(site.url, folder)
    (folder / "site/en/index.html").write_bytes(b"other")
    (folder / "headers/nginx.conf").write_bytes(b"other")
    (folder / "redirects/zh/index.html").unlink()
    (folder / "site/onion.png").unlink()
    site.asked.clear()
    done = fetch(site.url, folder)
    assert "is now in" in done.stdout
    assert site.asked == SIGNED
    assert holds(folder, 2)
    assert (folder / "redirects/zh/index.html").exists()
    assert b"add_header" in (folder / "headers/nginx.conf").read_bytes()


def test_a_newer_release_replaces_the_mirror_and_keeps_files_of_others(folder: Path) -> None:
    """The volunteer's own files stay; those of the older release go."""
    write_mirror(Signer(KEY).sign(make_release({"en/old.html": b"x"}, facts(1))), folder)
    put({".git/HEAD": b"ref", "CNAME": b"mirror.example"}, folder / "site")
    with Hostile(signed_release(3)) as server:
        assert fetch(server.url, folder).exit_code == 0
    assert (folder / "site/.git/HEAD").read_bytes() == b"ref"
    assert (folder / "site/CNAME").read_bytes() == b"mirror.example"
    assert not (folder / "site/en/old.html").exists()
    (folder / "site/CNAME").unlink()
    shutil.rmtree(folder / "site/.git")
    assert holds(folder, 3)


def test_only_changed_files_are_fetched_without_a_zip(folder: Path) -> None:
    """A release without a ZIP is fetched file by file, and only those that have changed."""
    texts = content(1)
    write_mirror(Signer(KEY).sign(make_release(texts, facts(1))), folder)
    changed = {**texts, "en/index.html": b"new", "en/added.html": b"added"}
    with Hostile(Signer(KEY).sign(make_release(changed, facts(2)))) as server:
        done = fetch(server.url, folder)
    assert done.exit_code == 0, done.output
    assert server.asked == [*SIGNED, "/en/added.html", "/en/index.html"]


def other_key(release: Release) -> Release:
    """Return a release of the same files that another key signed."""
    key = known_key(b"somebody")
    named = replace(release.metadata, fingerprint=key.public.fingerprint)
    return Signer(key).sign(make_release(content(2), named))


def expired() -> Release:
    """Return a release that expired yesterday."""
    old = facts(3, expires=TODAY - timedelta(days=1))
    return Signer(KEY).sign(make_release({"en/index.html": b"x"}, old))


def of_tomorrow() -> Release:
    """Return a release from the future."""
    ahead = facts(3, time=TODAY + timedelta(days=3))
    return Signer(KEY).sign(make_release({"en/index.html": b"x"}, ahead))


BAD_RELEASES = {
    "older": (signed_release(1), "Release 1 is older than release 2, which is in "),
    "another of the same sequence": (
        Signer(KEY).sign(make_release({"en/index.html": b"x"}, facts(2))),
        "SHA256SUMS differs from that of release 2",
    ),
    "expired": (expired(), "Use another address of the site, and check this machine's clock."),
    "from the future": (of_tomorrow(), "which is in the future."),
    "of another key": (other_key(signed_release(3)), "SHA256SUMS.minisig"),
}


@pytest.mark.parametrize(("release", "problem"), BAD_RELEASES.values(), ids=[*BAD_RELEASES])
def test_a_bad_release_changes_nothing(release: Release, problem: str, folder: Path) -> None:
    """It is rejected by its list alone, before its files are fetched."""
    write_mirror(signed_release(2), folder)
    with Hostile(release) as server:
        done = fetch(server.url, folder)
    assert (done.exit_code, done.stdout) == (1, "")
    assert problem in done.stderr
    assert set(server.asked) <= {*SIGNED}
    assert holds(folder, 2)


def only(path: str, **changes: object) -> Tamper:
    """Return a function that changes the response to one path."""

    def tamper(asked: str, answer: HostileResponse) -> HostileResponse:
        return replace(answer, **changes) if asked == path else answer  # type: ignore[arg-type]

    return tamper


BAD_ANSWERS = {
    "changed": (change_a_byte_of("/cccr-web.zip"), "cccr-web.zip is not the file that SHA256SUMS"),
    "missing": (only("/cccr-web.zip", status=404), "/cccr-web.zip: responded with 404."),
    "unsigned": (only("/SHA256SUMS.sshsig", status=404), "SHA256SUMS.sshsig is missing"),
    "redirected": (only("/SHA256SUMS", status=302), "/SHA256SUMS: it redirects to nowhere."),
    "failing": (only("/RELEASE.json", status=503), "/RELEASE.json: responded with 503."),
    "cut off": (
        only("/cccr-web.zip", pieces=(b"PK",), hang_up=True),
        "/cccr-web.zip cannot be fetched: it closed the connection",
    ),
    "endless": (
        only("/SHA256SUMS.minisig", headers=(), pieces=(bytes(65536),) * 99, hang_up=True),
        "/SHA256SUMS.minisig: it is longer than the file may be.",
    ),
}


@pytest.mark.parametrize(("tamper", "problem"), BAD_ANSWERS.values(), ids=[*BAD_ANSWERS])
def test_a_bad_answer_changes_nothing(
    tamper: Tamper, problem: str, folder: Path, site: Hostile
) -> None:
    """A server that changes, withholds, redirects or pads a file leaves the mirror as it was."""
    write_mirror(signed_release(1), folder)
    site.tamper = tamper
    done = fetch(site.url, folder)
    assert (done.exit_code, done.stdout) == (1, "")
    assert problem in done.stderr
    assert load(folder / "site", PUBLIC).files == signed_release(1).files
    site.tamper = lambda _path, answer: answer
    assert fetch(site.url, folder).exit_code == 0
    assert holds(folder, 2)


def test_a_stalled_server_is_given_up(folder: Path, site: Hostile) -> None:
    """A server that stops in the middle is given up after the time limit."""

    def stall(path: str, answer: HostileResponse) -> HostileResponse:
        if path == "/cccr-web.zip":
            site.ended.wait(20)
        return answer

    site.tamper = stall
    limits = RequestLimits(idle_timeout=0.2, timeout=5.0)
    with pytest.raises(CccrError, match=r"cccr-web\.zip cannot be fetched: no byte arrived for 0"):
        fetch_mirror(Address.parse(site.url), folder, CheckSettings(PUBLIC, limits=limits))
    assert not (folder / "site").exists()


def test_an_interrupted_download_continues(folder: Path) -> None:
    """Files that were complete before the interruption are not fetched again."""
    release = Signer(KEY).sign(make_release(content(2), facts(2)))
    with Hostile(release, only("/minisign.pub", status=503)) as server:
        assert fetch(server.url, folder).exit_code == 1
        first = len(server.asked)
        server.tamper = lambda _path, answer: answer
        server.asked.clear()
        done = fetch(server.url, folder)
    assert done.exit_code == 0, done.output
    assert first > 10
    assert server.asked == [*SIGNED, *sorted(set(server.asked) - {*SIGNED})]
    assert len(server.asked) == len(SIGNED) + len(release.listed) - 1 - (first - len(SIGNED) - 1)
    assert {path.name for path in folder.iterdir()} == {"headers", "redirects", "site"}


def test_what_an_interrupted_download_left_is_trusted_by_its_hash_alone(
    folder: Path, site: Hostile
) -> None:
    """A changed leftover is fetched again, and one that is not of this release is removed."""
    sha256 = signed_release(2).files["cccr-web.zip"].sha256
    put({sha256: b"changed", "0" * 64: b"old", f".{sha256}.1.partial": b"PK"}, folder / ".fetched")
    assert fetch(site.url, folder).exit_code == 0
    assert "/cccr-web.zip" in site.asked
    assert holds(folder, 2)


def test_a_fetch_that_is_killed_leaves_a_whole_mirror(killer: Killer, tmp_path: Path) -> None:
    """After each kill the site is one of the two releases, and the next run completes it."""
    folder = tmp_path / "mirror"
    seen = set()
    with Hostile(signed_release(2)) as server:
        put({"url": server.url.encode()}, tmp_path)
        write_mirror(signed_release(1), folder)
        killer.measure("fetch", tmp_path, 2)
        # The first kills come early and the last late, even if the measured time was far off.
        for number in range(KILLS):
            shutil.rmtree(folder)
            write_mirror(signed_release(1), folder)
            put({"CNAME": b"mirror.example"}, folder / "site")
            killer.kill("fetch", tmp_path, 2, stretch=10 ** (2 * number / KILLS - 1))
            assert (folder / "site/CNAME").read_bytes() == b"mirror.example"
            (folder / "site/CNAME").unlink()
            found = load(folder / "site", PUBLIC)
            assert found.files == signed_release(found.metadata.sequence).files
            seen.add(found.metadata.sequence)
            fetch_mirror(
                Address.parse(server.url), folder, CheckSettings(PUBLIC, RequestLimits(60.0))
            )
            assert holds(folder, 2)
    assert seen == {1, 2}


def test_two_fetches_do_not_run_at_once(folder: Path, site: Hostile) -> None:
    """While one command fetches, a second one into the same folder stops."""
    folder.mkdir(parents=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        done = fetch(site.url, folder)
    finally:
        os.close(handle)
    assert (done.exit_code, site.asked) == (1, [])
    assert f"Another command fetches into {folder}." in done.stderr


def test_a_mirror_is_fetched_over_https(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is checked."""
    file = certificate(tmp_path, "localhost")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    with Hostile(signed_release(2), tls=tls) as server:
        done = fetch(server.url, folder)
        assert (done.exit_code, "its certificate: self-signed" in done.stderr) == (1, True)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert fetch(server.url, folder).exit_code == 0
    assert holds(folder, 2)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, site: Hostile) -> None:
    """A file in the place of the folder is an error that names it."""
    put({"file": b""}, tmp_path)
    done = fetch(site.url, tmp_path / "file" / "mirror")
    assert done.exit_code == 1
    assert f"{tmp_path / 'file/mirror'} cannot be written: Not a directory." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "problem"),
    [
        (["http://cccr.example"], 2, "http is only for onions and this machine"),
        (["https://cccr.example/mirror"], 2, "has a path"),
        ([f"http://{'a' * 56}.onion"], 1, "An onion can be reached only through Tor."),
    ],
)
def test_wrong_addresses_are_rejected(
    arguments: list[str], status: int, problem: str, folder: Path
) -> None:
    """Wrong arguments fail with a message before anything is written."""
    done = fetch(arguments[0], folder)
    assert (done.exit_code, problem in done.stderr) == (status, True)
    assert not folder.exists()
