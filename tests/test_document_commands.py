"""The commands of the documents work.

Every command of every document is run here, except that ``ssh root@server.example …`` needs the
server that ``tests/deploy`` boots. Scripts that take long are run with recorders in place of the
programs that they start (``support/dry_run.py``), and those programs' own parsers accept what was
recorded. ``deploy.sh`` is run with a server that only writes down what it gets.
"""

from __future__ import annotations

import ast
import functools
import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from support import TOP
from support.deploy.scripts import AdminSide
from support.documents import DOCUMENTS, Document
from support.dry_run import DryRun
from support.hosting import short_folder, wait_until
from support.photographs import photo
from support.signed import organisation_key, organisation_key_file
from support.texts import copy_texts, texts_with_key
from support.tornet import free_ports
from support.word import VIGIL

from cccr_web.cli import main

if TYPE_CHECKING:
    from cccr_web.onion import ManagedTor

_, _, DEPLOY, _, _, TESTS, _, _, _ = DOCUMENTS
PASSPHRASE = "a passphrase for the tests"
ONE_SERVER = "SERVER=root@server.example\nPUBLIC_KEY=../organisation.pub\n"


@dataclass
class AdminFolder:
    """An admin's folder: the command, the texts, and what earlier commands made."""

    path: Path
    port: int
    control: str
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def localise(self, command: str) -> str:
        """Return the command with this machine's port, socket, tor and onion address."""
        address = ""
        if (self.path / "onion.key").exists():
            address = self.run("deploy/cccr-web onion key show onion.key").strip()
        if "NEXT.onion" in command:
            command = command.replace("NEXT.onion", self.next_onion)
        return (
            command.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
            .replace("/run/cccr/onion.sock", str(self.path / "onion.sock"))
            .replace("ADDRESS.onion", f"{address} --control {self.control}")
            .replace("onion publish", f"onion publish --control {self.control}")
            .replace(" doctor", f" doctor --control {self.control}")
        )

    def run(self, command: str, *, status: int = 0) -> str:
        """Run it in a terminal, and enter the passphrase when it asks."""
        return run_in_terminal(command, self.path, os.environ, status)

    @functools.cached_property
    def next_onion(self) -> str:
        """The onion of the key that is made after a server was seized."""
        return self.run("deploy/cccr-web onion key show next-onion.key").strip()

    @functools.cached_property
    def side(self) -> AdminSide:
        """A checkout with ``deploy.sh``, and a server that writes down what it gets, and from whom.

        Nothing is downloaded: the wheels are empty.
        """
        (self.path / "side").mkdir()
        side = AdminSide(self.path / "side")
        side.ssh(f'echo "$1" >>{side.folder}/hosts; PATH=/usr/sbin:/usr/bin:/bin exec sh -c "$2"')
        with (side.folder / "deploy/server/wheels.sh").open("a") as wheels:
            wheels.write('wheels_build() { mkdir -p "$2/wheels"; }\nwheels_fetch() { :; }\n')
        return side

    @functools.cached_property
    def dry_run(self) -> DryRun:
        """The scripts of ``tests/``, with recorders in place of what they start."""
        return DryRun(self.path / "dry")

    def start(self, command: str, stream: str, beginning: str) -> None:
        """Start it, and wait for a line of ``stream`` that starts with ``beginning``."""
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", f"exec {command}"],
            cwd=self.path,
            text=True,
            **{stream: subprocess.PIPE},  # type: ignore[call-overload]  # stdout or stderr
        )
        self.running.append(process)
        limit = threading.Timer(60, process.kill)
        limit.start()
        assert any(line.startswith(beginning) for line in getattr(process, stream))
        limit.cancel()

    def end(self) -> None:
        """Stop everything that was started, as Ctrl-C does."""
        for process in self.running:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self.running.clear()
        if "side" in vars(self):
            agent = ["gpgconf", "--kill", "gpg-agent"]
            subprocess.run(agent, env=self.side.environment(), check=True)

    def edit_site(self, old: str, new: str) -> None:
        """Change a line of ``site.toml``, as the manual tells an admin to do."""
        file = self.path / "translations" / "site.toml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")


