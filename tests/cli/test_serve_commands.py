"""``serve`` and ``demo``: what they need to start, and what they say if they cannot."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import failure, run
from support.hosting import short_folder
from support.serving import DOMAIN, ONION, Server, ask, environment

from cccr_web.cli.serve import serve
from cccr_web.release import Release


def unsigned(folder: Path) -> str:
    """Return the warning about a release that is served with unchecked signatures."""
    return (
        f"WARNING cccr_web.cli.serve: No --public-key or --policy: the signatures of {folder} "
        "are not checked. Use this for trials only.\n"
    )


def test_serve_of_a_missing_release_says_how_to_build_one(tmp_path: Path) -> None:
    """The error names the folder and the command."""
    error = failure("serve", "--release", tmp_path / "none", "--clearnet", "127.0.0.1:0")
    assert error == unsigned(tmp_path / "none") + (
        f"{tmp_path}/none is not a release: No such file or directory. "
        "Make one with: cccr-web build --out FOLDER\n"
    )


def test_serve_judges_an_unreadable_release_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no wrong usage, because the server may have a last good release."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    file = tmp_path / "file"
    file.touch()
    for release in (tmp_path, file):
        context = serve.make_context("serve", ["--release", str(release)])
        assert context.params["release"] == release


def test_serve_on_a_port_in_use_is_an_error(release_folder: Path) -> None:
    """The error says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        error = failure("serve", "--release", release_folder, "--clearnet", where)
    assert error == unsigned(release_folder) + (
        f"Cannot listen on {where}: Address already in use. "
        "Another program listens there: stop it, or choose another address.\n"
    )


def test_serve_on_a_socket_in_a_missing_folder_is_an_error(release_folder: Path) -> None:
    """The error names the socket."""
    error = failure("serve", "--release", release_folder, "--onion-socket", "unix:/none/a.sock")
    assert error == unsigned(release_folder) + (
        "Cannot listen on unix:/none/a.sock: No such file or directory. Choose another address.\n"
    )


def test_serve_rejects_a_socket_path_that_is_too_long() -> None:
    """A path that the kernel does not accept is wrong usage."""
    done = run("serve", "--onion-socket", f"unix:/{'a' * 107}")
    assert done.exit_code == 2
    error = re.sub(r"\s+", " ", done.stderr)
    assert "the path of a unix socket may be at most 107 bytes long" in error


def test_serve_needs_an_address_of_the_site(tmp_path: Path) -> None:
    """A server that knows none of its names says so, rather than answering 421 to everything."""
    run("build", "--out", tmp_path / "release")
    with short_folder() as folder:
        address = f"unix:{folder}/web.sock"
        serve = ("serve", "--release", tmp_path / "release")
        warning = unsigned(tmp_path / "release")
        assert failure(*serve, "--onion-socket", address) == warning + (
            "The release names no onion address, so the server cannot know its own. "
            "Use --onion-address, or write it into site.toml.\n"
        )
        assert failure(*serve, "--clearnet", address) == warning + (
            "The release names no clearnet address, so the server cannot know its own. "
            "Use --domain, or write it into site.toml.\n"
        )
        assert list(folder.iterdir()) == []


def test_all_wrong_settings_are_reported_at_once() -> None:
    """Unknown and wrong settings are reported together, with the names of the known ones."""
    error = failure("serve", CCCR_PORT="80", CCCR_CLEARNET="80", CCCR_ONIONS=f"{ONION} x")
    assert error == (
        "CCCR_CLEARNET: “80” is not HOST:PORT, unix:/PATH or systemd:NAME.\n"
        "CCCR_ONIONS: “x” is not an onion address: 56 characters a-z and 2-7, then .onion.\n"
        "CCCR_PORT: no such setting; the settings are CCCR_RELEASE, CCCR_PUBLIC_KEY, "
        "CCCR_POLICY, CCCR_STATE, CCCR_CLEARNET, CCCR_ONION_SOCKET, CCCR_DOMAINS, CCCR_ONIONS, "
        "CCCR_HSTS_PRELOAD, CCCR_MAX_MEGABYTES.\n"
    )


