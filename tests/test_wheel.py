"""The wheel contains everything the site needs and works alone (``pyproject.toml``)."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from support import TOP
from support.manual import shared_files
from support.serving import environment

from cccr_web import __version__
from cccr_web.release import Release, load

PIP = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built without a network."""
    out = tmp_path_factory.mktemp("wheel")
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(out)]
    subprocess.run([*command, str(TOP)], check=True, capture_output=True)
    (file,) = out.glob("*.whl")
    return file


def test_wheel_holds_code_templates_and_translations(wheel: Path) -> None:
    """The wheel holds every file of the code, the templates and the translations, and no test.

    The files for shells and man are where an installation puts them.
    """
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    shared = {name for name in found if ".data/" in name}
    assert {name.partition(".data/data/share/")[2] for name in shared} == shared_files().keys()
    found -= shared
    expected = {
        f"cccr_web/{path.relative_to(TOP / 'cccr_web').as_posix()}"
        for path in (TOP / "cccr_web").rglob("*")
        if path.suffix in {".ico", ".png", ".py", ".tsv", ".txt", ".typed"}
    }
    for tree in ("templates", "translations"):
        files = {path for path in (TOP / tree).rglob("*") if path.is_file()}
        files -= {TOP / tree / "README.md"}
        expected |= {f"cccr_web/{path.relative_to(TOP).as_posix()}" for path in files}
    assert found == expected


@pytest.mark.long
def test_wheel_builds_the_same_release_in_an_empty_environment(
    wheel: Path, release: Release, tmp_path: Path
) -> None:
    """Installed in an empty environment, it builds the same release as the tree."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    install = [*PIP, "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # Dependencies come from the tests' environment, our package only from the wheel.
    (packages,) = home.glob("lib/python*/site-packages")
    line = f"import sys; sys.path.append({sysconfig.get_path('purelib')!a})\n"
    (packages / "dependencies.pth").write_text(line)  # ASCII: it is read in any locale
    settings = environment()
    del settings["PYTHONPATH"]

    def run(*command: str) -> str:
        done = subprocess.run(
            command, env=settings, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(str(python), "-c", "import cccr_web; print(cccr_web.__file__)")
    assert where == f"{packages}/cccr_web/__init__.py\n"
    command = str(home / "bin" / "cccr-web")
    assert run(command, "--version") == f"cccr-web, version {__version__}\n"
    assert run(command, "check").startswith("All texts are in order")
    address = release.metadata
    options = ["--clearnet-url", address.clearnet or "", "--onion-address", address.onions[0]]
    run(command, "build", "--out", "release", *options)
    assert load(tmp_path / "release") == release
