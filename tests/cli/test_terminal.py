"""Progress on a terminal, and nowhere else (``cli/terminal.py``)."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from support import TOP
from support.command import run
from support.serving import environment
from support.signed import organisation_key, put_release, signed_release
from support.texts import TEXTS, copy_texts

from cccr_web.cli.terminal import Progress

ERASE = "\r\x1b[K"
WORK = """
import time
from cccr_web.cli.terminal import working
with working("counting"):
    time.sleep({seconds})
print("done")
"""


class Done(NamedTuple):
    """A command that has ended: its exit status, stdout and stderr."""

    status: int
    out: str
    said: str


def on_terminal(code: str, term: str = "xterm") -> tuple[str, str]:
    """Run Python code with a terminal as stderr; return what it prints there, and on stdout."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(COLUMNS="80", TERM=term, NO_COLOR="1"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        shown = b""
        # Linux reports the end of a terminal as an error (pty(7)).
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass
        os.close(ours)
        assert process.stdout is not None
        result = process.stdout.read()
    assert process.returncode == 0, shown
    return shown.decode(), result


def test_work_of_more_than_a_second_is_shown_and_then_erased() -> None:
    """The step is named, then how long it has taken; nothing of it stays."""
    shown, result = on_terminal(WORK.format(seconds=2.5))
    steps = shown.split(ERASE)
    assert (steps[0], steps[-1], result) == ("", "", "done\n")
    assert len(steps) > 3
    # The first of them may come a little before the second is over.
    assert re.fullmatch(r"counting( \(1 second\))?", steps[1])
    assert all(re.fullmatch(r"counting \(\d seconds?\)", step) for step in steps[2:-1])


def test_a_terminal_gets_no_escapes_but_to_erase_a_line() -> None:
    """There are no colours that NO_COLOR could switch off, and a dumb terminal gets no escapes."""
    shown, _ = on_terminal(WORK.format(seconds=1.5))
    assert {*re.findall(r"\x1b\[[^A-Za-z]*[A-Za-z]", shown)} == {"\x1b[K"}
    assert on_terminal(WORK.format(seconds=1.5), "dumb") == ("", "done\n")


def test_quick_work_shows_nothing() -> None:
    """What takes less than a second does not flicker."""
    assert on_terminal(WORK.format(seconds=0.1)) == ("", "done\n")


