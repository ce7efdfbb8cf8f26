"""``headers`` prints what the server sends with its own refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from support.serving import DOMAIN, Server, ask, read_answer, talk
from support.signed import organisation_key, put_release, signed_release

from cccr_web.cli import main

# These depend on the time and the connection.
NOT_POLICY = {"Connection", "Content-Length", "Date"}


def printed(*words: str | Path) -> dict[str, str]:
    """Return what the command prints."""
    done = CliRunner().invoke(main, ["headers", *map(str, words)])
    assert done.exit_code == 0, done.output
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("listener", ["clearnet", "onion"])
def test_headers_prints_those_of_the_servers_own_400(
    server: Server, release_folder: Path, listener: str
) -> None:
    """On each listener, the headers are the same as in the server's own error response."""
    where = server.clearnet if listener == "clearnet" else server.onion
    answer = read_answer(talk(where, b"nothing\r\n\r\n"))
    assert answer.status == 400
    ours = {name.lower(): value for name, value in answer.headers if name not in NOT_POLICY}
    found = printed("--release", release_folder, listener)
    assert {name.lower(): value for name, value in found.items()} == ours
    assert found["Cache-Control"] == "no-cache"
    assert ("Strict-Transport-Security" in found) is (listener == "clearnet")
    assert ask(server.clearnet, "/", DOMAIN).header("Server") is None


def test_headers_rejects_an_unsigned_release(tmp_path: Path) -> None:
    """With a key, the headers come from a signed release only."""
    put_release(signed_release(1), tmp_path)
    words: list[str | Path] = ["--release", tmp_path]
    words += ["--public-key", str(organisation_key().public)]
    assert printed(*words, "onion")
    (tmp_path / "RELEASE.json").write_text("{}")
    done = CliRunner().invoke(main, ["headers", *map(str, words), "onion"])
    assert done.exit_code == 1
    assert "RELEASE.json" in done.stderr
