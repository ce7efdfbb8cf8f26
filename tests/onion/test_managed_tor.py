"""The managed tor: how it starts, what it reports when it fails, and that it always stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.hosting import as_nobody, gone, wait_until

from cccr_web.errors import OnionError
from cccr_web.onion import ManagedTor


def test_tor_runs_from_open_to_close(folder: Path, no_network: Path) -> None:
    """Tor starts, answers, keeps its files private, and is gone after ``close``."""
    tor = ManagedTor(folder / "tor", extra=no_network)
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


def test_open_restarts_only_a_dead_tor(folder: Path, no_network: Path) -> None:
    """A second ``open`` connects to the same tor, or starts a new one if it was killed."""
    tor = ManagedTor(folder / "tor", extra=no_network)
    tor.open().close()
    first = tor.pid
    tor.open().close()
    assert tor.pid == first
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert tor.exit_reason() == "the managed tor was killed by SIGKILL"
    tor.open().close()
    assert tor.pid not in (first, None)
    tor.close()


def test_close_ends_a_suspended_tor(folder: Path, no_network: Path) -> None:
    """A tor suspended by SIGSTOP exits as well."""
    tor = ManagedTor(folder / "tor", extra=no_network, stop_timeout=1.0)
    tor.open().close()
    assert tor.pid is not None
    pid = tor.pid
    os.kill(pid, signal.SIGSTOP)
    tor.close()
    assert gone(pid)


def test_tor_exits_when_its_parent_is_killed(folder: Path, no_network: Path) -> None:
    """Tor exits by itself after the program that started it is killed."""
    program = (
        "import sys, time; from pathlib import Path; from cccr_web.onion import ManagedTor;"
        "tor = ManagedTor(Path(sys.argv[1]), extra=Path(sys.argv[2])); link = tor.open();"
        "print(tor.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(folder / "tor"), str(no_network)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: gone(pid), 5)


def test_a_rejected_torrc_line_is_reported_with_its_file(folder: Path) -> None:
    """An unknown torrc line is reported with the file's name and tor's own message."""
    extra = folder / "extra.torrc"
    extra.write_text("DisableNetwork 1\nSuchNonsense 1\n")
    with pytest.raises(OnionError, match=r"Tor rejects the extra torrc.*SuchNonsense") as caught:
        ManagedTor(folder / "tor", extra=extra).open()
    assert str(extra) in str(caught.value)


def test_a_missing_torrc_is_named(folder: Path) -> None:
    """A missing file of extra torrc lines is named."""
    with pytest.raises(
        OnionError, match=f"^{folder}/none cannot be read: No such file or directory[.] "
    ):
        ManagedTor(folder / "tor", extra=folder / "none").open()


def test_a_port_in_use_is_named(folder: Path) -> None:
    """A port that another program uses is named."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        extra = folder / "extra.torrc"
        extra.write_text(f"DisableNetwork 1\nControlPort {port}\n")
        with pytest.raises(OnionError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            ManagedTor(folder / "tor", extra=extra).open()


def test_without_tor_the_error_says_what_to_install(folder: Path) -> None:
    """If tor is not installed, the error says what to install."""
    with pytest.raises(OnionError, match="apt install tor"):
        ManagedTor(folder / "tor", program="no-such-tor").open()


def test_an_early_exit_is_reported_in_the_words_of_tor(folder: Path, no_network: Path) -> None:
    """If tor exits at once, the error includes tor's own message."""
    (folder / "tor" / "state").mkdir(parents=True)
    with pytest.raises(OnionError, match=r"did not start.*exited with status 1.*[Ss]tate"):
        ManagedTor(folder / "tor", extra=no_network).open()


def test_a_tor_that_never_answers_is_killed(folder: Path, no_network: Path) -> None:
    """A program that runs but opens no control socket is killed after the start timeout."""
    (folder / "sleeper").write_text("#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n")
    (folder / "sleeper").chmod(0o700)
    tor = ManagedTor(
        folder / "tor",
        extra=no_network,
        program=str(folder / "sleeper"),
        start_timeout=0.3,
        stop_timeout=0.3,
    )
    with pytest.raises(OnionError, match="did not answer at its control socket"):
        tor.open()
    assert tor.pid is None


def test_a_file_instead_of_the_data_folder_is_named(no_network: Path) -> None:
    """A file where the data folder should be is named."""
    with pytest.raises(OnionError, match=f"cannot use the folder {no_network}"):
        ManagedTor(no_network, extra=no_network).open()


def test_a_data_folder_of_another_user_is_rejected(folder: Path, no_network: Path) -> None:
    """A data folder of another user is rejected with the system's reason."""
    folder.chmod(0o755)
    no_network.chmod(0o644)
    with (
        as_nobody(),
        pytest.raises(OnionError, match=r"cannot use the folder /usr: .*not permitted"),
    ):
        ManagedTor(Path("/usr"), extra=no_network).open()


def test_a_data_folder_in_use_is_rejected(folder: Path, no_network: Path) -> None:
    """A second process cannot use the same folder, and does not disturb the first."""
    first = ManagedTor(folder / "tor", extra=no_network)
    with first.open() as link:
        with pytest.raises(OnionError, match=f"Another process runs a tor in {folder}/tor"):
            ManagedTor(folder / "tor", extra=no_network).open()
        assert link.info("version")
        first.open().close()
    first.close()


def test_a_data_folder_with_a_long_path_is_rejected(folder: Path) -> None:
    """A path too long for tor's control socket is rejected before any file is created."""
    with pytest.raises(OnionError, match="shorter folder"):
        ManagedTor(folder / ("x" * 100))
