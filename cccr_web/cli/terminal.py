"""How the commands show what they are doing, on stderr; stdout is for results."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click


def example(text: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Add an example to a command's help."""

    def decorate(function: Callable[..., object]) -> Callable[..., object]:
        words = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = f"{words}\n\n\b\nExample:\n  {text}\n"
        return function

    return decorate


class Progress:
    """A line that tells how far long work has come.

    In a terminal it is written over; elsewhere each change is a line of its own.
    """

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.clear()

    def show(self, text: str, *, terminal_only: bool = False) -> None:
        """Show where the work is now; ``terminal_only``: too quick and small for a log."""
        if text == self._shown or (terminal_only and not self._terminal):
            return
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"\r\x1b[K{text[:width]}", err=True, nl=False)
        else:
            click.echo(text, err=True)
        self._shown = text

    def say(self, text: str) -> None:
        """Write a line that stays."""
        self.clear()
        click.echo(text, err=True)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown and self._terminal:
            click.echo("\r\x1b[K", err=True, nl=False)
        self._shown = ""
