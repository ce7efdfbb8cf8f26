"""``doctor``: check every part of the site on its own server."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli.onion import control_address, control_option
from cccr_web.cli.site import FOLDER, ONION, ParsedParam
from cccr_web.cli.terminal import Progress, example
from cccr_web.cli.watch import HOST_PORT
from cccr_web.config import Config, read_domain
from cccr_web.listen import Tcp

if TYPE_CHECKING:
    from cccr_web.doctor import CheckResult

_FILE = click.Path(path_type=Path, dir_okay=False)


def _read_private(text: str) -> Any:
    from cccr_web.doctor import PrivatePath

    return PrivatePath.parse(text)


@click.command()
@click.option("--release", type=FOLDER, help="The release that is served.")
@click.option("--public-key", help="The organisation's key: a file, or RW… itself.")
@click.option(
    "--state",
    "states",
    type=FOLDER,
    multiple=True,
    help="A server's state folder. May be repeated.",
)
@click.option(
    "--domain",
    type=ParsedParam("NAME", read_domain),
    help="The clearnet name, if not the release's.",
)
@click.option("--onion-address", "onion", type=ONION, help="The onion, if not the release's.")
@click.option("--onion-key", type=_FILE, help="The onion's key. Its permissions are checked too.")
@control_option
@click.option(
    "--web",
    type=HOST_PORT,
    default="127.0.0.1:443",
    show_default=True,
    help="The https address.",
)
@click.option(
    "--web-http",
    type=HOST_PORT,
    default="127.0.0.1:80",
    show_default=True,
    help="The http address.",
)
@click.option(
    "--private",
    type=ParsedParam("PATH[=[OWNER:]MODE]", _read_private),
    multiple=True,
    help="A file, socket or folder with restricted access, and its most permissive mode, by "
    "default 0600, 0660 or 0750. May be repeated.",
)
@click.option("--torrc", type=_FILE, help="Further torrc lines for the client tor that is started.")
@click.option("--ca", type=_FILE, help="Certificates to trust in addition to the system's.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    help="Seconds for each of the site's addresses.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the results.")
@example("cccr-web doctor --release current --public-key cccr.pub --onion-key onion.key")
def doctor(
    release: Path | None,
    public_key: str | None,
    states: tuple[Path, ...],
    domain: str | None,
    onion: str | None,
    onion_key: Path | None,
    control: str | None,
    web: Tcp,
    web_http: Tcp,
    private: tuple[Any, ...],
    torrc: Path | None,
    ca: Path | None,
    time_limit: float,
    *,
    as_json: bool,
) -> None:
    """Check the site on this server. Exit 1 if anything is wrong. Nothing is changed.

    Checks the release and its dates; the onion, through its own tor and a Tor client; the
    clearnet, through this machine's ports; every byte and header on both; responses other
    than pages; permissions, clock, disk and versions; and whether anything reveals the
    server. A check that cannot run counts as wrong, with the reason.

    The settings CCCR_RELEASE, CCCR_PUBLIC_KEY, CCCR_STATE, CCCR_DOMAINS and CCCR_ONIONS
    replace options that are not given.

    With --json, each result is an object of four strings: “name” of the check, “verdict”
    (“ok”, “wrong” or “not applicable”), “sentence” (what was found) and “remedy” (what to do
    if it is wrong, otherwise empty). A name may occur more than once.
    """
    from cccr_web.doctor import CheckVerdict, Target, run_checks, to_json
    from cccr_web.release import read_public_key

    settings = Config.from_environment(os.environ)
    release, public_key = release or settings.release, public_key or settings.public_key
    if release is None or public_key is None:
        raise click.UsageError("Give --release and --public-key.")
    target = Target(
        release=release,
        key=read_public_key(public_key),
        states=states or ((settings.state,) if settings.state else ()),
        domain=domain or next(iter(settings.domains), None),
        onion=onion or next(iter(settings.onions), None),
        onion_key=onion_key,
        control=control_address(control),
        https=web,
        http=web_http,
        authorities=ca,
        torrc=torrc,
        private=private,
        seconds=time_limit,
    )
    found: list[CheckResult] = []
    with Progress() as progress:
        for result in run_checks(
            target, lambda what: progress.show(f"checking {what}", terminal_only=True)
        ):
            found.append(result)
            if not as_json:
                progress.clear()
                click.echo(_line(result))
    click.echo(to_json(found) if as_json else _summary(found))
    if any(result.verdict is CheckVerdict.WRONG for result in found):
        raise click.exceptions.Exit(1)


_LABELS = {"ok": "ok", "wrong": "WRONG", "not applicable": "-"}


def _line(result: CheckResult) -> str:
    line = f"{_LABELS[result.verdict]:5}  {result.name:21}  {result.sentence}"
    return f"{line} {result.remedy}" if result.remedy else line


def _summary(found: Sequence[CheckResult]) -> str:
    count = Counter(result.verdict.value for result in found)
    parts = [f"{count['ok']} ok"]
    if count["not applicable"]:
        parts.append(f"{count['not applicable']} not applicable")
    verdict = f"{count['wrong']} wrong" if count["wrong"] else "No problems"
    return f"{verdict}: {', '.join(parts)}."
