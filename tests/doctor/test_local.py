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
from support.doctored import signed
from support.faketor import fake_tor
from support.photographs import photo, picture
from support.signed import (
    TODAY,
    content,
    facts,
    known_key,
    organisation_key,
    put_release,
    signed_release,
)

from cccr_web.doctor import Case, Private, Result, Verdict
from cccr_web.doctor import disk as disk_module
from cccr_web.doctor.client import Client
from cccr_web.doctor.clock import check_clock
from cccr_web.doctor.disk import check_disk
from cccr_web.doctor.images import check_images
from cccr_web.doctor.machine import check_machine, own_addresses, own_names
from cccr_web.doctor.private import check_private
from cccr_web.doctor.signed import check_release
from cccr_web.doctor.versions import check_versions
from cccr_web.errors import ControlLostError
from cccr_web.notices import make_canary
from cccr_web.onion import connect
from cccr_web.release import Release, RollbackGuard, make_release, with_archive

PUBLIC = organisation_key().public
DAY = timedelta(days=1)


def examined(folder: Path, release: Release, **changes: Any) -> dict[str, Result]:
    """Write a release, and return what the doctor says of it."""
    put_release(release, folder / "release")
    _, results = check_release(Case(folder / "release", PUBLIC, **changes))
    return {result.name: result for result in results}


def verdicts(results: dict[str, Result]) -> dict[str, str]:
    """Return each check's verdict."""
    return {name: result.verdict.value for name, result in results.items()}


def test_release_in_order(tmp_path: Path) -> None:
    """A signed release that is good for a year is well; a site without a canary has none."""
    found = examined(tmp_path, signed())
    assert verdicts(found) == {"release": "ok", "expiry": "ok", "canary": "not applicable"}
    assert found["release"].sentence.startswith(f"Release 1 of {TODAY:%Y-%m-%d}: ")


def test_one_byte_on_the_disk(tmp_path: Path) -> None:
    """A release with one byte changed is wrong, and the file is named."""
    put_release(signed(), tmp_path / "release")
    (tmp_path / "release" / "en" / "index.html").write_text("other")
    release, (result,) = check_release(Case(tmp_path / "release", PUBLIC))
    assert release is None
    assert result.verdict is Verdict.WRONG
    assert "en/index.html" in result.sentence


def test_foreign_signature(tmp_path: Path) -> None:
    """A release that another key has signed is wrong."""
    put_release(signed(), tmp_path / "release")
    stranger = known_key(b"a stranger").public
    release, (result,) = check_release(Case(tmp_path / "release", stranger))
    assert release is None
    assert (result.name, result.verdict) == ("release", Verdict.WRONG)


@pytest.mark.parametrize(
    ("expires", "verdict", "words"),
    [
        (-1, "wrong", "has expired on"),
        (13, "wrong", "in 12 days"),
        (15, "ok", "14 days from now"),
    ],
)
def test_expiry(tmp_path: Path, expires: int, verdict: str, words: str) -> None:
    """A release that has expired, or will within a fortnight, is wrong."""
    release = signed(time=TODAY - 300 * DAY, expires=datetime.now(UTC) + expires * DAY)
    result = examined(tmp_path, release)["expiry"]
    assert (result.verdict.value, words in result.sentence) == (verdict, True), result


def test_older_than_before(tmp_path: Path) -> None:
    """A release that is older than what a server has served is wrong."""
    state = tmp_path / "state"
    RollbackGuard(state).record(signed_release(2))
    result = examined(tmp_path, signed_release(1), states=(state,))["release"]
    assert result.verdict is Verdict.WRONG
    assert "Release 1 is older than release 2, which was served before. So says" in result.sentence


