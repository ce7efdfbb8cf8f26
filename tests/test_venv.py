"""``deploy/venv.sh``: an environment for each checkout, replaced without disturbing what runs.

Python, its ``venv`` and the scripts are real. Only pip is a stub, because no test downloads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from support import TOP
from support.deploy.scripts import bsd_programs

BASE = Path(sys.base_prefix) / "bin" / f"python{sysconfig.get_python_version()}"
# Instead of “python -m venv”. The pip of this environment installs only the command cccr-web,
# which prints where it is, and a module.
MAKE = r"""
import pathlib, sys, venv
home = pathlib.Path(sys.argv[1])
with (home.parent / "made").open("a") as log:
    print(home.name, file=log)
venv.create(home, symlinks=True)
(packages,) = home.glob("lib/python3*/site-packages")
(packages / "pip").mkdir()
(packages / "late.py").touch()
(packages / "pip/__main__.py").write_text('''
import pathlib, sys, time
home = pathlib.Path(sys.prefix)
if (home.parent / "fail").exists():
    sys.exit(1)
if "--editable" in sys.argv:
    time.sleep(0.2)
    (pathlib.Path(__file__).parent.parent / "_cccr_web.pth").touch()
    command = home / "bin" / "cccr-web"
    command.write_text(f"#!{home}/bin/python\\nimport sys; print(sys.prefix)")
    command.chmod(0o755)
''')
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python that makes such environments."""
    (tmp_path / "make.py").write_text(MAKE)
    return stub(tmp_path / "python", BASE)


def stub(script: Path, base: Path) -> Path:
    """Write a script that runs this Python, except that it makes such environments."""
    script.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *_base_executable*) {base} "$@" | sed "s,[^ ]*$,$0," ;;\n'
        f'  "-m venv "*) exec {base} -I {script.parent}/make.py "$3" ;;\n'
        f'  *) exec {base} "$@" ;;\nesac\n'
    )
    script.chmod(0o755)
    return script


def clone(folder: Path) -> Path:
    """Make a checkout with empty locks."""
    (folder / "deploy/lock").mkdir(parents=True)
    for name in ("venv.sh", "cccr-web"):
        shutil.copy(TOP / "deploy" / name, folder / "deploy")
    for name in ("pyproject.toml", "deploy/lock/build.txt", "deploy/lock/run.txt"):
        (folder / name).touch()
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout."""
    return clone(tmp_path / "one")


