"""A mirror of a release that several signers have signed."""

from __future__ import annotations

from pathlib import Path

from support.command import run
from support.hostile import Hostile
from support.policies import TWO_OF_THREE, policy_release

from cccr_web.release import load


def test_a_mirror_fetches_a_release_under_a_policy(tmp_path: Path) -> None:
    """Two of three signatures are enough, the ZIP holds all pages, and others may sign the next."""
    (tmp_path / "policy.txt").write_bytes(TWO_OF_THREE.to_file())
    arguments = ("--to", tmp_path / "mirror", "--policy", tmp_path / "policy.txt")
    for sequence, name in ((1, "editor"), (2, "lawyer")):
        release = policy_release(name, "second", sequence=sequence)
        with Hostile(release) as server:
            result = run("mirror", "fetch", server.url, *arguments)
        assert result.exit_code == 0, result.stderr
        fetched = load(tmp_path / "mirror/site", TWO_OF_THREE)
        assert fetched.files == release.files


def test_a_mirror_rejects_a_release_with_one_signature(tmp_path: Path) -> None:
    """The folder stays empty, and the error says whose signatures are missing."""
    (tmp_path / "policy.txt").write_bytes(TWO_OF_THREE.to_file())
    arguments = ("--to", tmp_path / "mirror", "--policy", tmp_path / "policy.txt")
    with Hostile(policy_release("editor")) as server:
        result = run("mirror", "fetch", server.url, *arguments)
    assert result.exit_code == 1
    assert "lawyer, second can sign" in result.stderr
    assert not (tmp_path / "mirror/site").exists()
