"""What keeps a mirror up to date: the manual's timer, service and line for cron."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
from support import TOP
from support.documents import Document
from support.systemd import unit_faults

from cccr_web.cli import main

UNITS = TOP / "deploy" / "mirror"
COMMAND = "/opt/cccr-web/deploy/cccr-web"


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return the folder of units, changed to run a program and a user that this machine has."""
    for unit in UNITS.glob("*.*[er]"):
        text = unit.read_text(encoding="utf-8").replace(COMMAND, "/bin/true")
        (tmp_path / unit.name).write_text(
            text.replace("User=cccr-mirror", "User=daemon"), encoding="utf-8"
        )
    return tmp_path


def accepted(words: list[str]) -> None:
    """Assert that ``mirror fetch`` accepts these arguments."""
    assert words[:2] == ["mirror", "fetch"]
    group = main.get_command(click.Context(main), "mirror")
    assert isinstance(group, click.Group)
    group.commands["fetch"].make_context("fetch", words[2:])


def test_systemd_accepts_the_units(units: Path) -> None:
    """systemd finds no fault in the service and its timer."""
    files = sorted(units.iterdir())
    assert [file.suffix for file in files] == [".service", ".timer"]
    assert unit_faults(files) == []


def test_the_service_is_sandboxed(units: Path) -> None:
    """systemd rates the sandbox of the service, which reads untrusted data, as strict."""
    unit = units / "cccr-mirror.service"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_service_runs_the_command_with_its_settings() -> None:
    """The command accepts what the service passes, with the example of its settings."""
    text = (UNITS / "cccr-mirror.service").read_text(encoding="utf-8")
    (command,) = re.findall(rf"^ExecStart={COMMAND} (.*)$", text, re.MULTILINE)
    for settings in (
        *re.findall(r"^#     MIRROR=(.*)$", text, re.MULTILINE),
        *re.findall(r"'MIRROR=(.*)\\n'", Document("deploy/mirror/README.md").text),
    ):
        full = settings.replace("https://…", "https://cccr.example")
        accepted(shlex.split(command.replace("$MIRROR", full)))


def test_cron_runs_the_command() -> None:
    """The manual's line for cron has a time, a user and a command that exists."""
    manual = Document("deploy/mirror/README.md").text
    (line,) = re.findall(r"^```crontab\n(.*)\n```$", manual, re.MULTILINE)
    *times, user, command = line.split(" ", 6)
    assert all(re.fullmatch(r"[0-9]+|\*", time) for time in times)
    assert (len(times), user) == (5, "root")
    # A percent sign is a line break to cron (crontab(5)).
    assert "%" not in command
    fetch, _, after = command.partition(" >/dev/null && ")
    assert after == "systemctl reload nginx"
    program, *words = shlex.split(fetch)
    assert program == COMMAND
    accepted(words)
