"""The command ``cccr-web``: the only place that prints or exits.

Exit 0; or a sentence on stderr and exit 1; wrong use exits 2. Each command
imports what it needs when it runs, so that ``--help`` is quick and a server
holds nothing that it does not use.
"""

from __future__ import annotations

from typing import Any

import click

from cccr_web import __version__
from cccr_web.cli.demo import demo
from cccr_web.cli.doctor import doctor
from cccr_web.cli.headers import headers
from cccr_web.cli.history import history
from cccr_web.cli.keys import key
from cccr_web.cli.mirror import mirror
from cccr_web.cli.notices import canary, mirrors, security_txt
from cccr_web.cli.onion import onion
from cccr_web.cli.serve import serve
from cccr_web.cli.sign import sign, verify
from cccr_web.cli.site import build, check
from cccr_web.cli.watch import watch
from cccr_web.errors import CccrError

__all__ = ["main"]


class _Failure(click.ClickException):
    """One of our errors, shown as it is: a list of problems keeps file and line in front."""

    def show(self, file: Any = None) -> None:
        click.echo(self.message, err=True, file=file)


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CccrError as error:
            raise _Failure(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cccr-web")
def main() -> None:
    """Build, sign, check and serve the site of the Chinese Coalition for Citizens Rights."""


for command in (
    demo,
    check,
    build,
    key,
    sign,
    verify,
    serve,
    headers,
    history,
    onion,
    mirror,
    watch,
    doctor,
    canary,
    mirrors,
    security_txt,
):
    main.add_command(command)
