"""The documents tell the truth: their commands work, their links and paths lead somewhere."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from support import TOP
from support.documents import DOCUMENTS, Document
from support.hosting import short_folder
from support.packages import PACKAGES
from support.texts import copy_texts
from support.tornet import free_ports

from cccr_web import __version__
from cccr_web.cli import main

if TYPE_CHECKING:
    from cccr_web.onion import ManagedTor

README, TRANSLATIONS, DEPLOY, ARCHITECTURE, _, _, _, CHANGELOG = DOCUMENTS
PASSPHRASE = "a passphrase for the tests"

# Paths that the documents name and that only a command or a person makes.
MADE = {
    ".cache/",
    ".cache/venv",
    ".well-known/security.txt",
    "deploy/site.env",
    "mirror/headers",
    "mirror/redirects",
    "mirror/site",
    "release/",
    "shots/",
    "translations/files/",
    "translations/photos/",
}

# Third-party programs with options that a code span names.
FOREIGN = ("sha256sum ",)


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
        return (
            command.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
            .replace("/run/cccr/onion.sock", str(self.path / "onion.sock"))
            .replace("ADDRESS.onion", f"{address} --control {self.control}")
            .replace("onion publish", f"onion publish --control {self.control}")
            .replace(" doctor", f" doctor --control {self.control}")
        )

    def run(self, command: str, *, status: int = 0) -> str:
        """Run it in a terminal, and enter the passphrase when it asks."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.path)
            os.execvp("sh", ["sh", "-c", command])  # noqa: S606  # in a new terminal
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

    def edit_site(self, old: str, new: str) -> None:
        """Change a line of ``site.toml``, as the manual tells an admin to do."""
        file = self.path / "translations" / "site.toml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")


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


def write_onion_address(admin_folder: AdminFolder) -> None:
    """Write the onion's address into ``site.toml``."""
    address = admin_folder.run("deploy/cccr-web onion key show onion.key").strip()
    admin_folder.edit_site("onions = []", f'onions = ["{address}"]')


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
    "deploy/cccr-web onion key show onion.key": write_onion_address,
}


# Rules: how a command is tested. The first that matches is used.


def is_tested(script: str, test: str) -> None:
    """Assert that the script can be run, and that a test or CI runs it."""
    assert (TOP / script).stat().st_mode & 0o111, script
    assert script.rpartition("/")[2] in (TOP / test).read_text(encoding="utf-8"), test


def try_site(_admin_folder: AdminFolder, _command: str) -> None:
    """``tests/test_try.py`` runs it."""
    is_tested("deploy/try.sh", "tests/test_try.py")


def run_tests(_admin_folder: AdminFolder, command: str) -> None:
    """CI runs it; pytest finds the tests that the arguments name."""
    is_tested("tests/run.sh", ".ci/run")
    arguments = shlex.split(command)[1:]
    if arguments == ["--quick"]:
        assert '"--quick"' in (TOP / "tests" / "test_plan.py").read_text(encoding="utf-8")
    elif arguments:
        collect(arguments)


def call_pytest(_admin_folder: AdminFolder, command: str) -> None:
    """Pytest finds the tests that the command names."""
    collect(shlex.split(command)[3:])


def collect(arguments: list[str]) -> None:
    """Assert that pytest finds a test for these arguments."""
    quiet = ["-q", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *quiet, *arguments],
        cwd=TOP,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def lint(_admin_folder: AdminFolder, command: str) -> None:
    """``tests/run.sh`` runs each check that it names."""
    assert {*shlex.split(command)[1:]} <= {hook["entry"].split()[1] for hook in hooks()}


def take_shots(_admin_folder: AdminFolder, _command: str) -> None:
    """Two tests compare every page with what it stores, and name it when they fail."""
    for name in ("test_looks.py", "test_trees.py"):
        is_tested("tests/shots.sh", f"tests/browser/{name}")