def test_logs_get_no_progress() -> None:
    """Without a terminal, nothing is shown, however long the work takes."""
    done = subprocess.run(
        [sys.executable, "-c", WORK.format(seconds=1.5)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")


@pytest.mark.parametrize(
    ("command", "steps"),
    [
        (
            "build --out NEW --translations TEXTS",
            ["reading NEW", "checking the texts", "page N of N", "packing the ZIP", "writing NEW"],
        ),
        (
            "sign RELEASE --key KEY --passphrase-file PASSPHRASE",
            ["reading RELEASE", "signing, and packing the ZIP", "writing RELEASE"],
        ),
        ("verify RELEASE --public-key PUBLIC", ["verifying RELEASE"]),
        (
            "mirror write NEW --release RELEASE --public-key PUBLIC",
            ["verifying RELEASE", "writing NEW"],
        ),
    ],
    ids=["build", "sign", "verify", "mirror"],
)
def test_long_commands_name_their_steps(
    tmp_path: Path,
    key_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    steps: list[str],
) -> None:
    """``build``, ``sign``, ``verify`` and ``mirror`` say what they are doing."""
    shown: list[str] = []
    monkeypatch.setattr(Progress, "show", lambda _self, text, **_others: shown.append(text))
    names = {
        "NEW": tmp_path / "new",
        "RELEASE": tmp_path / "release",
        "KEY": key_file,
        "PASSPHRASE": key_file.parent / "passphrase",
        "PUBLIC": organisation_key().public,
        "TEXTS": TEXTS,
    }
    put_release(signed_release(1), tmp_path / "release")
    done = run(*(names.get(part, part) for part in command.split()))
    assert done.exit_code == 0, done.output
    for name in ("NEW", "RELEASE"):
        shown = [text.replace(str(names[name]), name) for text in shown]
    assert [*dict.fromkeys(re.sub(r"\d+", "N", text) for text in shown)] == steps


def ended(*arguments: object, out: int | IO[bytes] = subprocess.PIPE, **settings: str) -> Done:
    """Run a command with this stdout; return its exit status, and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "cccr_web", *map(os.fsencode, map(str, arguments))],
        env=environment(**settings),
        stdout=out,
        stderr=subprocess.PIPE,
        check=False,
    )
    said = done.stderr.decode("utf-8", "surrogateescape")
    assert "Traceback" not in said
    return Done(done.returncode, (done.stdout or b"").decode("utf-8", "surrogateescape"), said)


@pytest.mark.parametrize("arguments", [["--help"], ["headers", "--help"], ["check"]])
def test_a_full_disk_ends_a_command_in_a_sentence(arguments: list[str]) -> None:
    """Whatever part of the command writes to it, the exit status is 1."""
    with Path("/dev/full").open("wb") as full:
        done = ended(*arguments, out=full)
    assert done.status == 1
    assert done.said == (
        "The output cannot be read or written: No space left on device. "
        "Check the disk and the permissions.\n"
    )


def interrupted(folder: Path, module: str, then: str) -> Done:
    """Run a command that gets the signal of Ctrl-C where it imports a module."""
    pressed = f"import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\n{then}\n"
    (folder / f"{module}.py").write_text(pressed)
    return ended("check", PYTHONPATH=f"{folder}{os.pathsep}{TOP}")


@pytest.mark.parametrize("module", ["click", "markdown_it", "babel"])
def test_ctrl_c_ends_a_command_in_one_line(tmp_path: Path, module: str) -> None:
    """It does so from the first import on, and the exit status is that of every shell."""
    # The tests themselves may run in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert interrupted(tmp_path, module, "time.sleep(9)") == Done(130, "", "Interrupted.\n")
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_no_command_in_the_background(tmp_path: Path) -> None:
    """A shell script has its background commands ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert interrupted(tmp_path, "babel", "raise SystemExit(3)") == Done(3, "", "")
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_ends_a_command_that_looks_at_its_event() -> None:
    """The command then holds the event's lock, for which the signal must not wait."""
    code = (
        "import signal\n"
        "from cccr_web.cli.terminal import stop_on_signal\n"
        "stop = stop_on_signal()\n"
        "with stop._cond: signal.raise_signal(signal.SIGTERM)\n"
        "assert stop.wait(9)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=TOP, timeout=20, check=True)


@pytest.mark.parametrize("charset", ["ascii", "latin-1", "gb18030"])
def test_a_terminal_of_another_charset_gets_an_answer(tmp_path: Path, charset: str) -> None:
    """A character that it cannot show is an escape, and the work is done."""
    tree = copy_texts(tmp_path)
    arguments = ("new", "A title", "--date", "2013-05-08", "--translations", tree)
    assert ended(*arguments, PYTHONIOENCODING=charset).status == 0
    assert (tree / "en/statements/2013-05-08-a-title.md").exists()


def test_a_title_is_utf_8_in_every_locale(tmp_path: Path) -> None:
    """Without a locale, Python reads no Chinese from the command line. Other bytes are rejected."""
    tree = copy_texts(tmp_path)
    tail = ("--slug", "a", "--date", "2013-05-08", "--translations", tree)
    arguments = ("new", "释放律师", *tail)
    done = ended(*arguments, LC_ALL="POSIX", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert done.status == 0
    written = tree / "zh_Hans/statements/2013-05-08-a.md"
    assert 'title = "释放律师"' in written.read_text(encoding="utf-8")
    done = ended("new", "a\udcff", *tail)
    assert done.status == 2
    assert "“a\\udcff” is not text in UTF-8." in done.said


def test_a_name_cannot_command_a_terminal(tmp_path: Path) -> None:
    """A file's name is one line of visible characters, in messages and in results."""
    tree = copy_texts(tmp_path)
    name = "a\n:1: b\x1b[31m\u202e\udcff"
    (tree / f"en/pages/{name}.md").write_text("x", encoding="utf-8")
    said = ended("check", "--translations", tree).said
    assert "en/pages/a\\n:1: b\\x1b[31m\\u202e\\udcff.md:1: The file must start" in said
    assert len(said.splitlines()) == said.count("en/pages/a")
    (tree / f"en/pages/{name}.md").unlink()
    ended("new", "A title", "--date", "2013-05-08", "--translations", tree)
    (tmp_path / name).write_text("<p>some text", encoding="utf-8")
    done = ended("import", tmp_path / name, "--translations", tree)
    assert done.status == 0
    assert "\\x1b[31m\\u202e\\udcff" in done.out
    assert not {"\x1b", "\u202e", "\udcff"} & {*done.out}
