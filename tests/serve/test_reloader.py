"""Which releases the reloader accepts, records and logs (``serve/reloader.py``)."""

from __future__ import annotations

import errno
import gc
import os
import time
import weakref
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from support.hosting import forbidden
from support.policies import key_change, one_key, signed_chain
from support.signed import (
    TODAY,
    ServerFolder,
    content,
    facts,
    known_key,
    make_apps,
    organisation_key,
    put_release,
    signed_release,
)

from cccr_web import files
from cccr_web.errors import CccrError
from cccr_web.listen import parse_listen
from cccr_web.notices import make_mirrors
from cccr_web.release import (
    Release,
    RollbackGuard,
    Signer,
    SigningKey,
    load,
    make_release,
    metadata,
)
from cccr_web.serve import AppSwitch, Listeners, ReloadQueue
from cccr_web.serve.reloader import RELOAD, serve_source
from cccr_web.serve.source import Source
from cccr_web.systemd import SystemdNotifier


@pytest.fixture
def server_folder(tmp_path: Path) -> ServerFolder:
    """A server's folder with three releases, the first of them current."""
    return ServerFolder.with_releases(tmp_path, 3)


def put_signed(release: Release, folder: Path) -> None:
    """Sign a release and write it."""
    put_release(Signer(organisation_key()).sign(release), folder)


