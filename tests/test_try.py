"""``deploy/try.sh``, the README's first command, with its onion on the private Tor network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from support import TOP
from support.hosting import short_folder
from support.measurements import Recorder
from support.tornet import TorNetwork, free_ports

from cccr_web.release import load

# The demo, with an onion manager that reports trouble after one second instead of thirty.
IMPATIENT_DEMO = """
import functools, cccr_web.onion
cccr_web.onion.Manager = functools.partial(cccr_web.onion.Manager, stalled_after=1.0)
from cccr_web.cli import main
main(prog_name="cccr-web")
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree in a path with spaces and Chinese characters."""
    folder = tmp_path_factory.mktemp("try") / "空 格" / "cccr web"
    for name in ("cccr_web", "deploy", "templates", "translations"):
        ignored = shutil.ignore_patterns("__pycache__", "site.env")
        shutil.copytree(TOP / name, folder / name, ignore=ignored)
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(TOP / name, folder)
    return folder


@pytest.fixture(scope="module")
def state(checkout: Path, tor_network: TorNetwork) -> Iterator[Path]:
    """A state folder. The checkout's environment is created once, in a locale without Chinese.

    Its path is short and without spaces, as tor requires of sockets. It depends on the Tor network
    so that all tests that use it run on one worker.
    """
    assert tor_network.socks_port
    with short_folder() as folder:
        state = folder / "state"
        state.mkdir(mode=0o700)
        subprocess.run(
            [checkout / "deploy/venv.sh", checkout / ".venv"],
            check=True,
            env=without_locale() | {"LC_ALL": "C"},
        )
        yield state


def without_locale() -> dict[str, str]:
    """Return the environment without its locale and Python settings, and with tor in the path."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LC_", "LANG", "PYTHON"))
    }
    return kept | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}


@contextmanager
def running_try(
    checkout: Path, state: Path, *options: str, locale: str = "C.UTF-8"
) -> Iterator[subprocess.Popen[str]]:
    """Run ``try.sh`` as in a terminal, and end it with Ctrl-C."""
    command = [str(checkout / "deploy/try.sh"), "--state", str(state), "--port", "0", *options]
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *command],
        stdout=subprocess.PIPE,
        text=True,
        env=without_locale() | {"LC_ALL": locale},
        start_new_session=True,
    ) as process:
        yield process
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 0


def address_in_next_line(process: subprocess.Popen[str], name: str) -> str:
    """Read a line ``NAME ADDRESS`` of its output and return the address."""
    assert process.stdout is not None
    found, _, address = process.stdout.readline().rstrip("\n").partition(" ")
    assert found == name
    return address


