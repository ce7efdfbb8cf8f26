"""The files for shells and ``man`` that the wheel holds, made of the commands' help.

They are kept in ``cccr_web/share``, so that building the wheel needs no dependency of ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
from click.shell_completion import get_completion_class

from cccr_web.cli import main

PROGRAM = "cccr-web"
_FILES = {
    "bash": f"bash-completion/completions/{PROGRAM}",
    "zsh": f"zsh/site-functions/_{PROGRAM}",
    "fish": f"fish/vendor_completions.d/{PROGRAM}.fish",
}
# click's files for zsh and fish ask the program in PATH. In a checkout, deploy/cccr-web is typed.
_AS_TYPED = {
    "bash": [],
    "zsh": [
        (f"    (( ! $+commands[{PROGRAM}] )) && return 1\n\n", ""),
        (f"_complete {PROGRAM})", "_complete ${~words[1]} 2>/dev/null)"),
    ],
    "fish": [
        (f"(commandline -t) {PROGRAM})", "(commandline -t) (commandline -opc)[1] 2>/dev/null)")
    ],
}
_PAGE = f"man/man1/{PROGRAM}.1"


def shared_files() -> dict[str, str]:
    """Return each file by its path below ``share``."""
    return {**{path: _completion(shell) for shell, path in _FILES.items()}, _PAGE: _page()}


def _completion(shell: str) -> str:
    found = get_completion_class(shell)
    assert found is not None
    source = found(main, {}, PROGRAM, "_CCCR_WEB_COMPLETE").source()
    for old, new in _AS_TYPED[shell]:
        assert source.count(old) == 1
        source = source.replace(old, new)
    return source


def _page() -> str:
    """Return the manual page (man(7))."""
    # click keeps the names of the help option that it sees first.
    context = click.Context(main, info_name=PROGRAM, **main.context_settings)
    first, *more = _paragraphs(main.help or "")
    lines = [
        f'.TH "{PROGRAM.upper()}" "1"',
        ".SH NAME",
        f"{_escape(PROGRAM)} \\- {_text(first[0].lower() + first[1:]).rstrip('.')}",
        ".SH SYNOPSIS",
        f".B {_escape(PROGRAM)}",
        "command [options] [arguments]",
        ".SH DESCRIPTION",
        *(line for text in [first, *more] for line in (".PP", _text(text))),
        ".PP",
        "Each command has the option",
        ".BR \\-\\-help .",
    ]
    for task, names in main.tasks.items():
        lines.append(f'.SH "{task.upper()}"')
        for name in names:
            command = main.get_command(context, name)
            assert command is not None
            lines += _command(click.Context(command, parent=context, info_name=name))
    return "\n".join(lines) + "\n"


def _command(context: click.Context) -> Iterator[str]:
    """Yield the lines about a command, and about those below it."""
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _command(click.Context(inner, parent=context, info_name=name))
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f'.SS "{_escape(f"{context.command_path} {usage}")}"'
    for number, text in enumerate(_paragraphs(command.help or "")):
        yield from ([".PP"] if number else [])
        yield _text(text)
    for option in command.params:
        record = option.get_help_record(context)
        # An argument is explained in the text above.
        if record is not None and record[1]:
            yield ".TP"
            yield f".B {_escape(record[0])}"
            yield _text(record[1])
    example = (command.epilog or "").partition("\n  ")[2]
    yield from (".PP", "Example:", ".PP", ".EX", _escape(f"  {example}"), ".EE")


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help text; a blank line ends each."""
    return [each.replace("\b\n", "") for each in re.split(r"\n\s*\n", text.strip())]


def _text(text: str) -> str:
    return _escape(" ".join(text.split()))


def _escape(text: str) -> str:
    """Return a line that roff shows as it is (groff_char(7))."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{text}" if text.startswith((".", "'")) else text