def test_an_older_release_is_rejected_after_a_reload(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """After release 3 was served, release 2 is rejected."""
    reloader = server_folder.reloader()
    for number in (3, 2):
        server_folder.point(server_folder.path / f"release-{number}")
        reloader.reload()
    assert reloader.release == signed_release(3)
    assert "Release 2 is older than release 3, which was served before." in caplog.text


def test_serving_the_last_good_copy_still_rejects_older_releases(
    server_folder: ServerFolder,
) -> None:
    """After a start with the last good copy, releases older than the newest are rejected."""
    reloader = server_folder.reloader()
    server_folder.source.accept(signed_release(3))
    server_folder.point(server_folder.path / "gone")
    reloader = server_folder.reloader()
    assert reloader.release == signed_release(1)
    server_folder.point(server_folder.path / "release-2")
    reloader.reload()
    assert reloader.release == signed_release(1)
    server_folder.point(server_folder.path / "release-3")
    reloader.reload()
    assert reloader.release == signed_release(3)


def test_a_release_of_a_newer_format_is_rejected_with_the_command_that_upgrades(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older server continues with its release, and logs what an admin has to run."""
    reloader = server_folder.reloader()
    with monkeypatch.context() as later:
        later.setattr(metadata, "_FORMAT", 3)
        put_signed(make_release(content(4), facts(4)), server_folder.path / "release-4")
    server_folder.point(server_folder.path / "release-4")
    reloader.reload()
    assert reloader.release == signed_release(1)
    (logged,) = (each for each in caplog.messages if "is of format 3" in each)
    assert logged.endswith("deploy/deploy.sh upgrade Rejected: still serving release 1.")


def test_an_expired_release_is_served_and_logged_once(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """An expired release is served, and logged once."""
    yesterday = TODAY - timedelta(days=1)
    put_signed(
        make_release(content(4), facts(4, expires=yesterday)), server_folder.path / "release-4"
    )
    reloader = server_folder.reloader()
    server_folder.point(server_folder.path / "release-4")
    reloader.reload()
    reloader.compare()
    assert reloader.release.metadata.sequence == 4
    words = f"Release 4 expired on {yesterday:%Y-%m-%d}. Still serving release 4."
    assert caplog.messages.count(words) == 1


def test_a_list_that_expires_while_it_is_served_is_logged_and_stays(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """The release is served on, also after a reload and a restart, but a new one is rejected."""
    year_ago = TODAY - timedelta(days=367)
    expired = make_mirrors(organisation_key(), year_ago.date(), ("https://cccr.example",))
    for number in (4, 5):
        folder = server_folder.path / f"release-{number}"
        known = facts(number, time=TODAY - timedelta(days=30))
        put_signed(make_release({**content(number), "mirrors.txt": expired}, known), folder)
    server_folder.source.accept(load(server_folder.path / "release-4"))  # before it expired
    server_folder.point(server_folder.path / "release-4")
    server_folder.reloader().reload()
    reloader = server_folder.reloader()
    reloader.reload()
    reloader.compare()
    assert reloader.release.metadata.sequence == 4
    said = "mirrors.txt: It was valid until "
    (warning, _) = [each for each in caplog.messages if each.startswith(said)]
    assert warning.endswith(" Make a new one. Still serving release 4.")
    caplog.clear()
    server_folder.point(server_folder.path / "release-5")
    reloader.reload()
    assert reloader.release.metadata.sequence == 4
    (rejection,) = [each for each in caplog.messages if each.startswith(said)]
    assert rejection.endswith(" Rejected: still serving release 4.")


def test_a_release_that_cannot_be_served_is_not_recorded(server_folder: ServerFolder) -> None:
    """A signed release with a file of unknown type is rejected and not recorded."""
    odd = make_release({**content(4), "en/page.exe": b"MZ"}, facts(4))
    put_signed(odd, server_folder.path / "release-4")
    reloader = server_folder.reloader()
    server_folder.point(server_folder.path / "release-4")
    reloader.reload()
    assert reloader.release == signed_release(1)
    server_folder.point(server_folder.path / "release-2")
    reloader.reload()
    assert reloader.release == signed_release(2)


def test_a_start_falls_back_if_no_app_can_be_made(server_folder: ServerFolder) -> None:
    """If no app can be made of the current release, a start serves the last good one."""
    server_folder.reloader()
    odd = make_release({**content(4), "en/page.exe": b"MZ"}, facts(4))
    put_signed(odd, server_folder.path / "release-4")
    server_folder.point(server_folder.path / "release-4")
    assert server_folder.reloader().release == signed_release(1)
    assert server_folder.source.open(make_apps)[0] == signed_release(1)


def test_a_start_without_a_valid_release_raises_the_cause(tmp_path: Path) -> None:
    """Without a last good copy the start raises the error of the current release."""
    server_folder = ServerFolder(tmp_path)
    odd = make_release({**content(4), "en/page.exe": b"MZ"}, facts(4))
    put_signed(odd, tmp_path / "release-4")
    server_folder.point(tmp_path / "release-4")
    with pytest.raises(CccrError, match=r"page\.exe: the server knows no media type"):
        server_folder.source.open(make_apps)


def test_another_release_on_the_disk_is_not_listed_file_by_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten changed files are named and the others counted, or 30,000 lines would fill the log."""
    server_folder = ServerFolder.with_releases(tmp_path, 1)
    many = {f"en/{number}.html": b"" for number in range(99)}
    put_signed(make_release({**content(2), **many}, facts(2)), tmp_path / "release-2")
    (tmp_path / "release-2" / "SHA256SUMS.sshsig").unlink()
    reloader = server_folder.reloader()
    server_folder.point(tmp_path / "release-2")
    reloader.reload()
    reloader.compare()
    said = [one.getMessage() for one in caplog.records]
    assert len(said) == 1 + 10 + 1
    assert sum("more files changed. Still serving release 1." in one for one in said) == 1


def _fail(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_release_that_cannot_be_recorded_is_rejected(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the state cannot be written, a new release is rejected and the old one served."""

    reloader = server_folder.reloader()
    monkeypatch.setattr(files, "replace", _fail)
    server_folder.point(server_folder.path / "release-2")
    reloader.reload()
    assert reloader.release == signed_release(1)
    assert "highest-sequence cannot be written" in caplog.text


def test_a_full_disk_prevents_no_restart(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release that is recorded starts; one that cannot be recorded gives way to it."""
    server_folder.reloader()
    monkeypatch.setattr(files, "replace", _fail)
    assert server_folder.reloader().release == signed_release(1)
    assert caplog.text == ""
    server_folder.point(server_folder.path / "release-2")
    assert server_folder.reloader().release == signed_release(1)
    assert "No space left on device" in caplog.text
    assert "Rejected: serving the last good release, 1." in caplog.text


def test_a_damaged_record_prevents_no_restart(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good release is served, and every new one rejected."""
    server_folder.reloader()
    (server_folder.path / "state" / "highest-sequence").write_bytes(b"\xff")
    reloader = server_folder.reloader()
    assert "Rejected: serving the last good release, 1." in caplog.text
    server_folder.point(server_folder.path / "release-2")
    reloader.reload()
    assert reloader.release == signed_release(1)


@pytest.mark.parametrize("place", ["release", "release/en", "release/SHA256SUMS", "."])
def test_a_release_that_may_not_be_read_is_rejected(
    folder: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    """Without permissions a release is rejected, by a reload and at a start; the next is served."""
    server_folder = ServerFolder.with_releases(folder, 1)
    around = folder / "around"
    around.mkdir()
    put_release(signed_release(2), around / "release")
    reloader = server_folder.reloader()
    for path in (folder, folder / "state"):
        path.chmod(0o755)
    server_folder.point(around / "release")
    with forbidden(around / place):
        reloader.reload()
        assert server_folder.source.open(make_apps)[0] == signed_release(1)
    assert reloader.release == signed_release(1)
    assert caplog.text.count("Permission denied.") == 2
    reloader.reload()
    assert reloader.release == signed_release(2)


@pytest.mark.parametrize("target", ["none", "loop", "a/loop", "x" * 300])
def test_a_link_that_leads_nowhere_is_rejected(server_folder: ServerFolder, target: str) -> None:
    """A dangling, looping or too long link is rejected by a reload and at a start."""
    loop = server_folder.path / "loop"
    loop.symlink_to(loop)
    reloader = server_folder.reloader()
    server_folder.point(server_folder.path / target)
    reloader.reload()
    assert reloader.release == signed_release(1)
    assert server_folder.source.open(make_apps)[0] == signed_release(1)
    server_folder.point(server_folder.path / "release-2")
    reloader.reload()
    assert reloader.release == signed_release(2)


@pytest.mark.parametrize("call", ["lstat", "open", "fstat", "read", "readlink", "scandir"])
def test_a_failing_disk_is_rejected(
    server_folder: ServerFolder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    """If the disk fails at any step, the release is rejected with the system's reason."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    reloader = server_folder.reloader()
    server_folder.point(server_folder.path / "release-2")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        reloader.reload()
        reloader.compare()
    assert reloader.release == signed_release(1)
    assert "Rejected: still serving release 1." in caplog.text
    reloader.reload()
    assert reloader.release == signed_release(2)


@pytest.mark.parametrize("record", ["highest-sequence", "policy"])
def test_a_record_that_the_disk_does_not_give_is_no_crash(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture, record: str
) -> None:
    """A bad sector in a record stops neither a reload nor a start; later releases are accepted."""
    reloader = server_folder.reloader()
    file = server_folder.path / "state" / record
    body = file.read_bytes() if file.exists() else None
    file.unlink(missing_ok=True)
    # To read there is an error, because nothing is mapped at address 0 (proc_pid_mem(5)).
    file.symlink_to("/proc/self/mem")
    server_folder.point(server_folder.path / "release-2")
    reloader.reload()
    assert reloader.release == signed_release(1)
    assert server_folder.source.open(make_apps)[0] == signed_release(1)
    reason = f"{record} cannot be read: Input/output error. Check its permissions and the disk."
    assert f"{reason} Rejected: still serving release 1." in caplog.text
    assert f"{reason} Rejected: serving the last good release, 1." in caplog.text
    file.unlink()
    if body is not None:
        file.write_bytes(body)
    reloader.reload()
    assert reloader.release == signed_release(2)


ORGANISATION, NEXT, OTHER = organisation_key(), known_key(b"next"), known_key(b"other")
TO_NEXT = key_change(ORGANISATION, NEXT)


def put_keys(number: int, keys: bytes | None, path: Path, key: SigningKey = NEXT) -> Path:
    """Write a release with this keys.txt, or without one, signed by ``key``."""
    named = facts(number, fingerprint=key.public.fingerprint)
    release = make_release(content(number) | ({"keys.txt": keys} if keys else {}), named)
    folder = path / f"release-{number}"
    put_release(Signer(key).sign(release), folder)
    return folder


def test_a_server_follows_the_chain_and_rejects_a_fork(
    server_folder: ServerFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """It still has the first key; after the second has signed, no other successor is accepted.

    Nor is a release by the first key, also after a restart; the next good one is accepted.
    """
    path, reloader = server_folder.path, server_folder.reloader()
    fork, longer = (
        key_change(ORGANISATION, OTHER),
        signed_chain(
            ORGANISATION.public,
            (one_key(OTHER, 1), (ORGANISATION, OTHER)),
            (one_key(known_key(b"a third"), 2), (OTHER, known_key(b"a third"))),
        ).to_file(),
    )
    attempts = (
        (4, TO_NEXT, NEXT),
        (5, fork, OTHER),
        (6, None, ORGANISATION),
        (7, None, NEXT),
        (8, longer, known_key(b"a third")),
        (9, TO_NEXT, ORGANISATION),
    )
    for number, keys, key in attempts:
        server_folder.point(put_keys(number, keys, path, key))
        reloader.reload()
    assert caplog.text.count("Rejected: still serving release 4.") == len(attempts) - 1
    assert caplog.text.count("Policy 1 differs from the one recorded in") == 2
    assert "A single key is older than policy 1" in caplog.text
    record = f"1 {NEXT.public.fingerprint}\n"
    assert (path / "state/policy").read_text() == record
    again = server_folder.reloader()
    assert again.release.metadata.sequence == 4
    server_folder.point(put_keys(10, TO_NEXT, path))
    again.reload()
    assert again.release.metadata.sequence == 10
    assert (path / "state/policy").read_text() == record


def test_a_server_with_the_newest_key_accepts_the_chain_to_it(server_folder: ServerFolder) -> None:
    """What came before the pinned key does not matter to it."""
    path = server_folder.path
    server_folder.source = Source(server_folder.current, NEXT.public, RollbackGuard(path / "state"))
    server_folder.point(put_keys(4, TO_NEXT, path))
    assert server_folder.reloader().release.metadata.sequence == 4


class BriefListeners(Listeners):
    """Listeners that serve until the apps of two releases were replaced and are freed."""

    folder: ClassVar[ServerFolder]
    requests: ClassVar[ReloadQueue]

    def serve(self, apps: AppSwitch, *_: object, **__: object) -> None:
        """Reload the releases 2 and 3, and wait until the apps of each older one are gone."""
        for number in (2, 3):
            replaced = weakref.ref(apps.current[0])
            self.folder.point(self.folder.path / f"release-{number}")
            self.requests.put(RELOAD)
            deadline = time.monotonic() + 20
            while replaced() is not None:
                assert time.monotonic() < deadline, "the older apps are still in memory"
                time.sleep(0.02)


def test_a_replaced_release_is_freed(
    server_folder: ServerFolder, request: pytest.FixtureRequest
) -> None:
    """Soon after a reload nothing refers to the older apps, which hold all bytes of a release."""
    BriefListeners.folder, BriefListeners.requests = server_folder, ReloadQueue()
    gc.disable()  # which would free them some time
    request.addfinalizer(gc.enable)
    serve_source(
        server_folder.source,
        BriefListeners(parse_listen("127.0.0.1:0"), None),
        BriefListeners.requests,
        lambda _lines: None,
        recheck=300,
        notifier=SystemdNotifier({}),
    )
