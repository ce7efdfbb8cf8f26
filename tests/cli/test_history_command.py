"""``history allow``: an admin lets a server go back."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from support.signed import organisation_key, put_release, signed_release

from cccr_web.cli import main
from cccr_web.release import History


def test_allow(tmp_path: Path) -> None:
    """It lowers what the server remembers to a release that is in order, and to no other."""
    history = History(tmp_path / "state")
    history.record(signed_release(2))
    put_release(signed_release(1), tmp_path / "one")
    key = tmp_path / "key.pub"
    key.write_bytes(organisation_key().public.to_file())
    words = ["history", "allow", str(tmp_path / "one"), "--public-key", str(key)]
    done = CliRunner().invoke(main, [*words, "--state", str(history.folder)])
    assert (done.exit_code, done.output) == (
        0,
        "The server may serve release 1 again, after 2.\n",
    )
    history.admit(signed_release(1))

    history.record(signed_release(2))
    (tmp_path / "one/en/index.html").write_text("changed")
    done = CliRunner().invoke(main, [*words, "--state", str(history.folder)])
    assert done.exit_code == 1
    assert "en/index.html" in done.output