def run_in_terminal(
    command: str, folder: Path, environment: Mapping[str, str], status: int = 0
) -> str:
    """Run it in a terminal, and enter the passphrase when it asks; return what was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("sh", ["sh", "-c", command], environment)  # noqa: S606  # in a new terminal
    shown, answered = b"", 0
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        while select.select([screen], [], [], 60)[0]:
            try:
                shown += screen.read(4096)
            except OSError:  # it has ended
                break
            if shown.count(b": ") > answered and shown.endswith(b": "):
                answered = shown.count(b": ")
                # gpg drops what was typed before it switched the echo off.
                wait_until(lambda: not termios.tcgetattr(screen)[3] & termios.ECHO, 60)
                screen.write(f"{PASSPHRASE}\n".encode())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status, shown.decode()
    return shown.decode()


@pytest.fixture
def admin_folder(offline_tor: ManagedTor) -> Iterator[AdminFolder]:
    """An admin's folder with the texts, and a command that runs this environment's code."""
    with short_folder() as folder:
        copy_texts(folder)
        command = folder / "deploy" / "cccr-web"
        command.parent.mkdir()
        path = shlex.quote(str(TOP))
        command.write_text(
            f"#!/bin/sh\nexport PYTHONPATH={path} SOURCE_DATE_EPOCH={int(time.time())}\n"
            f'exec {shlex.quote(sys.executable)} -c "from cccr_web import config; '
            f"from pathlib import Path; config.PACKAGE = Path('{folder}/cccr_web'); "
            'from cccr_web.cli import main; main()" "$@"\n'
        )
        command.chmod(0o755)
        (folder / "offline").write_text("DisableNetwork 1\n")
        (folder / "bridges.txt").write_text("192.0.2.7:443\n")
        (folder / "templates").symlink_to(TOP / "templates")
        (port,) = free_ports(1)
        made = AdminFolder(folder, port, str(offline_tor.control))
        yield made
        made.end()


# What the manual tells an admin to do after a command.


def write_public_key(admin_folder: AdminFolder) -> None:
    """Write the signing key into ``site.toml``."""
    key = (admin_folder.path / "organisation.pub").read_text().splitlines()[1]
    admin_folder.edit_site('public_key = ""', f'public_key = "{key}"')


def raise_sequence(admin_folder: AdminFolder) -> None:
    """Let the next release follow the one that was recorded."""
    admin_folder.edit_site("sequence = 1\n", "sequence = 2\n")


def type_paper(admin_folder: AdminFolder) -> None:
    """Type the lines of the printed page."""
    page = (admin_folder.path / "organisation.html").read_text(encoding="utf-8")
    lines = page.partition("<pre style")[2].partition(">")[2].partition("<")[0]
    (admin_folder.path / "typed.txt").write_text(lines, encoding="utf-8")


def write_next_key(admin_folder: AdminFolder) -> None:
    """Write the next signing key into ``site.toml``."""
    keys = [
        (admin_folder.path / f"{name}.pub").read_text().splitlines()[1]
        for name in ("organisation", "next")
    ]
    admin_folder.edit_site(*keys)


def write_onion_address(admin_folder: AdminFolder) -> None:
    """Write the onion's address into ``site.toml``."""
    address = admin_folder.run("deploy/cccr-web onion key show onion.key").strip()
    admin_folder.edit_site("onions = []", f'onions = ["{address}"]')


def write_next_onion(admin_folder: AdminFolder) -> None:
    """Write the address of the next onion into ``site.toml``, and raise the sequence."""
    before = admin_folder.run("deploy/cccr-web onion key show onion.key").strip()
    admin_folder.edit_site(before, admin_folder.next_onion)
    site = (admin_folder.path / "translations/site.toml").read_text(encoding="utf-8")
    found = re.search(r"^sequence = (\d+)$", site, re.MULTILINE)
    assert found is not None
    admin_folder.edit_site(found[0], f"sequence = {int(found[1]) + 1}")


def make_release_with_next_onion(admin_folder: AdminFolder) -> None:
    """Make a release that announces the next onion, in its facts and in ``mirrors.txt``."""
    admin_folder.run("deploy/cccr-web build --out next-release")
    admin_folder.run("deploy/cccr-web sign next-release --key organisation.key")
    admin_folder.run("deploy/cccr-web verify next-release --public-key organisation.pub")
    for name in ("RELEASE.json", "mirrors.txt"):
        text = (admin_folder.path / "next-release" / name).read_text(encoding="utf-8")
        assert admin_folder.next_onion in text, name