def start(python: Path, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start a command of one user with this Python."""
    environment = {
        **os.environ,
        "PYTHON": str(python),
        "HOME": str(python.parent),
        **environment,
    }
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def make(python: Path, checkout: Path, **environment: str) -> Path:
    """Make the checkout's environment and return its folder."""
    command = (checkout / "deploy/venv.sh", checkout / ".venv")
    with start(python, *command, **environment) as process:
        printed, explained = process.communicate()
    assert process.returncode == 0, explained
    return Path(printed.removesuffix("\n"))


def environments(checkout: Path) -> set[str]:
    """Return the names of the environments of a checkout."""
    return {path.name for path in checkout.glob(".venv-*")}


def change(checkout: Path) -> None:
    """Change what goes into the environment."""
    with (checkout / "deploy/lock/run.txt").open("a") as lock:
        lock.write("# changed\n")


def age(environment: Path) -> None:
    """Let the last use of an environment be two minutes ago."""
    seen = (environment / "stamp").stat().st_mtime - 120
    os.utime(environment / "stamp", (seen, seen))


def test_an_environment_is_made_once_under_its_final_name(python: Path, checkout: Path) -> None:
    """A second call changes nothing; the scripts in it name its own folder."""
    made = make(python, checkout)
    assert (checkout / ".venv").resolve() == made
    assert environments(checkout) == {made.name}
    assert (made / "bin/cccr-web").read_text().startswith(f"#!{made}/bin/python\n")
    assert make(python, checkout) == made
    assert (checkout / "made").read_text() == f"{made.name}\n"


def test_two_names_of_one_python_lead_to_one_environment(
    python: Path, checkout: Path, tmp_path: Path
) -> None:
    """An active environment calls its Python python3.11, Debian calls the same one python3."""
    link = tmp_path / "python3"
    link.symlink_to(BASE)
    assert make(stub(tmp_path / "linked", link), checkout) == make(python, checkout)


def test_macos_programs_suffice(python: Path, checkout: Path, tmp_path: Path) -> None:
    """Without GNU's programs an environment is made, replaced and removed, too."""
    path = str(bsd_programs(tmp_path / "bsd"))
    old = make(python, checkout, PATH=path)
    change(checkout)
    new = make(python, checkout, PATH=path)
    assert (checkout / ".venv").resolve() == new
    age(old)
    assert make(python, checkout, PATH=path) == new
    assert environments(checkout) == {new.name}


def test_two_checkouts_of_one_user_do_not_disturb_each_other(
    python: Path, checkout: Path, tmp_path: Path
) -> None:
    """Each has its own environment, which calls from the other never replace."""
    other = clone(tmp_path / "two")
    for top in (checkout, other) * 2:
        with start(python, top / "deploy/cccr-web") as process:
            printed, explained = process.communicate()
        assert Path(printed.strip()).parent == top, explained
    assert [len(environments(top)) for top in (checkout, other)] == [1, 1]


def test_calls_at_once_make_one_environment(python: Path, checkout: Path) -> None:
    """One call makes it and the others wait for it."""
    calls = [start(python, checkout / "deploy/cccr-web") for _ in range(3)]
    printed = {call.communicate()[0] for call in calls}
    assert [call.returncode for call in calls] == [0, 0, 0]
    (made,) = environments(checkout)
    assert printed == {f"{checkout / made}\n"}
    assert (checkout / "made").read_text() == f"{made}\n"


def test_a_running_command_keeps_its_environment(python: Path, checkout: Path) -> None:
    """It can still import from it after another took its place; then the old one is removed."""
    old = make(python, checkout)
    program = "print('runs', flush=True); input(); import late; print(late.__file__)"
    with subprocess.Popen(
        [checkout / ".venv/bin/python", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "runs\n"
        change(checkout)
        new = make(python, checkout)
        assert (checkout / ".venv").resolve() == new != old
        age(old)
        make(python, checkout)
        assert environments(checkout) == {old.name, new.name}
        assert running.communicate("\n")[0].startswith(f"{old}/lib/")
    make(python, checkout)
    assert environments(checkout) == {new.name}


def test_an_environment_that_was_just_in_use_is_kept(python: Path, checkout: Path) -> None:
    """A command that got its path may be about to start."""
    old = make(python, checkout)
    age(old)
    change(checkout)
    for _ in range(2):
        make(python, checkout)
        assert (old / "bin/python").exists()


def test_an_unfinished_environment_is_made_again(python: Path, checkout: Path) -> None:
    """If an installation fails, the old environment stays; the next call repairs it."""
    old = make(python, checkout)
    change(checkout)
    (checkout / "fail").touch()
    with start(python, checkout / "deploy/cccr-web") as process:
        process.communicate()
    assert process.returncode == 1
    assert (checkout / ".venv").resolve() == old
    (checkout / "fail").unlink()
    new = make(python, checkout)
    assert (checkout / ".venv").resolve() == new != old


def test_an_environment_that_was_removed_in_part_is_made_again(
    python: Path, checkout: Path, tmp_path: Path
) -> None:
    """If a call is killed while it removes an old environment, nobody gets what is left of it."""
    lock = checkout / "deploy/lock/run.txt"
    old = make(python, checkout)
    change(checkout)
    new = make(python, checkout)
    age(old)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "rm").write_text(
        f'#!/bin/sh\n[ "$*" = "-rf {old}" ] || exec /bin/rm "$@"\n'
        f"/bin/rm -rf {old}/bin\nkill -KILL $PPID\n"
    )
    (programs / "rm").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    with start(python, checkout / "deploy/venv.sh", checkout / ".venv", PATH=path) as process:
        process.communicate()
    assert (old / "lib").exists()
    lock.write_text("")
    assert make(python, checkout) == old != new
    assert (old / "bin/cccr-web").exists()


def test_every_path_to_a_checkout_leads_to_one_environment(python: Path, checkout: Path) -> None:
    """A symbolic link to the checkout makes no other environment in its place."""
    made = make(python, checkout)
    link = checkout.parent / "link"
    link.symlink_to(checkout)
    assert make(python, link) == made
    assert (checkout / "made").read_text() == f"{made.name}\n"


def test_only_environments_are_replaced_and_removed(python: Path, checkout: Path) -> None:
    """Names that are alike stay, and so does a folder that was not made by this command."""
    others = {".venv-3.13", ".venv-3.13-0123456789abcdef", ".venv-mine"}
    for name in {".venv", *others}:
        (checkout / name).mkdir()
    with start(python, checkout / "deploy/venv.sh", checkout / ".venv") as process:
        assert "is a folder that this command did not make. Move it" in process.communicate()[1]
    assert (process.returncode, environments(checkout)) == (1, others)
    # What earlier versions made is a folder with a stamp.
    (checkout / ".venv/stamp").touch()
    made = make(python, checkout)
    assert (checkout / ".venv").resolve() == made
    assert environments(checkout) == {made.name, *others}


def test_scripts_find_the_modules_of_the_tests() -> None:
    """In the environment of the tests, ``support`` can be imported from any folder."""
    script = "import support; print(support.__file__)"
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd="/", env=settings, check=True, capture_output=True
    )
    assert Path(os.fsdecode(done.stdout).strip()).parent == TOP / "tests/support"