@pytest.mark.parametrize(
    ("said", "following", "verdict"), [(-9, 30, "ok"), (-99, -2, "wrong"), (0, None, "wrong")]
)
def test_canary(tmp_path: Path, said: int, following: int | None, verdict: str) -> None:
    """A canary whose next one is due, or that is damaged, is wrong."""
    day = TODAY.date() + said * DAY
    next_day = TODAY.date() + (following or 30) * DAY
    made = make_canary(organisation_key(), day, next_day, ("All is well.",), ("A headline",))
    if following is None:
        made = made.replace(b"All is well", b"All is lost")
    result = examined(tmp_path, signed({"canary.txt": made}))["canary"]
    assert result.verdict.value == verdict, result


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
        ("a.png", png(text=True), "a.png holds a chunk tEXt"),
        ("a.jpg", jpeg(), None),
        ("a.jpg", photo(), "a.jpg holds Exif or XMP"),
        ("en/cccr-en.epub", packed("x.jpg", photo()), "en/cccr-en.epub:x.jpg holds Exif or XMP"),
        ("en/cccr-en.epub", packed("x.png", png(text=False)), None),
    ],
)
def test_images(path: str, body: bytes, found: str | None) -> None:
    """Text in a PNG, Exif in a JPEG, and both inside a book, are found; a bare picture is well."""
    (result,) = check_images(make_release({**content(1), path: body}, facts()))
    if found is None:
        assert result.verdict is Verdict.OK
    else:
        assert result.verdict is Verdict.WRONG
        assert found in result.sentence


def test_no_images() -> None:
    """A release without a picture has nothing to look into."""
    files = {path: body for path, body in content(1).items() if not path.endswith("png")}
    (result,) = check_images(make_release(files, facts()))
    assert result.verdict is Verdict.NOT_APPLICABLE


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
def test_machine_in_a_page(words: str, found: str | None) -> None:
    """A page that holds a name or an address of the machine is found, a longer one is not."""
    traces = {"vps-17", "vps-17.example", "192.0.2.7", "2001:db8::7"}
    release = make_release({**content(1), "en/x.html": words.encode()}, facts())
    (result,) = check_machine(with_archive(release), [], [], traces)
    if found is None:
        assert result.verdict is Verdict.OK
    else:
        assert result.verdict is Verdict.WRONG
        assert f"en/x.html holds {found}" in result.sentence
        # It is inside the ZIP as well.
        assert "cccr-web.zip:" in result.sentence


def test_public_name_is_no_trace() -> None:
    """A machine may be called as the site is."""
    release = make_release({**content(1), "en/x.html": b"vps-17.example"}, facts())
    (result,) = check_machine(release, [], ["vps-17.example"], {"vps-17.example"})
    assert result.verdict is Verdict.OK


def test_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that could be any word is not looked for; one with a digit, hyphen or dot is."""
    monkeypatch.setattr(socket, "gethostname", lambda: "freedom")
    monkeypatch.setattr(socket, "getfqdn", lambda: "Freedom.Example")
    assert own_names() == {"freedom.example"}


def test_own_addresses(tmp_path: Path) -> None:
    """The kernel's tables are read: each interface's address, and not loopback's."""
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


def permission(*private: Private) -> Result:
    """Return what is said of one path."""
    (result,) = check_private(private)
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
def test_permissions(folder: Path, mode: int, meant: str, verdict: str) -> None:
    """A key that others may read is wrong, unless that was said to be meant."""
    path = folder / "a.key"
    path.touch()
    path.chmod(mode)
    result = permission(Private.parse(f"{path}{meant}"))
    assert result.verdict.value == verdict, result
    if verdict == "wrong" and "nobody" not in meant:
        assert f"chmod {mode & (0o640 if meant else 0o600):04o} {path}" in result.remedy


@pytest.mark.parametrize(("mode", "verdict"), [(0o660, "ok"), (0o755, "ok"), (0o666, "wrong")])
def test_sockets(folder: Path, mode: int, verdict: str) -> None:
    """A socket that everybody may connect to is wrong; to read it means nothing."""
    path = folder / "web.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(mode)
        assert permission(Private(path)).verdict.value == verdict