def make_repository(admin_folder: AdminFolder) -> None:
    """Make a git repository with a key that signs tags."""
    admin_folder.run("ssh-keygen -q -t ed25519 -N '' -f id && echo \"a@b $(cat id.pub)\" >allowed")
    settings = {
        "user.name": "A",
        "user.email": "a@b",
        "gpg.format": "ssh",
        "user.signingkey": "id",
        "gpg.ssh.allowedSignersFile": "allowed",
    }
    sets = [f"git config {name} {value}" for name, value in settings.items()]
    commit = "git commit --quiet --allow-empty --no-gpg-sign --message first"
    admin_folder.run(" && ".join(["git init --quiet", *sets, commit]))


AFTERWARDS: dict[str, Callable[[AdminFolder], None]] = {
    "deploy/cccr-web key show organisation.pub": write_public_key,
    "deploy/cccr-web key show next.pub": write_next_key,
    "deploy/cccr-web key paper organisation.key --out organisation.html": type_paper,
    "deploy/cccr-web history record release --out translations/files/releases.txt": raise_sequence,
    "deploy/cccr-web onion key show onion.key": write_onion_address,
    "deploy/cccr-web onion key show next-onion.key": write_next_onion,
    "deploy/cccr-web mirrors --key organisation.key --out translations/files/mirrors.txt "
    "https://cccr.example http://NEXT.onion": make_release_with_next_onion,
}


# Rules: how a command is tested. The first that matches is used.


def try_site(admin_folder: AdminFolder, command: str) -> None:
    """It passes its options to ``demo``, which accepts them; ``test_try.py`` really starts it."""
    folder = admin_folder.path / "try"
    shutil.copytree(TOP / "deploy", folder / "deploy", dirs_exist_ok=True)
    (folder / "deploy/cccr-web").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{folder}/called\n')
    (folder / "deploy/apt.sh").write_text("#!/bin/sh\n")
    home = {"HOME": str(folder), "XDG_STATE_HOME": ""}
    subprocess.run(["sh", "-c", command], cwd=folder, env=os.environ | home, check=True)
    name, *options = (folder / "called").read_text().splitlines()
    given = shlex.split(command)[1:]
    assert (name, options[: len(given)]) == ("demo", given)
    demo = main.get_command(click.Context(main), "demo")
    assert demo is not None
    demo.make_context("demo", options)


def run_script(admin_folder: AdminFolder, command: str) -> None:
    """The script starts programs with its arguments, and the programs accept them."""
    script, *given = shlex.split(command)
    calls = [call for call in admin_folder.dry_run.calls(command) if call[0] == "python"]
    assert calls, command
    for _, *arguments in calls:
        if arguments[:2] == ["-m", "pytest"]:
            collect(tuple(arguments[2:]))
        elif arguments[0] != "-c":
            ask_for_help(admin_folder, arguments)
    if given == ["--other-python"]:
        given = ["-m", "not browser"]
    if script == "tests/deploy/run.sh":
        given = given[1:]  # the Debian, which it checks itself
    for argument in given:
        assert any(argument in call for call in calls), f"{script} ignores {argument}"


