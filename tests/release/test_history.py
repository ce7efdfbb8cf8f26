"""What the server remembers of the releases that it has served."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.signed import organisation_key, signed_release

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import History, load

KEY = organisation_key().public


@pytest.fixture
def history(tmp_path: Path) -> History:
    """A history in a folder that is not there yet."""
    return History(tmp_path / "deep" / "state")


def test_everything_is_admitted_at_first(history: History) -> None:
    """A server with no memory takes any release."""
    history.admit(signed_release(1))


def test_same_and_newer_are_admitted(history: History) -> None:
    """The release that was served and any newer one may be served."""
    history.record(signed_release(2))
    history.admit(signed_release(2))
    history.admit(signed_release(3))


def test_older_is_refused(history: History) -> None:
    """What lies below the highest sequence ever served is refused."""
    history.record(signed_release(2))
    with pytest.raises(ReleaseError, match="release 1, older than 2 before"):
        history.admit(signed_release(1))


def test_memory_never_falls(history: History) -> None:
    """When the last good release is served again, what was newer is not forgotten."""
    history.record(signed_release(3))
    history.record(signed_release(1))
    with pytest.raises(ReleaseError, match="release 2, older than 3 before"):
        history.admit(signed_release(2))


@pytest.mark.parametrize("text", ["", "2", "2 x\n", "-1 " + "0" * 64 + "\n", "\xff"])
def test_damaged_memory_is_told(history: History, text: str) -> None:
    """A damaged record is an error, never a licence for older releases."""
    history.record(signed_release(2))
    (history.folder / "highest-sequence").write_bytes(text.encode("latin-1"))
    with pytest.raises(CccrError, match="highest-sequence"):
        history.admit(signed_release(3))


def test_copy_is_the_release(history: History) -> None:
    """The copy that is kept aside is the whole release, and is replaced by the next."""
    for number in (1, 2, 2):
        history.keep(signed_release(number), KEY)
        assert load(history.folder / "last-good", KEY) == signed_release(number)


def test_damaged_copy_is_written_anew(history: History) -> None:
    """A copy that no longer verifies is replaced, though it is of the same release."""
    history.keep(signed_release(1), KEY)
    (history.folder / "last-good/en/index.html").write_bytes(b"<script>")
    history.keep(signed_release(1), KEY)
    assert history.last_good(KEY) == signed_release(1)


def test_memory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A state folder that is a file is named with the way out."""
    (tmp_path / "state").write_text("")
    history = History(tmp_path / "state")
    with pytest.raises(CccrError, match="highest-sequence cannot be read"):
        history.record(signed_release(1))
    with pytest.raises(CccrError, match="written"):
        history.keep(signed_release(1), KEY)


def test_older_release_is_allowed_on_purpose(history: History) -> None:
    """An admin's act lets one older release be served again, and none that is older still."""
    for number in (1, 3):
        history.record(signed_release(number))
    assert history.allow(signed_release(2)) == 3
    history.admit(signed_release(2))
    with pytest.raises(ReleaseError, match="release 1, older than 2 before"):
        history.admit(signed_release(1))


def test_nothing_is_allowed_where_nothing_was_served(history: History) -> None:
    """A wrong folder is told, rather than made a memory."""
    with pytest.raises(CccrError, match="remembers no release"):
        history.allow(signed_release(1))
    assert not history.folder.exists()
