"""What the doctor finds without any network: release, files, disk, clock, versions."""

from __future__ import annotations

import dataclasses
import io
import os
import pwd
import socket
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import PngImagePlugin
from support.faketor import fake_tor
from support.live_site import signed
from support.photographs import photo, picture
from support.signed import (
    KEY,
    PUBLIC,
    TODAY,
    content,
    facts,
    known_key,
    put_release,
    signed_release,
)

from cccr_web.doctor import CheckResult, CheckVerdict, PrivatePath, Target
from cccr_web.doctor import host as host_module
from cccr_web.doctor.host import check_clock, check_disk, check_tor_version
from cccr_web.doctor.leaks import check_images, check_leaks, own_addresses, own_names
from cccr_web.doctor.permissions import check_permissions
from cccr_web.doctor.release import check_release
from cccr_web.doctor.tor import TorClient
from cccr_web.errors import ControlLostError
from cccr_web.notices import SECURITY_TXT, make_canary, make_security_txt
from cccr_web.onion import connect
from cccr_web.release import Release, RollbackGuard, Signer, make_release, with_archive

DAY = timedelta(days=1)


def check(folder: Path, release: Release, **changes: Any) -> dict[str, CheckResult]:
    """Write a release, and return the results of its checks by name."""
    put_release(release, folder / "release")
    _, results = check_release(Target(folder / "release", PUBLIC, **changes))
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
        "security.txt": "ok",
    }
    release = make_release({"en/index.html": b""}, facts())
    without = check(tmp_path / "2", Signer(KEY).sign(release))
    assert without["security.txt"].verdict is CheckVerdict.NOT_APPLICABLE
    assert found["release"].sentence.startswith(f"Release 1 of {TODAY:%Y-%m-%d}: ")


def test_a_changed_file_in_the_release_is_named(tmp_path: Path) -> None:
    """A release with a changed file is wrong, and the file is named."""
    put_release(signed(), tmp_path / "release")
    (tmp_path / "release" / "en" / "index.html").write_text("other")
    release, (result,) = check_release(Target(tmp_path / "release", PUBLIC))
    assert release is None
    assert result.verdict is CheckVerdict.WRONG
    assert "en/index.html" in result.sentence


def test_a_release_signed_with_another_key_is_wrong(tmp_path: Path) -> None:
    """A release that another key signed is wrong."""
    put_release(signed(), tmp_path / "release")
    stranger = known_key(b"a stranger").public
    release, (result,) = check_release(Target(tmp_path / "release", stranger))
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
    result = check(tmp_path, signed({"canary.txt": made}))["canary"]
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


def png(*, text: bool) -> bytes:
    """Return a picture, with a note in it or without."""
    made, notes = io.BytesIO(), PngImagePlugin.PngInfo()
    if text:
        notes.add_text("Software", "a camera")
    picture(8, 8).save(made, "PNG", pnginfo=notes)
    return made.getvalue()


def jpeg() -> bytes:
    """Return a plain picture."""
    made = io.BytesIO()
    picture(16, 16).save(made, "JPEG")
    return made.getvalue()


def packed(name: str, body: bytes) -> bytes:
    """Return a ZIP of one file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as book:
        book.writestr(name, body)
    return made.getvalue()


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("a.png", png(text=False), None),
        ("a.png", png(text=True), "a.png contains a tEXt chunk"),
        ("a.jpg", jpeg(), None),
        ("a.jpg", photo(), "a.jpg contains Exif or XMP"),
        ("en/cccr-en.epub", packed("x.jpg", photo()), "en/cccr-en.epub:x.jpg contains Exif or XMP"),
        ("en/cccr-en.epub", packed("x.png", png(text=False)), None),
    ],
)
def test_metadata_in_pictures_is_found(path: str, body: bytes, found: str | None) -> None:
    """Metadata in a PNG or JPEG is found, also inside an EPUB; a picture without any is ok."""
    (result,) = check_images(make_release({**content(1), path: body}, facts()))
    if found is None:
        assert result.verdict is CheckVerdict.OK
    else:
        assert result.verdict is CheckVerdict.WRONG
        assert found in result.sentence


def test_a_release_without_pictures_has_nothing_to_check() -> None:
    """The check of pictures does not apply to a release without any."""
    files = {path: body for path, body in content(1).items() if not path.endswith("png")}
    (result,) = check_images(make_release(files, facts()))
    assert result.verdict is CheckVerdict.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("our server vps-17.example.", "vps-17.example"),
        ("VPS-17 it is", "VPS-17"),
        ("at 192.0.2.7.", "192.0.2.7"),
        ("at [2001:db8::7]:80", "2001:db8::7"),
        ("mail.vps-17.example", "vps-17.example"),
        ("at 192.0.2.77, 1192.0.2.7 and vps-170", None),
    ],
)
def test_an_identifier_of_the_machine_in_a_page_is_found(words: str, found: str | None) -> None:
    """A name or address of the machine in a page is found, but not as part of a longer one."""
    traces = {"vps-17", "vps-17.example", "192.0.2.7", "2001:db8::7"}
    release = make_release({**content(1), "en/x.html": words.encode()}, facts())
    (result,) = check_leaks(with_archive(release), [], [], traces)
    if found is None:
        assert result.verdict is CheckVerdict.OK
    else:
        assert result.verdict is CheckVerdict.WRONG
        assert f"en/x.html contains {found}" in result.sentence
        # It is inside the ZIP as well.
        assert "cccr-web.zip:" in result.sentence


def test_a_public_name_is_not_a_leak() -> None:
    """The machine may have the same name as the site."""
    release = make_release({**content(1), "en/x.html": b"vps-17.example"}, facts())
    (result,) = check_leaks(release, [], ["vps-17.example"], {"vps-17.example"})
    assert result.verdict is CheckVerdict.OK


def test_only_distinctive_host_names_are_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is searched for only if it has a digit, hyphen or dot."""
    monkeypatch.setattr(socket, "gethostname", lambda: "freedom")
    monkeypatch.setattr(socket, "getfqdn", lambda: "Freedom.Example")
    assert own_names() == {"freedom.example"}