def processes_with(state: Path) -> list[str]:
    """Return the command lines of all processes that name a path in ``state``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # the process has ended
            continue
        if str(state) in command:
            found.append(command)
    return found


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
def test_the_command_runs_in_a_path_with_spaces_and_chinese(
    checkout: Path, state: Path, locale: str
) -> None:
    """``deploy/cccr-web`` works in any path and locale."""
    settings = without_locale() | {"LC_ALL": locale, "HOME": str(state)}
    command = [str(checkout / "deploy/cccr-web"), "check"]
    done = subprocess.run(command, check=False, text=True, capture_output=True, env=settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("All texts are in order")


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_try_serves_in_a_path_with_spaces_and_chinese(
    checkout: Path, state: Path, locale: str
) -> None:
    """``try.sh`` builds and serves the site in any path and locale, and answers once it says so."""
    with running_try(checkout, state, "--no-onion", locale=locale) as process:
        address = address_in_next_line(process, "clearnet")
        assert address.startswith("http://127.0.0.1:")
        with urlopen(address) as page:
            assert page.status == 200


def test_try_publishes_an_onion_and_keeps_its_address(
    checkout: Path, state: Path, tor_network: TorNetwork, note: Recorder, tmp_path: Path
) -> None:
    """The onion serves the release; a second run has the same address; no process remains."""
    torrc = tor_network.write_torrc(tmp_path / "torrc")
    with running_try(checkout, state, "--torrc", str(torrc)) as process:
        clearnet = address_in_next_line(process, "clearnet")
        assert clearnet.startswith("http://127.0.0.1:")
        onion = address_in_next_line(process, "onion")
        release = load(state / "release")
        assert release.metadata.onions == (onion.removeprefix("http://").rstrip("/"),)
        page = tor_network.fetch_until(f"{onion}en/index.html")
        assert page.body == release.files["en/index.html"].body
    assert processes_with(state) == []

    begin = time.monotonic()
    with running_try(checkout, state, "--torrc", str(torrc)) as process:
        address_in_next_line(process, "clearnet")
        note("second run of deploy/try.sh until the clearnet answers", time.monotonic() - begin)
        assert address_in_next_line(process, "onion") == onion
    assert sorted(path.name for path in state.iterdir()) == ["onion.key", "release", "tor"]


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """``try.sh`` next to scripts that only note that they were called."""
    folder = tmp_path / "deploy"
    (folder / "server").mkdir(parents=True)
    for name in ("try.sh", "server/common.sh"):
        shutil.copy(TOP / "deploy" / name, folder / name)
    for name in ("cccr-web", "venv.sh", "apt.sh"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{tmp_path}/called\n')
        (folder / name).chmod(0o755)
    return folder


def call_try(
    scripts: Path, *options: str, **environment: str
) -> tuple[int, str, str, list[list[str]]]:
    """Return its exit status, stdout and stderr, and what it called."""
    done = subprocess.run(
        [scripts / "try.sh", *options],
        env={"PATH": os.environ["PATH"], **environment},
        text=True,
        capture_output=True,
        check=False,
    )
    called = scripts.parent / "called"
    calls = called.read_text().splitlines() if called.exists() else []
    return done.returncode, done.stdout, done.stderr, [call.split() for call in calls]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prot", "1"], "There is no option “--prot”."),
        (["8000"], "There is no option “8000”."),
        (["--no-onion=yes"], "There is no option “--no-onion=yes”."),
        (["--port"], "--port needs a value."),
        (["--port", "http"], "--port is “http”, but a port is a number from 0 to 65535."),
        (["--port=65536"], "--port is “65536”, but a port is a number from 0 to 65535."),
        (["--port=8", "--port="], "--port is “”, but a port is a number from 0 to 65535."),
        (["--state="], "--state needs a value."),
        (["--torrc", "none"], "--torrc is “none”, but no such file can be read."),
        (["--torrc=/"], "--torrc is “/”, but no such file can be read."),
    ],
)
def test_a_wrong_option_is_rejected_before_anything_is_installed(
    scripts: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    """Wrong usage exits 2 with a sentence on stderr, and makes nothing."""
    status, printed, explained, called = call_try(scripts, *options, HOME=str(tmp_path / "home"))
    assert (status, printed, called) == (2, "", [])
    assert explained == f"{message}\nSee deploy/try.sh --help.\n"
    assert not (tmp_path / "home").exists()


def test_help_installs_nothing(scripts: Path, tmp_path: Path) -> None:
    """The help names every option of the README."""
    status, printed, explained, called = call_try(scripts, "--help", HOME=str(tmp_path / "home"))
    assert (status, explained, called) == (0, "", [])
    assert all(f"--{name}" in printed for name in ("port N", "no-onion", "state D", "torrc F"))
    assert not (tmp_path / "home").exists()


def test_a_home_that_is_unset_or_read_only_is_explained(scripts: Path, tmp_path: Path) -> None:
    """Without a folder for the onion key nothing is installed; ``--state`` names another."""
    status, _, explained, called = call_try(scripts)
    assert (status, called) == (1, [])
    assert explained.startswith("HOME is not set, so there is no folder for the onion key.")
    for name, folder in (("HOME", "/proc/.local/state"), ("XDG_STATE_HOME", "/proc")):
        status, _, explained, called = call_try(scripts, **{name: "/proc"})
        assert (status, called) == (1, [])
        assert explained.startswith(f"The folder {folder}/cccr-web cannot be written.")
    status, *_, called = call_try(scripts, "--no-onion", "--state", str(tmp_path), HOME="/proc")
    assert status == 0
    assert called == [
        ["cccr-web", "demo", "--no-onion", "--state", str(tmp_path), "--state", str(tmp_path)]
    ]


@pytest.mark.parametrize("environment", [{}, {"HOME": "/proc"}, {"XDG_STATE_HOME": "/proc"}])
def test_without_an_onion_no_home_is_needed(scripts: Path, environment: dict[str, str]) -> None:
    """There is no key to keep. Whoever tries the site learns how to edit it."""
    status, _, explained, called = call_try(scripts, "--no-onion", **environment)
    assert (status, called) == (0, [["cccr-web", "demo", "--no-onion"]])
    assert explained.endswith(", run: deploy/cccr-web preview --open\n")


@pytest.mark.parametrize(
    ("setting", "state"),
    [
        (None, "home/.local/state"),
        ("", "home/.local/state"),
        ("not/absolute", "home/.local/state"),
        ("{}/kept", "kept"),
    ],
)
def test_the_key_is_kept_in_the_users_folder_for_state(
    scripts: Path, tmp_path: Path, setting: str | None, state: str
) -> None:
    """The folder is that of the XDG Base Directory Specification."""
    environment = {"HOME": str(tmp_path / "home")}
    if setting is not None:
        environment["XDG_STATE_HOME"] = setting.format(tmp_path)
    *_, called = call_try(scripts, **environment)
    assert called[-1] == ["cccr-web", "demo", "--state", str(tmp_path / state / "cccr-web")]


def test_an_address_is_printed_only_once_it_answers(scripts: Path, folder: Path) -> None:
    """While the server starts slowly, or if its port is taken, nothing is printed."""
    (scripts / "cccr-web").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cccr_web "$@"\n')
    # The server's process begins through this program.
    slow = folder / "setpriv"
    real = shutil.which("setpriv")
    slow.write_text(f'#!/bin/sh\ntouch {folder}/begun; sleep 1\nexec {real} "$@"\n')
    slow.chmod(0o755)
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}/"
    options = ("--no-onion", "--port", str(port), "--state")
    with subprocess.Popen(
        [scripts / "try.sh", *options, folder / "state"],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(TOP)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"clearnet {address}\n"
            with urlopen(address) as page:
                assert page.status == 200
            other = str(folder / "other")
            status, printed, explained, _ = call_try(scripts, *options, other, PYTHONPATH=str(TOP))
            assert (status, printed) == (1, ""), explained
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(20) == 0
    assert (folder / "begun").exists()


def test_try_serves_the_clearnet_without_a_tor_network(folder: Path, no_network: Path) -> None:
    """Without a connection to Tor the clearnet is served, and stderr reports the problem.

    The onion's address, which nobody can reach, is not printed.
    """
    command = [sys.executable, "-c", IMPATIENT_DEMO, "demo", "--port", "0"]
    with subprocess.Popen(
        [*command, "--state", str(folder / "state"), "--torrc", str(no_network)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        address_in_next_line(process, "clearnet")
        assert process.stderr is not None
        assert any("Trying again." in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.read() == ""
        assert process.wait(20) == 0