def show_deploy_help(_admin_folder: AdminFolder, _command: str) -> None:
    """It exits 0."""
    subprocess.run([TOP / "deploy" / "deploy.sh", "--help"], check=True, capture_output=True)


def deploy(_admin_folder: AdminFolder, command: str) -> None:
    """The tests on a booted Debian run the same command with the same options."""
    folders = (TOP / "tests" / "deploy", TOP / "tests" / "support" / "deploy")
    sources = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    calls = re.findall(r"(?:\.deploy\(|side\.run\(|deploy/deploy\.sh\"?,)([^()]*)", sources)
    own = [
        argument
        for argument in command.split()[1:]
        if argument.startswith("--") or argument in DEPLOY_COMMANDS
    ]
    assert any(all(f'"{name}"' in call for name in own) for call in calls), command


def run_on_server(_admin_folder: AdminFolder, command: str) -> None:
    """``tests/deploy/test_manual.py`` runs every such command of the manual on a booted Debian."""
    assert command in DEPLOY.commands
    assert "ssh root@server.example" in (TOP / "tests/deploy/test_manual.py").read_text()


def tag(admin_folder: AdminFolder, command: str) -> None:
    """It works in a repository with a signing key."""
    if not (admin_folder.path / ".git").exists():
        make_repository(admin_folder)
    admin_folder.run(command)


def serve(admin_folder: AdminFolder, command: str) -> None:
    """It says where it listens."""
    admin_folder.start(command, "stdout", "clearnet http://127.0.0.1:")


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


def run(admin_folder: AdminFolder, command: str) -> None:
    """It exits 0."""
    admin_folder.run(command)


RULES: list[tuple[str, Callable[[AdminFolder, str], None]]] = [
    (r"\./deploy/try\.sh", try_site),
    (r"(\./)?tests/run\.sh( .*)?", run_tests),
    (r"\.cache/venv/bin/python -m pytest .*", call_pytest),
    (r"tests/lint\.sh( .*)?", lint),
    (r"tests/shots\.sh --store", take_shots),
    (r"deploy/deploy\.sh --help", show_deploy_help),
    (r"deploy/deploy\.sh .*", deploy),
    (r"ssh root@server\.example .*", run_on_server),
    (r"git tag .*", tag),
    (r"deploy/cccr-web serve .*", serve),
    (r"deploy/cccr-web onion publish .*", publish),
    (r"deploy/cccr-web onion status .*", status),
    (r"deploy/cccr-web doctor .*", doctor),
    (r"(deploy/cccr-web|minisign|mkdir) .*", run),
]

