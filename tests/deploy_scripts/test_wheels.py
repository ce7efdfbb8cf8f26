"""When the wheels for a server are built again."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from support import TOP
from support.deploy.machine import call

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


def test_two_runs_may_build_the_same_wheels_at_once(tmp_path: Path) -> None:
    """Of two runs that finish together both get their wheels, and the cache holds them once."""
    script = """
    scripts=$1 folder=$2 number=$3 WORK=$2/work-$3
    . "$scripts/common.sh"; . "$scripts/wheels.sh"
    mkdir "$WORK"
    wheels_state() { echo 0123456789abcdef; }
    wheels_make() { # SOURCE OUT; the other run starts later and finishes first
      mkdir -p "$2/wheels" && touch "$2/wheels/a.whl" "$2/requirements.txt"
      [ "$number" = 1 ] || bash -euc "$SCRIPT" bash "$scripts" "$folder" 1
    }
    wheels_build /source "$folder/out-$number"
    """
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "SCRIPT": script}
    call("bash", "-euc", script, "bash", SCRIPT.parent, tmp_path, "2", env=environment)
    made = ["requirements.txt", "wheels", "wheels/a.whl"]
    for folder in ("out-1", "out-2", "cache/cccr-web/0123456789abcdef"):
        found = sorted(
            str(path.relative_to(tmp_path / folder)) for path in (tmp_path / folder).rglob("*")
        )
        assert found == made, folder
    assert len(list((tmp_path / "cache/cccr-web").iterdir())) == 1
