"""Every attack on a release in transit is rejected, each with its own error."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.attacks import facts as facts_attacks
from support.attacks import files, lists, signatures, zips
from support.attacks.target import (
    ATTACKS,
    PAGE,
    Attack,
    AttackTarget,
)
from support.attacks.zips import members, write
from support.signed import (
    ServerFolder,
    content,
    facts,
    make_apps,
    organisation_key,
    put_release,
    signed_release,
)
from werkzeug.test import Client

from cccr_web.errors import ReleaseError, SignatureError
from cccr_web.release import (
    MANIFEST,
    METADATA,
    MINISIG,
    SIGNATURES,
    load,
    make_release,
    reject_larger,
)
from cccr_web.release.folder import ReleaseFolder
from cccr_web.serve.reloader import Reloader

TABLES = (
    files,
    lists,
    signatures,
    facts_attacks,
    zips,
)


@pytest.fixture
def server_folder(tmp_path: Path) -> ServerFolder:
    """A server's folder, whose current release is 1."""
    return ServerFolder.with_releases(tmp_path, 1)


def is_served(reloader: Reloader, sequence: int) -> bool:
    """Ask for every file: is each that of this release?"""
    client = Client(reloader._apps.wsgi_app(0))
    return all(
        client.get(f"/{path}", base_url="http://localhost").data == file.body
        for path, file in signed_release(sequence).files.items()
    )


def test_there_are_at_least_sixty_attacks() -> None:
    """The table holds more than sixty attacks, each with a unique name."""
    assert len({each.name for each in ATTACKS}) == len(ATTACKS) >= 60


