"""``doctor``: is every part of the site on this server as it should be?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli.onion import control_address, control_option
from cccr_web.cli.site import FOLDER, ONION, ParsedParam
from cccr_web.cli.terminal import Progress, example
from cccr_web.config import Config, read_domain
from cccr_web.listen import Tcp, parse_listen

if TYPE_CHECKING:
    from cccr_web.doctor import Result

_FILE = click.Path(path_type=Path, dir_okay=False)


def _read_port(text: str) -> Tcp:
    where = parse_listen(text)
    if isinstance(where, Tcp):
        return where
    raise ValueError(f"“{text}”: give HOST:PORT.")


def _read_private(text: str) -> Any:
    from cccr_web.doctor import Private

    return Private.parse(text)


PORT = ParsedParam("HOST:PORT", _read_port)


@click.command()
@click.option("--release", type=FOLDER, help="The release that is served.")
@click.option("--public-key", help="The organisation's key: a file, or RW… itself.")
@click.option(
    "--state",
    "states",
    type=FOLDER,
    multiple=True,
    help="A server's folder of what it has served. May be repeated.",
)
@click.option(
    "--domain",
    type=ParsedParam("NAME", read_domain),
    help="The clearnet's name, if not the release's own.",
)
@click.option("--onion-address", "onion", type=ONION, help="The onion, if not the release's own.")
@click.option("--onion-key", type=_FILE, help="The onion's key; its permissions are judged too.")
@control_option
@click.option(
    "--web", type=PORT, default="127.0.0.1:443", show_default=True, help="Where https is taken."
)
@click.option(
    "--web-http", type=PORT, default="127.0.0.1:80", show_default=True, help="Where http is taken."
)
@click.option(
    "--private",
    type=ParsedParam("PATH[=[OWNER:]MODE]", _read_private),
    multiple=True,
    help="A file, socket or folder that not everybody may reach, and what it may allow at "
    "most: 0600, 0660 and 0750 if not said. May be repeated.",
)
@click.option("--torrc", type=_FILE, help="Further lines for the tor that is started to look.")
@click.option("--ca", type=_FILE, help="Certificates to trust besides the system's.")
@click.option(
    "--time-limit",
    type=click.FloatRange(min=1),
    default=300.0,
    show_default=True,
    help="Seconds for each of the site's addresses.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
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
    """Look at every part of the site on this server, and say what is wrong. Exit 1 if anything is.

    The release and its dates; the onion as its tor, the network's directories and a
    reader's tor have it; the clearnet through this machine's own port, with the
    certificate checked; every byte and header on both; what anything on the way answers
    by itself; keys, sockets, clock, disk and versions; and what would betray the
    server. A check that cannot be made is wrong, with its reason. Nothing is changed.

    Settings CCCR_RELEASE, CCCR_PUBLIC_KEY, CCCR_STATE, CCCR_DOMAINS and CCCR_ONIONS
    stand for the options that are not given.
    """
    from cccr_web.doctor import Case, Verdict, examine, to_json
    from cccr_web.release import read_public_key

    settings = Config.from_environment(os.environ)
    release, public_key = release or settings.release, public_key or settings.public_key
    if release is None or public_key is None:
        raise click.UsageError("Give --release and --public-key.")
    case = Case(
        release=release,
        key=read_public_key(public_key),
        states=states or ((settings.state,) if settings.state else ()),
        domain=domain or next(iter(settings.domains), None),
        onion=onion or next(iter(settings.onions), None),
        onion_key=onion_key,
        control=control_address(control),
        web=web,
        plain=web_http,
        authorities=ca,
        torrc=torrc,
        private=private,
        seconds=time_limit,
    )
    found: list[Result] = []
    with Progress() as progress:
        for result in examine(
            case, lambda what: progress.show(f"looking at {what}", terminal_only=True)
        ):
            found.append(result)
            if not as_json:
                progress.clear()
                click.echo(_line(result))
    click.echo(to_json(found) if as_json else _sum(found))
    if any(result.verdict is Verdict.WRONG for result in found):
        raise click.exceptions.Exit(1)


_WORDS = {"ok": "ok", "wrong": "WRONG", "not applicable": "-"}


def _line(result: Result) -> str:
    line = f"{_WORDS[result.verdict]:5}  {result.name:21}  {result.sentence}"
    return f"{line} {result.remedy}" if result.remedy else line


def _sum(found: Sequence[Result]) -> str:
    count = Counter(result.verdict.value for result in found)
    verdict = f"{count['wrong']} wrong" if count["wrong"] else "All is well"
    return f"{verdict}: {', '.join(_counts(count))}."


def _counts(count: Counter[str]) -> Iterator[str]:
    yield f"{count['ok']} ok"
    if count["not applicable"]:
        yield f"{count['not applicable']} not applicable"