def test_owner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of an ordinary user is wrong."""
    path = folder / "a.key"
    path.touch(mode=0o600)
    found = list(path.stat())
    found[4] = 54321
    # Only root can give a file away.
    monkeypatch.setattr(Path, "stat", lambda _path: os.stat_result(found))
    result = permission(Private(path))
    assert result.verdict is Verdict.WRONG
    assert result.sentence == f"{path} is of 54321, and should be of root or of a service."


def test_folder_that_all_may_write(folder: Path) -> None:
    """A key in a folder that everybody may write into can be replaced by anybody."""
    (folder / "all").mkdir()
    path = folder / "all" / "a.key"
    path.touch(mode=0o600)
    (folder / "all").chmod(0o777)
    result = permission(Private(path))
    assert result.verdict is Verdict.WRONG
    assert "can be replaced by anybody" in result.sentence
    (folder / "all").chmod(0o1777)
    assert permission(Private(path)).verdict is Verdict.OK


def test_nothing_there(folder: Path) -> None:
    """What is not there cannot be judged, and that is wrong."""
    result = permission(Private(folder / "none"))
    assert result.verdict is Verdict.WRONG
    assert "cannot be looked at: No such file or directory" in result.sentence


@pytest.mark.parametrize("text", ["/a=", "/a=x", "/a=1777", "=0600", "/a=root:"])
def test_private_that_cannot_be_read(text: str) -> None:
    """What is meant is said in one form."""
    with pytest.raises(ValueError, match="is not PATH, PATH=0640"):
        Private.parse(text)


def test_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each disk is judged once, by its space and its number of files."""
    case = Case(folder, PUBLIC, states=(folder,))
    (result,) = check_disk(case)
    assert result.verdict is Verdict.OK
    with monkeypatch.context() as patch:
        patch.setattr(disk_module, "SPACE", 2**62)
        (result,) = check_disk(case)
        assert "MiB left" in result.sentence
        assert result.verdict is Verdict.WRONG
    if os.statvfs(folder).f_files:
        monkeypatch.setattr(disk_module, "FILES", 2**62)
        (result,) = check_disk(case)
        assert result.verdict is Verdict.WRONG
    gone = dataclasses.replace(case, release=folder / "none")
    assert next(check_disk(gone)).verdict is Verdict.WRONG


class Consensus:
    """The client tor of a network whose time is some hours from ours."""

    def __init__(self, hours: float) -> None:
        self._hours = hours

    def moment(self, name: str) -> datetime:
        """Return the beginning or the end of the newest consensus."""
        span = -0.5 if name.endswith("after") else 2.5
        return datetime.now(UTC) + timedelta(hours=self._hours + span)


class Silent:
    """A client tor that has gone away."""

    def moment(self, name: str) -> datetime:
        """Tell nothing."""
        raise ControlLostError(f"Tor does not tell {name}.")


@pytest.mark.parametrize(
    ("told", "container", "hours", "verdict"),
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
def test_clock(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: str | None,
    container: bool,
    hours: float | None,
    verdict: str,
) -> None:
    """systemd's word counts; where it keeps no time, in a container say, that of tor's network."""
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    program = folder / "timedatectl"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{told}'\n" if told else "#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    marker = folder / "container"
    if container:
        marker.touch()
    reader = None if hours is None else cast("Client", Consensus(hours))
    (result,) = check_clock(reader, marker)
    assert result.verdict.value == verdict, result


def test_clock_of_a_tor_that_is_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tor that does not tell its time is told with its own words."""
    monkeypatch.setenv("PATH", str(folder))
    (result,) = check_clock(cast("Client", Silent()), folder)
    assert result.verdict is Verdict.WRONG
    assert "Tor does not tell consensus/valid-after" in result.sentence


@pytest.mark.parametrize(
    ("judged", "verdict"),
    [
        *(("recommended", "ok"), ("new in series", "ok"), ("unknown", "not applicable")),
        *(("obsolete", "wrong"), ("unrecommended", "wrong")),
    ],
)
def test_versions(judged: str, verdict: str) -> None:
    """Tor's version is judged by what the network's directories say of it."""
    answers = {
        "PROTOCOLINFO": "250-PROTOCOLINFO 1\n250-AUTH METHODS=NULL\n"
        '250-VERSION Tor="0.4.8.1"\n250 OK\n',
        "GETINFO version": "250-version=0.4.8.1\n250 OK\n",
        "GETINFO status/version/current": f"250-status/version/current={judged}\n250 OK\n",
    }
    with fake_tor(answers) as (where, _), connect(where) as link:
        ours, tors = check_versions(link)
    assert ours.sentence.startswith("cccr-web ")
    assert tors.verdict.value == verdict
    assert tors.sentence.startswith("tor 0.4.8.1")


def test_no_tor_to_ask() -> None:
    """Without a tor its version cannot be told, and that is wrong."""
    _, tors = check_versions(None)
    assert tors.verdict is Verdict.WRONG
