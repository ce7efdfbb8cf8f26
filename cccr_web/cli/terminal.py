"""Progress of commands, on stderr; stdout is for results, of which a file may get a copy."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Self

import click

from cccr_web.files import replace, writing


class Progress:
    """A progress line, which is overwritten in a terminal and repeated elsewhere."""

    def __init__(self) -> None:
        # A dumb terminal cannot erase a line. There are no colours that NO_COLOR could switch off.
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str, *, terminal_only: bool = False) -> None:
        """Show the state of the work; ``terminal_only`` omits it from logs."""
        if text == self._shown or (terminal_only and not self._terminal):
            return
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r\x1b[K{text[:width]}", err=True, nl=False)
        else:
            click.echo(text, err=True)
        self._shown = text

    def say(self, text: str) -> None:
        """Print a permanent line."""
        self.clear()
        click.echo(text, err=True)

    def clear(self) -> None:
        """Erase the progress line."""
        if self._shown and self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
        self._shown = ""


def write_file(file: Path | None, text: str, option: str) -> None:
    """Write a result to a file, if ``option`` named one. Raises ``CccrError``."""
    if file is not None:
        with writing(file, f"Use another file for {option}."):
            replace(file, f"{text}\n".encode())