@pytest.mark.parametrize("each", ATTACKS, ids=lambda each: each.name)
def test_an_attack_is_rejected(
    each: Attack, server_folder: ServerFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is the expected one, the last good release is served, also at a start, and
    what the server has recorded stays as it was.
    """
    reloader = server_folder.reloader()
    target = AttackTarget(server_folder.path / "next")
    server_folder.point(each.do(target) or target.folder)
    caplog.clear()
    record = (server_folder.path / "state/highest-sequence").read_bytes()
    reloader.reload()
    sentence = each.sentence.replace("{folder}", str(server_folder.path))
    assert caplog.messages == [f"{sentence} Rejected: still serving release 1."]
    assert is_served(reloader, 1)
    again, _ = server_folder.source.open(make_apps)
    assert again.files == signed_release(1).files
    assert (server_folder.path / "state/highest-sequence").read_bytes() == record


def accused(each: Attack) -> str:
    """Return the file that the sentence of an attack begins with."""
    return each.sentence.partition(" ")[0].rstrip(",:")


@pytest.mark.parametrize(
    "each",
    [
        each
        for each in ATTACKS
        if accused(each) in {METADATA, MANIFEST, *SIGNATURES}
        # The server notices these, not the loader.
        and not re.search("served before|in the future", each.sentence)
    ],
    ids=lambda each: each.name,
)
def test_an_error_about_a_manifest_names_the_file(
    each: Attack, server_folder: ServerFolder
) -> None:
    """``path`` is the file that is wrong, if it is not the manifest or its first signature."""
    target = AttackTarget(server_folder.path / "next")
    folder = each.do(target) or target.folder
    with pytest.raises(ReleaseError) as caught:
        load(folder, organisation_key().public)
    default = MINISIG if isinstance(caught.value, SignatureError) else MANIFEST
    assert (caught.value.path or default) == accused(each)


def test_a_good_release_is_accepted(server_folder: ServerFolder) -> None:
    """Without an attack the next release is served, and every byte of it."""
    reloader = server_folder.reloader()
    server_folder.point(AttackTarget(server_folder.path / "next").folder)
    reloader.reload()
    assert is_served(reloader, 2)


def test_a_good_zip_is_accepted(server_folder: ServerFolder) -> None:
    """A ZIP that the tests pack without an attack is accepted."""
    server_folder.path.joinpath("next.zip").write_bytes(write(members()))
    assert load(server_folder.path / "next.zip", organisation_key().public).metadata.sequence == 2


def test_a_server_does_not_start_on_a_broken_release(server_folder: ServerFolder) -> None:
    """Without a last good release, a broken release is an error at the start."""
    (server_folder.path / "release-1" / PAGE).write_bytes(b"<script>")
    with pytest.raises(ReleaseError, match=f"^{PAGE} is not the file that SHA256SUMS lists.$"):
        server_folder.source.open(make_apps)


def test_a_damaged_copy_of_the_last_good_release_is_not_served(server_folder: ServerFolder) -> None:
    """The last good copy is verified like any release."""
    server_folder.reloader()
    (server_folder.path / "state/last-good" / PAGE).write_bytes(b"<script>")
    (server_folder.path / "release-1" / PAGE).write_bytes(b"<script>")
    with pytest.raises(ReleaseError, match=f"^{PAGE} is not"):
        server_folder.source.open(make_apps)


def test_a_device_file_is_not_read() -> None:
    """A device file is rejected before a byte of it is read."""
    with (
        ReleaseFolder.open(Path("/dev")) as devices,
        pytest.raises(ReleaseError, match=r"^zero is not a reg"),
    ):
        devices.read("zero", 10)


def test_all_files_together_have_a_limit(server_folder: ServerFolder) -> None:
    """A release that is too large as a whole is rejected, with the setting's name."""
    release = server_folder.source.load()
    size = sum(len(file.body) for file in release.files.values())
    assert load(server_folder.current.resolve(), limit=size) == release
    for limit in (size - 1, 2000):
        server_folder.source = dataclasses.replace(server_folder.source, limit=limit)
        with pytest.raises(ReleaseError, match="more than --max-megabytes allows: 0"):
            server_folder.source.load()


def test_a_build_rejects_what_a_server_would_reject(server_folder: ServerFolder) -> None:
    """The limit of a build has room for signatures, so that what was built can be served."""
    release = server_folder.source.load()
    size = sum(len(file.body) for file in release.files.values())
    reject_larger(release, size + 100_000)
    with pytest.raises(ReleaseError, match="has 1 MB, more than --max-megabytes allows: 0"):
        reject_larger(release, size + 99_999)


def test_a_change_on_disk_after_loading_changes_nothing(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """The loaded bytes are served, and each difference on the disk is logged once."""
    reloader = server_folder.reloader()
    caplog.clear()
    (server_folder.path / "release-1" / PAGE).write_bytes(b"<script>")
    (server_folder.path / "release-1/onion.png").unlink()
    (server_folder.path / "release-1/new.html").write_bytes(b"<script>")
    reloader.compare()
    reloader.compare()
    after = "Still serving release 1."
    assert caplog.messages == [
        f"On the disk: {PAGE} is not the file that is served. {after}",
        f"On the disk: new.html is not among the files that are served. {after}",
        f"On the disk: onion.png cannot be read: No such file or directory. {after}",
    ]
    (server_folder.path / "release-1/en/feed.xml").write_bytes(b"")
    reloader.compare()
    assert caplog.messages[3:] == [
        f"On the disk: en/feed.xml is not the file that is served. {after}"
    ]
    assert is_served(reloader, 1)


def test_a_file_replaced_after_it_was_read_is_served_as_read(
    server_folder: ServerFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is replaced right after it was read is served as it was read."""
    file = server_folder.path / "release-1" / PAGE
    good = file.read_bytes()
    original = ReleaseFolder.read

    def read(self: ReleaseFolder, path: str, limit: int) -> bytes:
        body = original(self, path, limit)
        if path == PAGE:
            file.write_bytes(b"<script>")
        return body

    monkeypatch.setattr(ReleaseFolder, "read", read)
    assert load(file.parent.parent, organisation_key().public).files[PAGE].body == good
    assert file.read_bytes() == b"<script>"


_EXCHANGE = """
import pathlib, sys
other, page = map(pathlib.Path, sys.argv[1:])
good = other.read_bytes()
print("begun", flush=True)
while True:
    for body in (b"<script>", good):
        other.write_bytes(body)
        other.replace(page)
"""


def test_files_that_change_all_the_time_are_never_mixed(server_folder: ServerFolder) -> None:
    """While a page is replaced again and again, ``load`` returns the true one or fails."""
    folder = server_folder.path / "release-1"
    good = (folder / PAGE).read_bytes()
    seen = set()
    other = server_folder.path / "other"
    other.write_bytes(good)
    command = [sys.executable, "-c", _EXCHANGE, str(other), str(folder / PAGE)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    try:
        for _ in range(200):
            try:
                seen.add(load(folder, organisation_key().public).files[PAGE].body)
            except ReleaseError as error:
                assert str(error) == f"{PAGE} is not the file that SHA256SUMS lists."  # noqa: PT017
                seen.add(b"")
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    assert seen == {good, b""}


def test_an_unsigned_release_is_loaded_only_without_a_key(tmp_path: Path) -> None:
    """With a key, an unsigned release is rejected."""
    put_release(make_release(content(1), facts(1)), tmp_path / "unsigned")
    assert load(tmp_path / "unsigned").metadata == facts(1)
    with pytest.raises(ReleaseError, match="the release is not signed"):
        load(tmp_path / "unsigned", organisation_key().public)
