"""``history allow``: an admin allows a server to roll back."""

from __future__ import annotations

from pathlib import Path

from support.command import run
from support.signed import organisation_key, put_release, signed_release

from cccr_web.release import RollbackGuard


def test_history_allow_lowers_the_recorded_sequence(tmp_path: Path) -> None:
    """The server may go back to a verified release, and to no other."""
    guard = RollbackGuard(tmp_path / "state")
    guard.record(signed_release(2))
    put_release(signed_release(1), tmp_path / "one")
    key = tmp_path / "key.pub"
    key.write_bytes(organisation_key().public.to_file())
    words = ["history", "allow", str(tmp_path / "one"), "--public-key", str(key)]
    done = run(*words, "--state", str(guard.folder))
    assert (done.exit_code, done.output) == (
        0,
        "The server may serve release 1 again, after 2.\n",
    )
    guard.check(signed_release(1))

    guard.record(signed_release(2))
    (tmp_path / "one/en/index.html").write_text("changed")
    done = run(*words, "--state", str(guard.folder))
    assert done.exit_code == 1
    assert "en/index.html" in done.output
