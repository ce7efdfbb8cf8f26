"""What the caretaker admits, remembers and tells."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from support.signed import (
    TODAY,
    Room,
    content,
    facts,
    make_apps,
    organisation_key,
    put_release,
    signed_release,
)

from cccr_web.errors import CccrError
from cccr_web.release import Release, Signer, make_release


@pytest.fixture
def room(tmp_path: Path) -> Room:
    """A room with three releases, the first of them current."""
    room = Room(tmp_path)
    for number in (1, 2, 3):
        put_release(signed_release(number), tmp_path / f"release-{number}")
    room.point(tmp_path / "release-1")
    return room


def put_signed(release: Release, folder: Path) -> None:
    """Sign a release and write it."""
    put_release(Signer(organisation_key()).sign(release), folder)


def test_switch_is_remembered(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """After release 3 was taken, release 2 is refused: nobody is led back."""
    caretaker = room.caretaker()
    for number in (3, 2):
        room.point(room.folder / f"release-{number}")
        caretaker.reload()
    assert caretaker.release == signed_release(3)
    assert "Release 2 is older than release 3, which was served before." in caplog.text


def test_fall_back_does_not_open_the_way_back(room: Room) -> None:
    """A start on the last good copy, older than the newest, does not let releases between in."""
    caretaker = room.caretaker()
    room.source.accept(signed_release(3))
    room.point(room.folder / "gone")
    caretaker = room.caretaker()
    assert caretaker.release == signed_release(1)
    room.point(room.folder / "release-2")
    caretaker.reload()
    assert caretaker.release == signed_release(1)
    room.point(room.folder / "release-3")
    caretaker.reload()
    assert caretaker.release == signed_release(3)


def test_expired_release_is_served_and_told(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """A release past its date is served on, and the log says so, once."""
    yesterday = TODAY - timedelta(days=1)
    put_signed(make_release(content(4), facts(4, expires=yesterday)), room.folder / "release-4")
    caretaker = room.caretaker()
    room.point(room.folder / "release-4")
    caretaker.reload()
    caretaker.compare()
    assert caretaker.release.metadata.sequence == 4
    words = f"Release 4 has expired on {yesterday:%Y-%m-%d}. Still serving release 4."
    assert caplog.messages.count(words) == 1


def test_release_that_cannot_be_served_is_not_remembered(room: Room) -> None:
    """A signed release with a kind of file that has no media type is refused, and forgotten."""
    odd = make_release({**content(4), "en/page.exe": b"MZ"}, facts(4))
    put_signed(odd, room.folder / "release-4")
    caretaker = room.caretaker()
    room.point(room.folder / "release-4")
    caretaker.reload()
    assert caretaker.release == signed_release(1)
    room.point(room.folder / "release-2")
    caretaker.reload()
    assert caretaker.release == signed_release(2)


def test_start_on_a_release_that_cannot_be_served(room: Room) -> None:
    """The last good release is served at a start, too, when the current one has no app."""
    room.caretaker()
    odd = make_release({**content(4), "en/page.exe": b"MZ"}, facts(4))
    put_signed(odd, room.folder / "release-4")
    room.point(room.folder / "release-4")
    assert room.caretaker().release == signed_release(1)
    assert room.source.open(make_apps)[0] == signed_release(1)


def test_start_without_a_good_release_says_why(tmp_path: Path) -> None:
    """With no copy aside the reason why the current release cannot be served is raised."""
    room = Room(tmp_path)
    odd = make_release({**content(4), "en/page.exe": b"MZ"}, facts(4))
    put_signed(odd, tmp_path / "release-4")
    room.point(tmp_path / "release-4")
    with pytest.raises(CccrError, match=r"page\.exe has an ending"):
        room.source.open(make_apps)


def test_memory_that_cannot_be_written_stops_no_server(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """When the state cannot be written a new release is refused and the old one served on."""
    caretaker = room.caretaker()
    (room.folder / f"state/.highest-sequence.{os.getpid()}.partial").mkdir()
    room.point(room.folder / "release-2")
    caretaker.reload()
    assert caretaker.release == signed_release(1)
    assert "highest-sequence cannot be written" in caplog.text
