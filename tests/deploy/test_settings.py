"""The settings and the command line of ``deploy.sh``."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.deploy.machine import TOP

SCRIPT = TOP / "deploy/deploy.sh"


def rejection(settings: str, folder: Path) -> str:
    """Return the message with which ``deploy.sh`` rejects these settings."""
    file = folder / "site.env"
    file.write_text(settings)
    command = [str(SCRIPT), "--settings", str(file), "--local", "status"]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_example_contains_every_setting(tmp_path: Path) -> None:
    """The example contains every setting, each below a comment, and no others."""
    example = (TOP / "deploy/site.env.example").read_text()
    names = re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)
    assert len(re.findall(r"^# .*\n[A-Z_]+=", example, re.MULTILINE)) == len(names)
    message = rejection("NO_SUCH=1\n", tmp_path)
    assert sorted(names) == sorted(re.findall(r"[A-Z_]{3,}", message.split("settings are ")[1]))


def test_all_wrong_settings_are_reported_at_once(tmp_path: Path) -> None:
    """Every wrong value is reported, and no value is executed."""
    trap = tmp_path / "trap"
    settings = f"DOMAIN=$(touch {trap})\nCONTACT=nobody\nREBOOT_AT=25:00\nKEEP_RELEASES=0\nwhat\n"
    settings += "HSTS_PRELOAD=no\n"
    message = rejection(settings, tmp_path)
    for name in ("DOMAIN", "CONTACT", "REBOOT_AT", "KEEP_RELEASES", "HSTS_PRELOAD", "site.env:5"):
        assert name in message
    assert not trap.exists()


def test_wrong_usage_exits_2_and_points_to_the_help() -> None:
    """A wrong command line exits 2 with a sentence and a pointer to --help."""
    for arguments in (
        ["fly"],
        ["release"],
        ["--no-such"],
        ["status", "more"],
        ["--settings", "/none"],
    ):
        done = subprocess.run([SCRIPT, *arguments], text=True, capture_output=True, check=False)
        assert done.returncode == 2, arguments
        assert done.stderr.endswith("See deploy/deploy.sh --help.\n")
    usage = subprocess.run([SCRIPT, "--help"], text=True, capture_output=True, check=True)
    assert "rollback" in usage.stdout
    assert "set -euo" not in usage.stdout