def test_addresses_of_all_interfaces_except_loopback_are_read(tmp_path: Path) -> None:
    """The kernel's tables give the address of each interface except loopback."""
    (tmp_path / "fib_trie").write_text(
        "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n"
        "     |-- 127.0.0.1\n        /32 host LOCAL\n"
        "     |-- 192.0.2.7\n        /32 host LOCAL\n"
        "     |-- 192.0.2.255\n        /32 link BROADCAST\n"
    )
    (tmp_path / "if_inet6").write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "20010db8000000000000000000000007 02 40 00 80     eth0\n"
    )
    assert own_addresses(tmp_path) == {"192.0.2.7", "2001:db8::7"}
    assert own_addresses(tmp_path / "none") == set()
    assert "127.0.0.1" not in own_addresses()


def permission(*private: PrivatePath) -> CheckResult:
    """Return the result for one path."""
    (result,) = check_permissions(private)
    return result


@pytest.mark.parametrize(
    ("mode", "meant", "verdict"),
    [
        (0o600, "", "ok"),
        (0o400, "", "ok"),
        (0o644, "", "wrong"),
        (0o640, "", "wrong"),
        (0o640, "=0640", "ok"),
        (0o640, f"={pwd.getpwuid(os.geteuid()).pw_name}:0640", "ok"),
        (0o640, "=nobody:0640", "wrong"),
        (0o660, "=0640", "wrong"),
    ],
)
def test_a_key_that_others_may_read_is_wrong_unless_allowed(
    folder: Path, mode: int, meant: str, verdict: str
) -> None:
    """A key that other users may read is wrong, unless its given mode allows that."""
    path = folder / "a.key"
    path.touch()
    path.chmod(mode)
    result = permission(PrivatePath.parse(f"{path}{meant}"))
    assert result.verdict.value == verdict, result
    if verdict == "wrong" and "nobody" not in meant:
        assert f"chmod {mode & (0o640 if meant else 0o600):04o} {path}" in result.remedy


@pytest.mark.parametrize(("mode", "verdict"), [(0o660, "ok"), (0o755, "ok"), (0o666, "wrong")])
def test_a_socket_open_to_everyone_is_wrong(folder: Path, mode: int, verdict: str) -> None:
    """A socket that every user may connect to is wrong; read permission does not matter."""
    path = folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(mode)
        result = permission(PrivatePath(path))
    assert result.verdict.value == verdict
    if verdict == "wrong":
        assert result.remedy.startswith(f"chmod 0660 {path}.")


