"""Progress of commands, on stderr; stdout is for results, of which a file may get a copy."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import click

from cccr_web.errors import counted
from cccr_web.files import replace, writing

# In seconds. Quick work shows nothing.
_DELAY: Final = 1.0
_INTERVAL: Final = 0.2

# Unicode's categories of control, format and surrogate characters and of separators of lines.
_INVISIBLE: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def stop_on_signal(also: Callable[[], None] = lambda: None) -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set; they call ``also``, too.

    Another thread sets it: the signal may interrupt the event's own code, which holds the lock.
    """
    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        threading.Thread(target=stop.set, daemon=True).start()
        also()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop


class Progress:
    """A progress line, which is redrawn in a terminal and repeated elsewhere.

    A terminal gets it once the work takes more than a second, and sees how long a step has taken.
    """

    def __init__(self) -> None:
        # A dumb terminal cannot erase a line. There are no colours that NO_COLOR could switch off.
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._text = ""
        self._since = 0.0
        self._is_drawn = False
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self._terminal:
            threading.Thread(target=self._redraw, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.clear()

    def show(self, text: str, *, terminal_only: bool = False) -> None:
        """Show the state of the work; ``terminal_only`` omits it from logs."""
        if text == self._text or (terminal_only and not self._terminal):
            return
        if not self._terminal:
            click.echo(text, err=True)
        self._text, self._since = text, time.monotonic()

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self.clear()
        click.echo(text, err=True)

    def clear(self) -> None:
        """Erase the progress line."""
        with self._lock:
            if self._is_drawn:
                click.echo("\r\x1b[K", err=True, nl=False)
            self._text, self._is_drawn = "", False

    def _redraw(self) -> None:
        pause = _DELAY
        while not self._ended.wait(pause):
            pause = _INTERVAL
            with self._lock:
                if self._text and not self._ended.is_set():
                    self._is_drawn = True
                    seconds = int(time.monotonic() - self._since)
                    line = f"{self._text} ({counted(seconds, 'second')})" if seconds else self._text
                    width = shutil.get_terminal_size().columns - 1
                    click.echo(f"\r\x1b[K{line[:width]}", err=True, nl=False)


def visible(text: str) -> str:
    """Return text with escapes in place of what commands a terminal, hides or is no text.

    These are control characters except line feeds, bidi and other invisible characters, and
    bytes of a name that are not UTF-8.
    """
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in _INVISIBLE else _escape(char)
        for char in text
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Say in a terminal what takes so long, while the block runs."""
    with Progress() as progress:
        progress.show(text, terminal_only=True)
        yield


def say_step(step: str, text: str, *details: str) -> None:
    """Print what a step of a long command has done, and a line for each detail."""
    click.echo(f"{step:10} {text}")
    for detail in details:
        click.echo(f"  {detail}")


def write_file(file: Path | None, text: str, option: str) -> None:
    """Write a result to a file, if ``option`` named one. Raises ``CccrError``."""
    if file is not None:
        with writing(file, f"Use another file for {option}."):
            replace(file, f"{text}\n".encode())