# The commands that its own help lists.
DEPLOY_COMMANDS = re.findall(
    r"^#   ([a-z]+) +", (TOP / "deploy" / "deploy.sh").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_command_works(admin_folder: AdminFolder) -> None:
    """Every command of every document works, on what the commands before it made."""
    for document in DOCUMENTS:
        for command in document.commands:
            rule = next((rule for form, rule in RULES if re.fullmatch(form, command)), None)
            assert rule is not None, f"{document.name}: no rule covers “{command}”"
            rule(admin_folder, admin_folder.localise(command))
            if command in AFTERWARDS:
                AFTERWARDS[command](admin_folder)
    admin_folder.end()
    assert (admin_folder.path / "mirror" / "site" / "SHA256SUMS.minisig").is_file()


def test_every_rule_is_used() -> None:
    """Each rule covers a command of the documents, so the reader of documents finds them."""
    commands = [command for document in DOCUMENTS for command in document.commands]
    for form, _ in RULES:
        assert any(re.fullmatch(form, command) for command in commands), form
    assert AFTERWARDS.keys() <= {*commands}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_resolves(document: Document) -> None:
    """Every link leads to a file of the tree and a heading in it, or to https."""
    for link in document.links:
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        path = (document.path.parent / name).resolve() if name else document.path
        assert path.exists(), f"{document.name}: {link}"
        if anchor:
            target = Document(str(path.relative_to(TOP)))
            assert anchor in target.anchors, f"{document.name}: {link}"


@pytest.mark.parametrize("document", DOCUMENTS[:-1], ids=lambda document: document.name)
def test_every_path_exists(document: Document) -> None:
    """Every path in a code span exists, from the top, the document's folder or a language's."""
    bases = (TOP, document.path.parent, TOP / "translations" / "en")
    for span in document.spans:
        if re.fullmatch(r"[\w.][\w.-]*/[\w./-]*", span) and span not in MADE:
            assert any((base / span).exists() for base in bases), f"{document.name}: {span}"


def options_of(command: click.Command) -> set[str]:
    """Return every option of a command and of the commands below it."""
    found = {name for parameter in command.params for name in parameter.opts}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= options_of(below)
    return found


@pytest.mark.parametrize("document", DOCUMENTS[:-1], ids=lambda document: document.name)
def test_every_option_exists(document: Document) -> None:
    """Every option in a code span is one of a command, a script or the tests."""
    scripts = ("deploy/deploy.sh", "tests/run.sh", "tests/conftest.py")
    sources = "".join((TOP / name).read_text(encoding="utf-8") for name in scripts)
    known = options_of(main) | {*re.findall(r"--[a-z][a-z-]+", sources)}
    for span in document.spans:
        if not span.startswith(FOREIGN):
            options = {*re.findall(r"(?<!\S)--[a-z][a-z-]+", span)}
            assert options <= known, f"{document.name}: {span}"


@pytest.mark.parametrize("document", DOCUMENTS[:-1], ids=lambda document: document.name)
def test_every_command_name_exists(document: Document) -> None:
    """Every ``cccr-web`` command in a code span exists."""
    for span in document.spans:
        found: click.Command | None = main
        for names in re.findall(r"^cccr-web((?: [a-z-]+)+)$", span):
            for name in names.split():
                assert isinstance(found, click.Group), f"{document.name}: {span}"
                found = found.get_command(click.Context(found), name)
                assert found is not None, f"{document.name}: {span}"


def test_readme_is_short() -> None:
    """The README has at most 120 lines."""
    assert len(README.text.splitlines()) <= 120


def test_readme_lists_every_dependency() -> None:
    """The table of dependencies names the packages of ``pyproject.toml`` and npm, and no other."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    npm = json.loads((TOP / "tests/browser/package.json").read_text(encoding="utf-8"))
    needed = {re.split(r"[><=]", name)[0] for names in lists for name in names}
    expected = needed | {*npm["devDependencies"]}
    named = [name for row in README.rows("Dependencies") for name in row[0].split(", ")]
    assert sorted(named) == sorted(expected)


def test_manual_lists_every_setting() -> None:
    """The table of settings names those of ``site.env.example``, and no other."""
    example = (TOP / "deploy" / "site.env.example").read_text(encoding="utf-8")
    named = re.findall(r"`([A-Z_]+)`", "".join(row[0] for row in DEPLOY.rows("Install")))
    assert sorted(named) == sorted(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


def test_architecture_document_agrees_with_its_test() -> None:
    """The table of packages says what ``test_architecture.py`` enforces."""
    named = {
        row[0].strip("`").removesuffix("/").removesuffix(".py"): row[2]
        for row in ARCHITECTURE.rows("Packages")
    }
    hidden = {"version", "__main__"}
    assert named.keys() == PACKAGES.keys() - hidden
    for package, imports in named.items():
        if imports != "every package":
            expected = ", ".join(sorted(PACKAGES[package] - hidden)) or "nothing"
            assert imports == expected, package
    assert named["cli"] == "every package"


def test_changelog_names_the_version() -> None:
    """The newest dated section of the changelog is this version; a section for the next is open."""
    sections = re.findall(r"^## \[([^\]]+)\](?: - (.+))?$", CHANGELOG.text, re.MULTILINE)
    assert sections[0] == ("Unreleased", "")
    assert sections[1][0] == __version__
    dates = [date.fromisoformat(day) for _, day in sections[1:]]
    assert dates == sorted(dates, reverse=True)


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
