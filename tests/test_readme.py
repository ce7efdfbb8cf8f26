"""Every command of the README does what it says there, in the order in which it stands there."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.hosting import short_folder

from cccr_web.onion import ManagedTor

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
PASSPHRASE = "a passphrase for the tests"


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Desk:
    """A folder as an admin has it: the checkout's command, its texts, and what was made so far."""

    folder: Path
    port: int
    control: str
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def words(self, command: str) -> str:
        """Return the command with what differs on every machine put in."""
        address = ""
        if (self.folder / "onion.key").exists():
            address = self.run("deploy/cccr-web onion key show onion.key").strip()
        return (
            command.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
            .replace("/run/cccr/onion.sock", str(self.folder / "onion.sock"))
            .replace("ADDRESS.onion", f"{address} --control {self.control}")
            .replace("onion publish", f"onion publish --control {self.control}")
            .replace(" doctor", f" doctor --control {self.control}")
        )

    def run(self, command: str, *, status: int = 0) -> str:
        """Run it to its end in a terminal, where it is given the passphrase that it asks for."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvp("sh", ["sh", "-c", command])  # noqa: S606  # in a terminal of its own
        shown, answered = b"", 0
        with os.fdopen(terminal, "r+b", buffering=0) as screen:
            while select.select([screen], [], [], 60)[0]:
                try:
                    shown += screen.read(4096)
                except OSError:  # it has ended
                    break
                if shown.count(b": ") > answered and shown.endswith(b": "):
                    answered = shown.count(b": ")
                    screen.write(f"{PASSPHRASE}\n".encode())
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status, shown.decode()
        return shown.decode()

    def start(self, command: str, stream: str, beginning: str) -> None:
        """Start it, and wait until a line of ``stream`` begins as it should."""
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", f"exec {command}"],
            cwd=self.folder,
            text=True,
            **{stream: subprocess.PIPE},  # type: ignore[call-overload]  # stdout or stderr
        )
        self.running.append(process)
        assert any(line.startswith(beginning) for line in getattr(process, stream))

    def end(self) -> None:
        """End all that was started, as Ctrl-C does."""
        for process in self.running:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self.running.clear()


@pytest.fixture
def desk(offline_tor: ManagedTor) -> Iterator[Desk]:
    """An admin's folder with the texts, and a command that is the one of this environment."""
    with short_folder() as folder:
        shutil.copytree(TOP / "translations", folder / "translations")
        command = folder / "deploy" / "cccr-web"
        command.parent.mkdir()
        command.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={TOP} SOURCE_DATE_EPOCH={int(time.time())}\n"
            f'exec {sys.executable} -c "from cccr_web import config; from pathlib import Path; '
            f"config.PACKAGE = Path('{folder}/cccr_web'); "
            'from cccr_web.cli import main; main()" "$@"\n'
        )
        command.chmod(0o755)
        (folder / "offline").write_text("DisableNetwork 1\n")
        (folder / "templates").symlink_to(TOP / "templates")
        made = Desk(folder, free_port(), offline_tor.control.text)
        yield made
        made.end()


def name_the_key(desk: Desk) -> None:
    """Do what the README tells in words: write the key into ``site.toml``, and build again."""
    key = (desk.folder / "organisation.pub").read_text().splitlines()[1]
    site = desk.folder / "translations" / "site.toml"
    site.write_text(site.read_text().replace('public_key = ""', f'public_key = "{key}"'))
    desk.run("deploy/cccr-web build --out release")


def deployed_in_tests(command: str) -> bool:
    """Tell whether the tests on a real server run this command of ``deploy.sh`` as it is."""
    sources = "".join(path.read_text() for path in (TOP / "tests" / "deploy").glob("*.py"))
    runs = re.findall(r"(?:desk\.deploy\(|deploy/deploy\.sh\"?,)([^()]*)", sources)
    words = [word for word in command.split()[1:] if "@" not in word]
    own = [word for word in words if word.startswith("--") or word in DEPLOY_COMMANDS]
    return any(all(f'"{word}"' in run for word in own) for run in runs)


# Those that its own help tells of.
DEPLOY_COMMANDS = re.findall(
    r"^#   ([a-z]+) +", (TOP / "deploy" / "deploy.sh").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_command(desk: Desk) -> None:
    """One after the other they work, each on what the ones before have made."""
    for command in COMMANDS:
        words = desk.words(command)
        if "deploy/deploy.sh" in command:
            assert deployed_in_tests(command), "tests/deploy runs it, on a server"
        elif command == "./deploy/try.sh":
            assert (TOP / command).stat().st_mode & 0o111, "tests/test_try.py runs it"
        elif command == "./tests/run.sh":
            assert "exec tests/run.sh" in (TOP / ".ci" / "run").read_text()
        elif " serve " in command:
            desk.start(words, "stdout", "clearnet http://127.0.0.1:")
        elif " onion publish " in command:
            desk.start(words, "stderr", "tor ")
        elif " doctor " in command:
            # The onion that is looked for has never been published.
            shown = desk.run(f"{words} --torrc offline --time-limit 2", status=1)
            assert re.search(r"ok +release .*WRONG +tor .* wrong: ", shown, re.DOTALL)
        elif " onion status " in command:
            assert json.loads(desk.run(words, status=1))["published"] is False
        else:
            desk.run(words)
        if " key show organisation" in command:
            name_the_key(desk)
    desk.end()
    assert (desk.folder / "mirror" / "site" / "SHA256SUMS.minisig").is_file()


def test_commands_are_many() -> None:
    """The commands are found in the README at all."""
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tests|deploy)/[\w./-]+)`", README))))
def test_files_that_the_readme_names(path: str) -> None:
    """Every script and folder that the README names is there."""
    assert (TOP / path).exists()
