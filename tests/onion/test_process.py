"""A tor of our own: how it starts, how it fails in its own words, and that it never stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.hosting import as_nobody, gone, wait_until

from cccr_web.errors import (
    OnionError,
)
from cccr_web.onion import OwnTor, process

if TYPE_CHECKING:
    from pathlib import Path


def test_start_and_end(folder: Path, no_network: Path) -> None:
    """It starts, answers, keeps its files from others, and is gone after ``close``."""
    tor = OwnTor(folder / "tor", extra=no_network)
    with tor.open() as link:
        pid = tor.pid
        assert pid is not None
        assert link.info("process/pid") == str(pid)
        assert link.info("config-text").count("SocksPort 0") == 1
    assert (folder / "tor").stat().st_mode & 0o777 == 0o700
    tor.close()
    assert gone(pid)
    assert tor.pid is None
    tor.close()


def test_open_again(folder: Path, no_network: Path) -> None:
    """Opening again reaches the same tor, or a new one where it was killed."""
    tor = OwnTor(folder / "tor", extra=no_network)
    tor.open().close()
    first = tor.pid
    tor.open().close()
    assert tor.pid == first
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert tor.obituary() == "our tor was killed by SIGKILL"
    tor.open().close()
    assert tor.pid not in (first, None)
    tor.close()


def test_frozen_tor_ends(folder: Path, no_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tor that is stopped by a signal ends as well."""
    monkeypatch.setattr(process, "ENDS_WITHIN", 1.0)
    tor = OwnTor(folder / "tor", extra=no_network)
    tor.open().close()
    assert tor.pid is not None
    pid = tor.pid
    os.kill(pid, signal.SIGSTOP)
    tor.close()
    assert gone(pid)


def test_killed_manager_leaves_no_tor(folder: Path, no_network: Path) -> None:
    """Where the program that started it is killed, tor ends by itself."""
    program = (
        "import sys, time; from pathlib import Path; from cccr_web.onion import OwnTor;"
        "tor = OwnTor(Path(sys.argv[1]), extra=Path(sys.argv[2])); link = tor.open();"
        "print(tor.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(folder / "tor"), str(no_network)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as manager:
        assert manager.stdout is not None
        pid = int(manager.stdout.readline())
        manager.kill()
    wait_until(lambda: gone(pid), 5)


def test_refused_torrc_lines(folder: Path) -> None:
    """A line that tor does not know is told with the file's name and tor's own words."""
    extra = folder / "extra.torrc"
    extra.write_text("DisableNetwork 1\nSuchNonsense 1\n")
    with pytest.raises(OnionError, match="SuchNonsense") as caught:
        OwnTor(folder / "tor", extra=extra).open()
    assert str(extra) in str(caught.value)


def test_no_torrc_lines(folder: Path) -> None:
    """A file of extra lines that is not there is named."""
    with pytest.raises(OnionError, match=f"{folder}/none"):
        OwnTor(folder / "tor", extra=folder / "none").open()


def test_taken_port(folder: Path) -> None:
    """A port that another program holds is named."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        extra = folder / "extra.torrc"
        extra.write_text(f"DisableNetwork 1\nControlPort {port}\n")
        with pytest.raises(OnionError, match=rf"127\.0\.0\.1:{port}"):
            OwnTor(folder / "tor", extra=extra).open()


def test_no_program(folder: Path) -> None:
    """Without tor installed the message says what to install."""
    with pytest.raises(OnionError, match="apt install tor"):
        OwnTor(folder / "tor", program="no-such-tor").open()


def test_tor_that_cannot_start(folder: Path, no_network: Path) -> None:
    """A tor that ends at once tells why in its own words."""
    (folder / "tor" / "state").mkdir(parents=True)
    with pytest.raises(OnionError, match=r"ended with 1.*[Ss]tate"):
        OwnTor(folder / "tor", extra=no_network).open()


def test_tor_that_never_answers(
    folder: Path, no_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that runs but opens no control socket is given up and killed."""
    monkeypatch.setattr(process, "STARTS_WITHIN", 0.3)
    monkeypatch.setattr(process, "ENDS_WITHIN", 0.3)
    (folder / "sleeper").write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
    (folder / "sleeper").chmod(0o700)
    tor = OwnTor(folder / "tor", extra=no_network, program=str(folder / "sleeper"))
    with pytest.raises(OnionError, match="did not open its control socket"):
        tor.open()
    assert tor.pid is None


def test_folder_is_a_file(no_network: Path) -> None:
    """A data folder that is none is named."""
    with pytest.raises(OnionError, match=str(no_network)):
        OwnTor(no_network, extra=no_network).open()


def test_folder_of_somebody_else(folder: Path, no_network: Path) -> None:
    """A data folder that we do not own is named."""
    (folder / "tor").mkdir()
    folder.chmod(0o755)
    no_network.chmod(0o644)
    with as_nobody(), pytest.raises(OnionError, match="not permitted"):
        OwnTor(folder / "tor", extra=no_network).open()


def test_folder_in_use(folder: Path, no_network: Path) -> None:
    """Two managers cannot run a tor in one folder, and the first is not disturbed."""
    first = OwnTor(folder / "tor", extra=no_network)
    with first.open() as link:
        with pytest.raises(OnionError, match=f"{folder}/tor"):
            OwnTor(folder / "tor", extra=no_network).open()
        assert link.info("version")
        first.open().close()
    first.close()


def test_folder_with_a_long_path(folder: Path) -> None:
    """A folder too deep for tor's control socket is refused before anything is made."""
    with pytest.raises(OnionError, match="shorter folder"):
        OwnTor(folder / ("x" * 100))
