"""The command ``cccr-web``: the only place that prints or exits.

A command exits with 0, with 1 and a sentence on stderr, or with 2 after wrong usage. Its
module is imported when the command is called, and imports its dependencies when it runs, so
that ``--help`` is fast and a server loads nothing that it does not use.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click
from click.exceptions import NoSuchCommand

from cccr_web import __version__
from cccr_web.cli.terminal import visible
from cccr_web.errors import CccrError

__all__ = ["main"]

# What people do, the daily tasks first: command → module of this package that defines a function
# of the same name.
_TASKS: dict[str, dict[str, str]] = {
    "Write": {
        "new": "new",
        "import": "import_document",
        "preview": "preview",
        "check": "site",
        "demo": "demo",
    },
    "Publish": {
        "publish": "publish",
        "build": "site",
        "sign": "release",
        "verify": "release",
        "canary": "notices",
        "mirrors": "notices",
        "security-txt": "notices",
        "key": "keys",
    },
    "Look after": {
        "watch": "watch",
        "doctor": "doctor",
        "notify": "notify",
        "baseline": "doctor",
        "history": "release",
    },
    "Serve": {"serve": "serve", "onion": "onion", "mirror": "mirror", "headers": "mirror"},
}
_MODULES = {name: module for commands in _TASKS.values() for name, module in commands.items()}


# What a disk says that takes no more (errno(3)).
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# The columns around a command's name in the help.
_MARGINS = 6


class _Failure(click.ClickException):
    """Shows a ``CccrError`` without a prefix, so that problems begin with file and line."""

    def show(self, file: Any = None) -> None:
        click.echo(visible(self.message), err=True, file=file)


def _drop_output() -> None:
    """Let Python write nothing more at its end: it would fail again, and exit with 120."""
    with contextlib.suppress(OSError):  # a test's stdout is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Group(click.Group):
    tasks = _TASKS

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [*_MODULES]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by task, in one column."""
        widest = max(map(len, _MODULES))
        for task, names in _TASKS.items():
            rows = []
            for name in names:
                command = self.get_command(ctx, name)
                if command is not None:
                    limit = formatter.width - widest - _MARGINS
                    rows.append((name.ljust(widest), command.get_short_help_str(limit)))
            with formatter.section(task):
                formatter.write_dl(rows)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"{__name__}.{_MODULES[cmd_name]}")
        # “import” is a keyword of Python.
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            # click suggests only registered commands, and ours are imported late.
            raise NoSuchCommand(error.command_name, possibilities=_MODULES, ctx=ctx) from None

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command; a full disk and a terminal of another charset end in no traceback."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **settings)
        except OSError as error:
            if error.filename is None and error.errno not in _FULL:
                raise
            what = error.filename or "The output"
            problem = f"{what} cannot be read or written: {error.strerror}."
            with contextlib.suppress(OSError):
                _Failure(f"{problem} Check the disk and the permissions.").show()
            _drop_output()
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CccrError as error:
            raise _Failure(str(error)) from error


@click.group(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.version_option(__version__, prog_name="cccr-web")
def main() -> None:
    """Build, sign, check and serve the site of the Chinese Coalition for Citizens Rights.

    The exit status is 0 for success, 1 for a failure and 2 for wrong usage.
    """
