"""The settings of ``deploy.sh``: read, never executed, and refused all together."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.deploy.machine import TOP

SCRIPT = TOP / "deploy/deploy.sh"


def refused(settings: str, folder: Path) -> str:
    """Return what ``deploy.sh`` says of these settings before it does anything."""
    file = folder / "site.env"
    file.write_text(settings)
    words = [str(SCRIPT), "--settings", str(file), "--local", "status"]
    done = subprocess.run(words, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    return done.stderr


def test_example_names_every_setting(tmp_path: Path) -> None:
    """The example has each setting that there is, each under a comment, and no other."""
    example = (TOP / "deploy/site.env.example").read_text()
    names = re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)
    assert len(re.findall(r"^# .*\n[A-Z_]+=", example, re.MULTILINE)) == len(names)
    said = refused("NO_SUCH=1\n", tmp_path)
    assert sorted(names) == sorted(re.findall(r"[A-Z_]{3,}", said.split("there are ")[1]))


def test_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    """Every wrong value is named, and nothing in a value is executed."""
    trap = tmp_path / "trap"
    settings = f"DOMAIN=$(touch {trap})\nCONTACT=nobody\nREBOOT_AT=25:00\nKEEP_RELEASES=0\nwhat\n"
    said = refused(settings, tmp_path)
    for name in ("DOMAIN", "CONTACT", "REBOOT_AT", "KEEP_RELEASES", "site.env:5"):
        assert name in said
    assert not trap.exists()


def test_wrong_use_is_told() -> None:
    """A wrong command line exits 2 with one sentence and the way to the help."""
    for words in (["fly"], ["release"], ["--no-such"], ["status", "more"], ["--settings", "/none"]):
        done = subprocess.run([SCRIPT, *words], text=True, capture_output=True, check=False)
        assert done.returncode == 2, words
        assert done.stderr.endswith("deploy/deploy.sh --help tells how it is used.\n")
    told = subprocess.run([SCRIPT, "--help"], text=True, capture_output=True, check=True)
    assert "rollback" in told.stdout
    assert "set -euo" not in told.stdout