def test_serve_uses_settings_from_the_environment(release_folder: Path, release: Release) -> None:
    """A setting is used where its option is missing."""
    with short_folder() as folder:
        command = [sys.executable, "-m", "cccr_web", "serve"]
        settings = {
            "CCCR_RELEASE": str(release_folder),
            "CCCR_CLEARNET": f"unix:{folder}/web.sock",
            "CCCR_ONION_SOCKET": f"unix:{folder}/onion.sock",
            "CCCR_DOMAINS": "one.example two.example",
            "CCCR_ONIONS": "b" * 56 + ".onion",
        }
        with started(command, **settings) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"clearnet unix:{folder}/web.sock\n"
            assert process.stdout.readline() == f"onion-socket unix:{folder}/onion.sock\n"
            for host in (DOMAIN, "one.example", "two.example"):
                answer = ask(folder / "web.sock", "/SHA256SUMS", host)
                assert answer.body == release.files["SHA256SUMS"].body
            # The client of a unix socket is nginx, not a reader on this machine.
            assert ask(folder / "web.sock", "/en/", "localhost").status == 421
            for host in (ONION, "b" * 56 + ".onion"):
                assert ask(folder / "onion.sock", "/en/", host).status == 200


def test_an_option_overrides_its_setting(release_folder: Path) -> None:
    """An option on the command line replaces the setting for the same thing."""
    command = [sys.executable, "-m", "cccr_web", "serve", "--clearnet", "127.0.0.1:0"]
    settings = {"CCCR_RELEASE": str(release_folder), "CCCR_CLEARNET": "unix:/none/web.sock"}
    with started(command, **settings) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("clearnet http://127.0.0.1:")


def test_serve_without_a_release_builds_one() -> None:
    """Without --release the texts are built in memory, and nothing is written."""
    command = [sys.executable, "-m", "cccr_web", "serve", "--clearnet", "127.0.0.1:0"]
    with started(command) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2].rstrip("/\n"))
        answer = ask(("127.0.0.1", port), "/RELEASE.json", "localhost")
        assert json.loads(answer.body)["addresses"] == {"clearnet": None, "onions": []}
        assert ask(("127.0.0.1", port), "/en/", "localhost").header("Onion-Location") is None


@contextlib.contextmanager
def started(command: list[str], **settings: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a subprocess, and stop it as systemd does."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *command],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(**settings),
    )
    with process:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_demo_builds_serves_and_cleans_up(tmp_path: Path) -> None:
    """The demo serves on loopback, and leaves nothing but its state."""
    command = [sys.executable, "-m", "cccr_web", "demo", "--no-onion", "--port", "0"]
    with short_folder() as folder:
        with started([*command, "--state", str(folder / "state")]) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("clearnet http://127.0.0.1:")
            port = int(line.rpartition(":")[2].rstrip("/\n"))
            assert ask(("127.0.0.1", port), "/en/", f"127.0.0.1:{port}").status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert [path.name for path in (folder / "state").iterdir()] == ["release"]
    assert list(tmp_path.iterdir()) == []


def test_demo_without_an_onion_keeps_nothing(tmp_path: Path) -> None:
    """It needs no home, and removes the release when it ends."""
    command = [sys.executable, "-m", "cccr_web", "demo", "--no-onion", "--port", "0"]
    with started(command, HOME="/dev/null", TMPDIR=str(tmp_path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("clearnet http://127.0.0.1:")
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_demo_names_a_state_folder_that_cannot_be_created() -> None:
    """The error says where, why and what to do."""
    error = failure("demo", "--no-onion", "--state", "/dev/null/state")
    assert error == (
        "/dev/null/state cannot be created: Not a directory. Pass another folder to --state.\n"
    )


def test_demo_on_a_port_in_use_is_an_error(tmp_path: Path, server: Server) -> None:
    """The demo prints its server's error and ends."""
    port = str(server.clearnet[1])
    command = [sys.executable, "-m", "cccr_web", "demo", "--no-onion", "--port", port]
    done = subprocess.run(
        [*command, "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == unsigned(tmp_path / "release") + (
        f"Cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Another program listens there: stop it, or choose another address.\n"
        "The server did not start. See its output above.\n"
    )
