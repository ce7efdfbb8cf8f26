"""When the wheels for a server are built again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from support.deploy.machine import TOP, call

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = TOP / "deploy/server/wheels.sh"
SOURCES = ["cccr_web", "templates", "translations", "deploy/lock"]
FILES = ["pyproject.toml", "README.md", "LICENSE"]


def state(source: Path) -> str:
    """Return the hash of everything that the wheels of this checkout are made from."""
    return call("bash", "-c", '. "$1" && wheels_state "$2"', "bash", SCRIPT, source).stdout


def test_wheels_are_built_again_only_if_their_contents_changed(tmp_path: Path) -> None:
    """Code, texts, locks and the project's README count; other documents and bytecode do not."""
    for name in SOURCES:
        shutil.copytree(TOP / name, tmp_path / name)
    for name in FILES:
        shutil.copy(TOP / name, tmp_path)
    first = state(tmp_path)
    for name in ("cccr_web/README.md", "translations/README.md", "cccr_web/cli/new.pyc"):
        with (tmp_path / name).open("a") as file:
            file.write("# a change\n")
        assert state(tmp_path) == first, name
    seen = {first}
    for name in (
        "cccr_web/errors.py",
        "translations/site.toml",
        "templates/base.html",
        "deploy/lock/server.txt",
        "deploy/lock/build.txt",
        "README.md",
    ):
        with (tmp_path / name).open("a") as file:
            file.write("# a change\n")
        assert state(tmp_path) not in seen, name
        seen.add(state(tmp_path))
