"""A mirror of a small release, its rule files, and a look at it by the watcher.

Its fixtures are available to all tests: ``conftest.py`` loads this module as a plugin.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from cccr_web.mirror import write_mirror
from cccr_web.release import Release
from cccr_web.serve import Listener
from cccr_web.watch import Address, CheckSettings, Report, RequestLimits, check_sites
from support.signed import PUBLIC, signed_release

RELEASE = signed_release(2)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror of it."""
    folder = tmp_path / "mirror"
    write_mirror(RELEASE, folder)
    return folder


@pytest.fixture
def nginx_folder(tmp_path: Path) -> Path:
    """A folder for nginx."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    return folder


def rule_files(release: Release, listener: Listener = "clearnet") -> dict[str, str]:
    """Return name → content of each file of header rules."""
    with tempfile.TemporaryDirectory() as folder:
        write_mirror(release, Path(folder), listener)
        return {file.name: file.read_text() for file in Path(folder, "headers").iterdir()}


def look(url: str) -> Report:
    """Look at an address with the tests' key."""
    return check_sites([Address.parse(url)], CheckSettings(PUBLIC, RequestLimits(60.0)))
