"""Runs ``cccr-web`` in this process, and the published script as a reader does.

``conftest.py`` loads this module as a plugin.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import sleep

import minisign
import pytest
from click.testing import CliRunner, Result

from cccr_web.cli import main
from support.serving import environment
from support.signed import organisation_key, organisation_key_file

# For a short run of Java: only the quick compiler, and no threads to collect garbage. It halves the
# CPU time.
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
# The interpreter outside any virtual environment; with -I -S it finds no installed package.
PYTHON = Path(sys.base_prefix) / "bin" / "python3"
PASSPHRASE = "six words that nobody else knows"


def run(*arguments: object, typed: str = "", **settings: str) -> Result:
    """Run a command with these settings, and no others, in its environment."""
    unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CCCR_")}
    return CliRunner().invoke(
        main, [str(each) for each in arguments], input=typed, env=unset | settings
    )


def failure(*arguments: str | Path, **settings: str) -> str:
    """Return what a command that fails says; it must end soon, exit 1 and print no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "cccr_web", *map(str, arguments)],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def run_script(
    script: Path, *arguments: str | Path, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Python script with the standard library alone; warnings are errors."""
    return subprocess.run(
        [PYTHON, "-I", "-S", "-W", "error", script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        cwd=cwd,
    )


@pytest.fixture
def today() -> date:
    """Today in UTC, which does not end during the test: shortly before midnight it waits."""
    now = datetime.now(UTC)
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time.min, UTC)
    if tomorrow - now < timedelta(minutes=1):
        sleep((tomorrow - now).total_seconds())
    return datetime.now(UTC).date()


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The organisation's key file; its passphrase and public key are next to it."""
    folder = tmp_path_factory.mktemp("key")
    (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
    secret = minisign.SecretKey.from_bytes(organisation_key_file())
    # As ours, but a guess costs milliseconds: most tests of the command line use this file.
    secret.encrypt(PASSPHRASE, opslimit=2**15, memlimit=2**24)
    (folder / "cccr.key").write_bytes(bytes(secret))
    (folder / "cccr.pub").write_bytes(organisation_key().public.to_file())
    return folder / "cccr.key"
