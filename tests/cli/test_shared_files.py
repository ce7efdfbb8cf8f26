"""What the wheel holds for shells and for ``man``, and that it works."""

from __future__ import annotations

import os
import pty
import select
import signal
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


def shown_after_tab(typed: str, command: list[str], folder: Path) -> str:
    """Return what an interactive shell shows after a line and Tab."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        home = {"HOME": str(folder), "TERM": "dumb", "LANG": "C.UTF-8"}
        path = {"PATH": f"{folder}/bin:/usr/bin:/bin", "PYTHONPATH": str(TOP)}
        os.execvpe(command[0], command, {**home, **path})  # noqa: S606  # in a new terminal
    shown = b""
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        try:
            for expected, answer in ((b"READY> ", f"{typed}\t"), (b"--photo ", "")):
                while expected not in shown and select.select([screen], [], [], 20)[0]:
                    shown += screen.read(4096)
                screen.write(answer.encode())
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return shown.decode()


@pytest.mark.long
@pytest.mark.parametrize("program", ["cccr-web", "deploy/cccr-web"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_tab_completes_an_option(shell: str, program: str, tmp_path: Path) -> None:
    """It does so for a program in PATH, and for the one of a checkout, which is not there."""
    if "/" in program:
        (tmp_path / "deploy").mkdir()
        installed = tmp_path / program
    else:
        (tmp_path / "bin").mkdir()
        installed = tmp_path / "bin" / program
    installed.symlink_to(Path(sys.executable).with_name("cccr-web"))
    start = {
        ".bashrc": f"PS1='READY> '\nsource {SHARE}/bash-completion/completions/cccr-web\n",
        ".zshrc": f"PS1='READY> '\nfpath=({SHARE}/zsh/site-functions $fpath)\n"
        "autoload -Uz compinit && compinit -u -D\n",
        ".config/fish/config.fish": "function fish_prompt; echo -n 'READY> '; end\n"
        f"source {SHARE}/fish/vendor_completions.d/cccr-web.fish\n",
    }
    for name, text in start.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [shell, "-d", "-i"] if shell == "zsh" else [shell, "-i"]
    assert "--photo " in shown_after_tab(f"{program} new --pho", command, tmp_path)


def test_the_manual_page_names_every_command_and_option() -> None:
    """Its text is in the order of the tasks, and each example is on a line of its own."""
    page = (SHARE / "man/man1/cccr-web.1").read_text(encoding="utf-8")
    assert page.index('.SH "WRITE"') < page.index('.SS "cccr\\-web new ')
    assert page.index('.SH "SERVE"') < page.index('.SS "cccr\\-web onion key show ')
    assert "\n.B \\-\\-translations FOLDER\n" in page
    assert "\n.EX\n  cccr\\-web check\n.EE\n" in page
    assert not [line for line in page.splitlines() if line.startswith("'")]
