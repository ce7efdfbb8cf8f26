"""What the wheel holds for shells and for ``man``, and that it works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import TOP
from support.manual import shared_files

SHARE = TOP / "cccr_web" / "share"
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_the_files_are_made_of_the_help(pytestconfig: pytest.Config) -> None:
    """Each file says what the commands' help says, and there is no other."""
    made = shared_files()
    if pytestconfig.getoption("--rewrite-manual"):
        for name, text in made.items():
            (SHARE / name).parent.mkdir(parents=True, exist_ok=True)
            (SHARE / name).write_text(text, encoding="utf-8")
    found = {
        file.relative_to(SHARE).as_posix(): file.read_text(encoding="utf-8")
        for file in SHARE.rglob("*")
        if file.is_file()
    }
    assert found == made


def completions(*words: str, shell: str = "bash") -> list[str]:
    """Return what a shell gets when the last word is to be completed."""
    asked = {
        "_CCCR_WEB_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(words) if shell != "fish" else f"{' '.join(words)}",
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    done = subprocess.run(
        ["cccr-web"], env=ENVIRONMENT | asked, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_commands_and_options(shell: str) -> None:
    """Commands that are imported late are completed, too, with their groups and options."""
    assert any("import" in line for line in completions("cccr-web", "im", shell=shell))
    assert any("show" in line for line in completions("cccr-web", "onion", "key", "s", shell=shell))
    assert any("--photo" in line for line in completions("cccr-web", "new", "--ph", shell=shell))


def test_bash_completes_with_the_file(tmp_path: Path) -> None:
    """In bash, the function of the file fills in the only command that begins so."""
    script = (
        f"source {SHARE}/bash-completion/completions/cccr-web\n"
        "complete -p cccr-web\n"
        "COMP_WORDS=(cccr-web sec) COMP_CWORD=1\n"
        '_cccr_web_completion cccr-web; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "complete -o nosort -F _cccr_web_completion cccr-web",
        "security-txt",
    ]


def test_the_manual_page_names_every_command_and_option() -> None:
    """Its text is in the order of the tasks, and each example is on a line of its own."""
    page = (SHARE / "man/man1/cccr-web.1").read_text(encoding="utf-8")
    assert page.index('.SH "WRITE"') < page.index('.SS "cccr\\-web new ')
    assert page.index('.SH "SERVE"') < page.index('.SS "cccr\\-web onion key show ')
    assert "\n.B \\-\\-translations FOLDER\n" in page
    assert "\n.EX\n  cccr\\-web check\n.EE\n" in page
    assert not [line for line in page.splitlines() if line.startswith("'")]