def ask_for_help(admin_folder: AdminFolder, arguments: list[str]) -> None:
    """Assert that a program accepts the values and knows the options that it was started with."""
    tree = str(admin_folder.dry_run.folder)
    own = [argument.replace(f"{tree}/tests", str(TOP / "tests")) for argument in arguments]
    done = subprocess.run(
        [sys.executable, *own, "--help"], cwd=TOP, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().startswith("usage: "), f"{own} does its work in spite of --help"
    assert {each for each in own if each.startswith("--")} <= {
        *re.findall(r"--[\w-]+", done.stdout)
    }


def call_python(admin_folder: AdminFolder, command: str) -> None:
    """Pytest finds the tests that the command names; another program accepts its arguments."""
    arguments = shlex.split(command)[1:]
    if arguments[:2] == ["-m", "pytest"]:
        collect(tuple(arguments[2:]))
    else:
        ask_for_help(admin_folder, arguments)


@functools.cache
def collect(arguments: tuple[str, ...]) -> None:
    """Assert that pytest finds a test for these arguments; without a path, in one small module."""
    named = any(argument.startswith("tests/") for argument in arguments)
    paths = () if named else ("tests/test_errors.py",)
    # With --cov it would delete what the processes of this run have measured.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", *arguments, *paths, "--no-cov"],
        cwd=TOP,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# What tests/lint.sh starts for a check.
CHECKS = {
    "ruff": ["ruff", "check"],
    "format": ["ruff", "format"],
    "mypy": ["mypy"],
    "shellcheck": ["shellcheck"],
    "texts": ["cccr-web", "check"],
}


def lint(admin_folder: AdminFolder, command: str) -> None:
    """It runs the checks that it names, or all that the hooks run; the tests run it themselves."""
    named = shlex.split(command)[1:] or [hook["entry"].split()[1] for hook in hooks()]
    wanted = [CHECKS[name] for name in named]
    calls = admin_folder.dry_run.calls(command)
    assert [call[: len(each)] for call, each in zip(calls, wanted, strict=True)] == wanted


def install_hooks(_admin_folder: AdminFolder, _command: str) -> None:
    """pre-commit is not among the tests' programs; its hooks are compared with ``lint.sh``."""
    assert hooks()


def only_read(_admin_folder: AdminFolder, command: str) -> None:
    """It downloads much, so no test runs it: bash can parse it, and its usage has the arguments."""
    script, *given = shlex.split(command)
    subprocess.run(["bash", "-n", TOP / script], check=True)
    assert (TOP / script).stat().st_mode & 0o111, script
    usage = (TOP / script).read_text(encoding="utf-8").partition("set -euo")[0]
    assert {*given} <= {*re.findall(r"[\w-]+", usage)}


def mention(_admin_folder: AdminFolder, command: str) -> None:
    """A script is named, not called: it needs arguments. It can be run."""
    assert (TOP / command).stat().st_mode & 0o111, command


def show_deploy_help(_admin_folder: AdminFolder, _command: str) -> None:
    """It exits 0."""
    subprocess.run([TOP / "deploy" / "deploy.sh", "--help"], check=True, capture_output=True)


def deploy(admin_folder: AdminFolder, command: str) -> None:
    """The server gets this command. A booted Debian gets the same, from our own package index."""
    side, words = admin_folder.side, shlex.split(command)[1:]
    before, hosts = len(side.commands()), side.folder / "hosts"
    hosts.write_text("")
    run_in_terminal(command, side.folder, side.environment())
    own = {word for word in words if word.startswith("--") or word in DEPLOY_COMMANDS}
    (name,) = own.intersection(DEPLOY_COMMANDS) or {"install"}
    received = {"bundle": [], "restore": ["install"], "uninstall": ["keep", "uninstall"]}
    expected = received.get(name, [name])
    for switch in own & {"--dry-run", "--json", "--replace-onion"}:
        expected = [f"{switch} {each}" for each in expected]
    assert side.commands()[before:] == expected
    named = [word for word in words if "@" in word] or ["root@server.example"]
    over_ssh = [] if "--local" in own else named * len(expected)
    assert hosts.read_text().splitlines() == over_ssh
    # An upgrade includes an installation.
    also = {"--offline"} | ({"upgrade"} if name == "install" and "--local" in own else set())
    assert any(own <= call <= own | also for call in booted_calls()), command


@functools.cache
def booted_calls() -> list[set[str]]:
    """Return the options and commands of each call of ``deploy.sh`` in the booted tests."""
    files = [*(TOP / "tests/deploy").glob("*.py"), TOP / "tests/support/deploy/fixtures.py"]
    found = []
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            written = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
            if ast.unparse(node.func) == "admin.deploy" or any(
                str(word).endswith("deploy/deploy.sh") for word in written
            ):
                constants = {str(one.value) for one in node.args if isinstance(one, ast.Constant)}
                found.append({each for each in constants if not each.startswith(("/", "env"))})
    return found


def replace_onion(admin_folder: AdminFolder, command: str) -> None:
    """As every installation; it needs the new key."""
    admin_folder.side.settings(f"{ONE_SERVER}ONION_KEY=../organisation.pub\n")
    deploy(admin_folder, command)
    admin_folder.side.settings(ONE_SERVER)


def promote(admin_folder: AdminFolder, command: str) -> None:
    """The promoted server is asked for its name; it gets the note last."""
    side, words = admin_folder.side, shlex.split(command)
    (promoted,) = [word for word in words if "@" in word]
    side.settings(f"SERVERS=root@a.example {promoted}\nPUBLIC_KEY=RW\n")
    (side.folder / "organisation.key").touch()
    program = side.folder / "deploy/cccr-web"
    before = program.read_text()
    program.write_text('#!/bin/sh\nwhile [ "$1" != --out ]; do shift; done\ntouch "$2"\n')
    hosts = side.folder / "hosts"
    hosts.write_text("")
    run_in_terminal(command, side.folder, side.environment())
    switches = "--dead " if "--dead" in words else ""
    assert side.commands()[-3:] == [f"{switches}{each}" for each in ("peer", "promote", "promote")]
    assert hosts.read_text().splitlines() == [promoted, "root@a.example", promoted]
    side.settings(ONE_SERVER)
    program.write_text(before)
    assert {"promote", "--key"} in booted_calls()


def latest(admin_folder: AdminFolder, command: str) -> None:
    """The file is written first, and the server gets it."""
    side = admin_folder.side
    (side.folder / "organisation.key").touch()
    program = side.folder / "deploy/cccr-web"
    before = program.read_text()
    program.write_text('#!/bin/sh\necho newest >"$2/SHA256SUMS.latest"\n')
    run_in_terminal(command, side.folder, side.environment())
    assert side.commands()[-1] == "latest"
    assert side.received("SHA256SUMS.latest") == "newest\n"
    program.write_text(before)
    assert {"latest", "--key"} in booted_calls()


def run_on_server(_admin_folder: AdminFolder, command: str) -> None:
    """``tests/deploy/test_manual.py`` runs every command of this list on a booted Debian."""
    assert command in DEPLOY.commands_on_server


def tag(admin_folder: AdminFolder, command: str) -> None:
    """It works in a repository with a signing key."""
    if not (admin_folder.path / ".git").exists():
        make_repository(admin_folder)
    admin_folder.run(command)


def serve(admin_folder: AdminFolder, command: str) -> None:
    """It says where it listens."""
    admin_folder.start(command, "stdout", "clearnet http://127.0.0.1:")


def serve_published(admin_folder: AdminFolder, command: str) -> None:
    """It says where it listens, with the release that "publish" has made."""
    own = command.replace("releases/8", "publisher/releases/1")
    serve(admin_folder, f"{own} --clearnet 127.0.0.1:0")


def preview(admin_folder: AdminFolder, command: str) -> None:
    """It says where it listens; no browser is opened."""
    admin_folder.start(
        f"{command.replace(' --open', '')} --port 0", "stdout", "preview http://127."
    )


def publish(admin_folder: AdminFolder, command: str) -> None:
    """It finds tor, which has no network."""
    admin_folder.start(command, "stderr", "Tor is at ")


def status(admin_folder: AdminFolder, command: str) -> None:
    """It reports that the onion is not published, as tor has no network."""
    assert json.loads(admin_folder.run(command, status=1))["published"] is False


def doctor(admin_folder: AdminFolder, command: str) -> None:
    """It finds the release in order, and reports an onion that was never published."""
    shown = admin_folder.run(f"{command} --torrc offline --time-limit 2", status=1)
    assert re.search(r"ok +release .*WRONG +tor .* wrong: ", shown, re.DOTALL)


def edit(admin_folder: AdminFolder, command: str) -> None:
    """It works on a copy of the texts: the real ones would then need an editor."""
    copy = admin_folder.path / "editor"
    if not copy.exists():
        copy_texts(copy)
        for name, body in {**VIGIL, "square.jpg": photo()}.items():
            (admin_folder.path / name).write_bytes(body)
    admin_folder.run(f"{command} --translations editor/translations")


def publish_texts(admin_folder: AdminFolder, command: str) -> None:
    """It publishes texts without placeholders, with a key, after it was told yes; twice."""
    folder = admin_folder.path / "publisher"
    if not folder.exists():
        texts_with_key(folder, organisation_key().public)
        (folder / "deploy").symlink_to(admin_folder.path / "deploy")
        (folder / "organisation.key").write_bytes(organisation_key_file())
    done = subprocess.run(
        [*shlex.split(command), "--translations", "translations"],
        cwd=folder,
        input="y\n",
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(("Next, with servers:", "Nothing was changed."))


def run(admin_folder: AdminFolder, command: str) -> None:
    """It exits 0."""
    admin_folder.run(command)


def fetch_mirror(admin_folder: AdminFolder, command: str) -> None:
    """It makes a mirror of the site that an earlier command serves."""
    site, folder = f"http://127.0.0.1:{admin_folder.port}", admin_folder.path / "volunteer"
    local = command.replace("https://cccr.example", site).replace("/srv/cccr-mirror", str(folder))
    admin_folder.run(local)
    assert (folder / "site" / "SHA256SUMS.minisig").is_file()


def push_mirror(admin_folder: AdminFolder, command: str) -> None:
    """Its targets are accepted; ``tests/mirror/test_push.py`` uploads to real servers."""
    mirror = main.get_command(click.Context(main), "mirror")
    assert isinstance(mirror, click.Group)
    given = shlex.split(command)[3:]
    mirror.commands["push"].make_context("push", [*given])
    targets = [word for word in given if ":" in word]
    without = " ".join(word for word in command.split() if word not in targets)
    admin_folder.run(without)


def keep_mirror(_admin_folder: AdminFolder, command: str) -> None:
    """Its packages are the tests' own, and ``tests/mirror`` uses what it writes."""
    subprocess.run(["sh", "-n", "-c", command], check=True)
    program, *words = shlex.split(command)
    if program == "apt-get":
        needed = (TOP / "tests/run.sh").read_text(encoding="utf-8")
        assert re.search(rf"=({words[-1]}|{words[-1]}-light)$", needed, re.MULTILINE)
    if program == "cp":
        assert all((TOP / word).is_file() for word in words[:-1])


RULES: list[tuple[str, Callable[[AdminFolder, str], None]]] = [
    (r"(\./)?deploy/try\.sh( .*)?", try_site),
    (r"(\./)?tests/(run|shots|deploy/run|(abuse|bench)/\w+)\.sh( .*)?", run_script),
    (r"\.cache/venv/bin/python .*", call_python),
    (r"tests/lint\.sh( .*)?", lint),
    (r"tests/fresh_machine\.sh( .*)?", only_read),
    (r"deploy/lock/update\.sh", only_read),
    (r"pre-commit install", install_hooks),
    (r"deploy/(cccr-web|venv\.sh)", mention),
    (r"deploy/deploy\.sh --help", show_deploy_help),
    (r"deploy/deploy\.sh promote .*", promote),
    (r"deploy/deploy\.sh latest .*", latest),
    (r"deploy/deploy\.sh --replace-onion", replace_onion),
    (r"deploy/deploy\.sh( .*)?", deploy),
    (r"ssh root@server\.example .*", run_on_server),
    (r"git tag .*", tag),
    (r"deploy/cccr-web serve --release releases/8", serve_published),
    (r"deploy/cccr-web serve .*", serve),
    (r"deploy/cccr-web preview .*", preview),
    (r"deploy/cccr-web mirror fetch .*", fetch_mirror),
    (r"deploy/cccr-web mirror push .*", push_mirror),
    (r"(apt-get|adduser|chown|cp|printf|systemctl) .*", keep_mirror),
    (r"deploy/cccr-web onion publish .*", publish),
    (r"deploy/cccr-web onion status .*", status),
    (r"deploy/cccr-web doctor .*", doctor),
    (r"deploy/cccr-web (new|import) .*", edit),
    (r"deploy/cccr-web publish .*", publish_texts),
    (r"(deploy/cccr-web|minisign|mkdir) .*", run),
]
# A code span is a command if it begins with one of these.
COMMAND = (
    r"((\./)?(deploy|tests|\.ci|\.cache)/\S*(\.sh|/run|/cccr-web|/python)( .*)?"
    r"|(pre-commit|npx) .*)"
)
# Run only by people: the scanner needs a site that is reachable as DOMAIN.
BY_HAND = {"npx @mdn/mdn-http-observatory@1.4.8 DOMAIN"}

# The commands that its own help lists.
DEPLOY_COMMANDS = re.findall(
    r"^#   ([a-z][a-z-]*) +",
    (TOP / "deploy" / "deploy.sh").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def follow_rule(admin_folder: AdminFolder, document: Document, command: str) -> None:
    """Test a command as the first rule that matches it says."""
    rule = next((rule for form, rule in RULES if re.fullmatch(form, command)), None)
    assert rule is not None, f"{document.name}: no rule covers “{command}”"
    rule(admin_folder, admin_folder.localise(command))


def test_every_command_works(admin_folder: AdminFolder) -> None:
    """Every command of every document works, on what the commands before it made."""
    for document in DOCUMENTS:
        for command in document.commands:
            follow_rule(admin_folder, document, command)
            if command in AFTERWARDS:
                AFTERWARDS[command](admin_folder)
    admin_folder.end()
    assert (admin_folder.path / "mirror" / "site" / "SHA256SUMS.minisig").is_file()


def commands_in_prose(document: Document) -> list[str]:
    """Return every code span that begins with a program that can be run, once."""
    spans = dict.fromkeys(span for span in document.spans if re.fullmatch(COMMAND, span))
    sourced = {span for span in spans if span.startswith("deploy/server/")}
    return [span for span in spans if span not in BY_HAND | sourced]


def test_every_command_in_prose_and_tables_works(admin_folder: AdminFolder) -> None:
    """A command in a code span follows the same rules; the history of changes is not run."""
    for document in DOCUMENTS[:-1]:
        for command in commands_in_prose(document):
            follow_rule(admin_folder, document, command)
    admin_folder.end()


@pytest.mark.parametrize(("heading", "column"), [("Figures", 3), ("Abuse runs", 0)])
def test_every_command_of_a_table_is_a_command(heading: str, column: int) -> None:
    """Nothing in a column of commands escapes the rules, and each figure has its date."""
    for row in TESTS.rows(heading):
        command = row[column].strip("`")
        assert f"`{command}`" == row[column]
        assert command in {*commands_in_prose(TESTS), *BY_HAND}
        if heading == "Figures":
            assert date.fromisoformat(row[2]) >= date(2026, 11, 22)


def test_every_rule_is_used() -> None:
    """Each rule covers a command of the documents, so the reader of documents finds them."""
    commands = [command for document in DOCUMENTS for command in document.commands]
    commands += [command for document in DOCUMENTS for command in commands_in_prose(document)]
    for form, _ in RULES:
        assert any(re.fullmatch(form, command) for command in commands), form
    assert AFTERWARDS.keys() <= {*commands}


def hooks() -> list[dict[str, str]]:
    """Return the hooks of ``.pre-commit-config.yaml``, read without a YAML parser."""
    text = (TOP / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.split(r"^ +- (?=id: )", text, flags=re.MULTILINE)[1:]
    return [dict(re.findall(r"^ *(\w+): (.+)$", entry, re.MULTILINE)) for entry in entries]


def test_hooks_are_the_checks_of_the_test_command() -> None:
    """The hooks run the checks of ``tests/lint.sh``, which ``tests/run.sh`` runs all together."""
    config = (TOP / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (.+)", config) == ["local"]
    assert {hook["language"] for hook in hooks()} == {"system"}
    everything = re.search(r"set -- (.+)$", (TOP / "tests/lint.sh").read_text(), re.MULTILINE)
    assert everything is not None
    assert [hook["entry"] for hook in hooks()] == [
        f"tests/lint.sh {check}" for check in everything[1].split()
    ]
    assert "tests/lint.sh\n" in (TOP / "tests/run.sh").read_text(encoding="utf-8")


def test_a_hook_that_passes_exits_0_and_an_unknown_check_2() -> None:
    """A hook's command exits 0 on this tree, and 2 for a check that does not exist."""
    for check, status in (("texts", 0), ("nothing", 2)):
        command = [str(TOP / "tests" / "lint.sh"), check]
        assert subprocess.run(command, check=False, capture_output=True).returncode == status