def test_a_key_owned_by_an_ordinary_user_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that belongs to an ordinary user is wrong."""
    path = folder / "a.key"
    path.touch(mode=0o600)
    found = list(path.stat())
    found[4] = 54321
    # Only root can give a file away.
    monkeypatch.setattr(Path, "stat", lambda _path: os.stat_result(found))
    result = permission(PrivatePath(path))
    assert result.verdict is CheckVerdict.WRONG
    assert result.sentence == f"{path} belongs to 54321, not to root or a service's user."


def test_a_key_in_a_folder_writable_by_all_is_wrong(folder: Path) -> None:
    """A key in a folder writable by all is wrong, because every user can replace it."""
    (folder / "all").mkdir()
    path = folder / "all" / "a.key"
    path.touch(mode=0o600)
    (folder / "all").chmod(0o777)
    result = permission(PrivatePath(path))
    assert result.verdict is CheckVerdict.WRONG
    assert "Every user can replace" in result.sentence
    (folder / "all").chmod(0o1777)
    assert permission(PrivatePath(path)).verdict is CheckVerdict.OK


def test_a_missing_path_is_wrong(folder: Path) -> None:
    """A missing path cannot be checked and is wrong."""
    result = permission(PrivatePath(folder / "none"))
    assert result.verdict is CheckVerdict.WRONG
    assert result.sentence == f"{folder / 'none'} does not exist."


@pytest.mark.parametrize("text", ["/a=", "/a=x", "/a=1777", "=0600", "/a=root:"])
def test_a_malformed_private_path_is_rejected(text: str) -> None:
    """A path with a malformed mode or owner is rejected."""
    with pytest.raises(ValueError, match="is not PATH, PATH=0640"):
        PrivatePath.parse(text)


def test_each_disk_is_checked_once_for_space_and_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each disk is checked once, for free space and free inodes."""
    target = Target(folder, PUBLIC, states=(folder,))
    (result,) = check_disk(target)
    assert result.verdict is CheckVerdict.OK
    with monkeypatch.context() as patch:
        patch.setattr(host_module, "MIN_SPACE", 2**62)
        (result,) = check_disk(target)
        assert "MiB left" in result.sentence
        assert result.verdict is CheckVerdict.WRONG
    with monkeypatch.context() as patch:
        patch.setattr(host_module, "MAX_USED", -1)
        (result,) = check_disk(target)
        assert "% full; " in result.sentence
        assert result.verdict is CheckVerdict.WRONG
    if os.statvfs(folder).f_files:
        monkeypatch.setattr(host_module, "MIN_FILES", 2**62)
        (result,) = check_disk(target)
        assert result.verdict is CheckVerdict.WRONG
    gone = dataclasses.replace(target, release=folder / "none")
    assert next(check_disk(gone)).verdict is CheckVerdict.NOT_CHECKED


class ShiftedTor:
    """A client tor whose network is some hours ahead of us."""

    def __init__(self, hours: float) -> None:
        self._hours = hours

    def time_of(self, name: str) -> datetime:
        """Return the beginning or the end of the newest consensus."""
        span = -0.5 if name.endswith("after") else 2.5
        return datetime.now(UTC) + timedelta(hours=self._hours + span)


class StoppedTor:
    """A client tor that has stopped."""

    def time_of(self, name: str) -> datetime:
        """Fail."""
        raise ControlLostError(f"Tor does not report {name}.")


@pytest.mark.parametrize(
    ("timedatectl", "container", "hours", "verdict"),
    [
        ("NTP=yes\nNTPSynchronized=yes", False, None, "ok"),
        ("NTP=yes\nNTPSynchronized=no", False, None, "wrong"),
        ("NTP=no\nNTPSynchronized=no", False, 0, "wrong"),
        ("NTP=no\nNTPSynchronized=no", True, 0, "ok"),
        (None, False, 0, "ok"),
        (None, False, 3, "wrong"),
        (None, False, -3, "wrong"),
        (None, False, None, "wrong"),
    ],
)
def test_the_clock_is_checked_by_systemd_or_else_by_tor(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    timedatectl: str | None,
    container: bool,
    hours: float | None,
    verdict: str,
) -> None:
    """systemd decides; without its NTP service, as in a container, the consensus does."""
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    program = folder / "timedatectl"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' '{timedatectl}'\n" if timedatectl else "#!/bin/sh\nexit 1\n"
    )
    program.chmod(0o755)
    marker = folder / "container"
    if container:
        marker.touch()
    reader = None if hours is None else cast("TorClient", ShiftedTor(hours))
    (result,) = check_clock(reader, marker)
    assert result.verdict.value == verdict, result


def test_the_clock_without_a_reference_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is wrong, with tor's error, if tor does not report its time."""
    monkeypatch.setenv("PATH", str(folder))
    (result,) = check_clock(cast("TorClient", StoppedTor()), folder)
    assert result.verdict is CheckVerdict.WRONG
    assert "Tor does not report consensus/valid-after" in result.sentence


@pytest.mark.parametrize(
    ("rating", "verdict"),
    [
        *(("recommended", "ok"), ("new in series", "ok"), ("unknown", "not applicable")),
        *(("obsolete", "wrong"), ("unrecommended", "wrong")),
    ],
)
def test_the_tor_version_is_rated_by_the_directories(rating: str, verdict: str) -> None:
    """The verdict on tor's version is that of the network's directories."""
    answers = {
        "PROTOCOLINFO": "250-PROTOCOLINFO 1\n250-AUTH METHODS=NULL\n"
        '250-VERSION Tor="0.4.8.1"\n250 OK\n',
        "GETINFO version": "250-version=0.4.8.1\n250 OK\n",
        "GETINFO status/version/current": f"250-status/version/current={rating}\n250 OK\n",
    }
    with fake_tor(answers) as (where, _), connect(where) as link:
        (tors,) = check_tor_version(link)
    assert tors.verdict.value == verdict
    assert tors.sentence == f"The directory authorities rate tor 0.4.8.1 as {rating}."
