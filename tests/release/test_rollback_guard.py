"""A server does not serve an older release than before."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import TOP
from support.policies import TWO_OF_THREE
from support.signed import PUBLIC, signed_release

from cccr_web.errors import CccrError, ReleaseError
from cccr_web.release import RollbackGuard, load


@pytest.fixture
def guard(tmp_path: Path) -> RollbackGuard:
    """A guard whose folder does not exist yet."""
    return RollbackGuard(tmp_path / "deep" / "state")


def test_a_new_server_accepts_any_release(guard: RollbackGuard) -> None:
    """Where nothing is recorded, every release passes."""
    guard.check(signed_release(1))


def test_the_same_and_a_newer_release_pass(guard: RollbackGuard) -> None:
    """The recorded release and any newer one may be served."""
    guard.record(signed_release(2))
    guard.check(signed_release(2))
    guard.check(signed_release(3))


def test_an_older_release_is_rejected(guard: RollbackGuard) -> None:
    """A sequence below the highest one ever served is rejected."""
    guard.record(signed_release(2))
    with pytest.raises(
        ReleaseError, match="Release 1 is older than release 2, which was served before"
    ):
        guard.check(signed_release(1))


def test_the_recorded_sequence_never_falls(guard: RollbackGuard) -> None:
    """Serving the last good release again does not lower the recorded sequence."""
    guard.record(signed_release(3))
    guard.record(signed_release(1))
    with pytest.raises(
        ReleaseError, match="Release 2 is older than release 3, which was served before"
    ):
        guard.check(signed_release(2))


def test_deployment_uses_the_same_file_names(guard: RollbackGuard) -> None:
    """``deploy.sh`` saves and restores the files in which a server records what it has seen."""
    guard.record(signed_release(2))
    guard.record_policy(TWO_OF_THREE)
    script = TOP / "deploy/server/release.sh"
    line = '. "$1" && echo "$HIGHEST_SEQUENCE" && echo "$HIGHEST_POLICY"'
    found = subprocess.run(
        ["bash", "-c", line, "bash", script], text=True, capture_output=True, check=True
    )
    assert {file.name for file in guard.folder.iterdir()} == {*found.stdout.split()}


@pytest.mark.parametrize("text", ["", "2", "2 x\n", "-1 " + "0" * 64 + "\n", "\xff"])
def test_a_damaged_record_is_an_error(guard: RollbackGuard, text: str) -> None:
    """A damaged record does not permit older releases."""
    guard.record(signed_release(2))
    (guard.folder / "highest-sequence").write_bytes(text.encode("latin-1"))
    with pytest.raises(CccrError, match="highest-sequence is damaged"):
        guard.check(signed_release(3))


def test_the_copy_is_the_whole_release(guard: RollbackGuard) -> None:
    """The last good copy is the whole release, and the next release replaces it."""
    for number in (1, 2, 2):
        guard.save_last_good(signed_release(number), PUBLIC)
        assert load(guard.folder / "last-good", PUBLIC) == signed_release(number)


def test_a_damaged_copy_is_replaced(guard: RollbackGuard) -> None:
    """A copy that no longer verifies is replaced, even by the same release."""
    guard.save_last_good(signed_release(1), PUBLIC)
    (guard.folder / "last-good/en/index.html").write_bytes(b"<script>")
    guard.save_last_good(signed_release(1), PUBLIC)
    assert guard.load_last_good(PUBLIC) == signed_release(1)


def test_a_state_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    """The error names the file that cannot be read or written."""
    (tmp_path / "state").write_text("")
    guard = RollbackGuard(tmp_path / "state")
    with pytest.raises(CccrError, match="highest-sequence cannot be read: Not a directory"):
        guard.record(signed_release(1))
    with pytest.raises(CccrError, match="written"):
        guard.save_last_good(signed_release(1), PUBLIC)


def test_an_admin_can_allow_an_older_release(guard: RollbackGuard) -> None:
    """One older release may be served again, and none that is older still."""
    for number in (1, 3):
        guard.record(signed_release(number))
    assert guard.allow_rollback(signed_release(2)) == 3
    guard.check(signed_release(2))
    with pytest.raises(
        ReleaseError, match="Release 1 is older than release 2, which was served before"
    ):
        guard.check(signed_release(1))


def test_a_rollback_needs_an_earlier_record(guard: RollbackGuard) -> None:
    """A folder without a record is an error, and is not created."""
    with pytest.raises(CccrError, match="holds no record of a release"):
        guard.allow_rollback(signed_release(1))
    assert not guard.folder.exists()
