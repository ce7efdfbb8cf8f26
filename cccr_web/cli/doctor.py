"""``doctor``: check the site on its own server; ``baseline``: record the expected state."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli import options
from cccr_web.cli.terminal import Progress, write_file
from cccr_web.config import Config

if TYPE_CHECKING:
    from cccr_web.doctor import CheckResult
    from cccr_web.release import Trusted


def _web_option(name: str, scheme: str, port: int) -> options.Decorator:
    default, text = f"127.0.0.1:{port}", f"Where this machine serves {scheme}."
    return click.option(name, scheme, type=options.HOST_PORT, default=default, help=text)


@click.command(epilog=options.example("doctor --release current --public-key cccr.pub"))
@click.option("--release", type=options.FOLDER, help="The release that is served.")
@options.trusted()
@options.repeatable("--state", "states", type=options.FOLDER, help="A server's state folder.")
@click.option("--domain", type=options.DOMAIN, help="The clearnet name, if not the release's.")
@click.option(
    "--onion-address", "onion", type=options.ONION, help="The onion, if not the release's."
)
@click.option(
    "--onion-key", type=options.FILE, help="The onion's secret key; its permissions are checked."
)
@options.control
@_web_option("--web", "https", 443)
@_web_option("--web-http", "http", 80)
@options.repeatable(
    "--private",
    type=options.ParsedParam("PATH[=[OWNER:]MODE]", "cccr_web.doctor:PrivatePath.parse"),
    help="A file, socket or folder with restricted access, and its most permissive mode, by "
    "default 0600, 0660 or 0750.",
)
@click.option(
    "--torrc", type=options.FILE, help="Bridge lines, or further configuration, for the Tor client."
)
@click.option(
    "--ca",
    "authorities",
    type=options.FILE,
    help="Certificates to trust in addition to the system's.",
)
@options.repeatable(
    "--unit", "units", metavar="NAME", help="A systemd unit that must be running and up to date."
)
@options.repeatable(
    "--address",
    "addresses",
    type=options.ParsedParam("IP", "ipaddress:ip_address"),
    help="An address of one of the site's servers: DNS must name exactly these.",
)
@options.repeatable(
    "--dns-name",
    "dns_names",
    type=options.DOMAIN,
    help="A name of which DNS is checked, if not only the domain.",
)
@click.option(
    "--baseline",
    type=options.FILE,
    help="What the server had when it was set up, written by “cccr-web baseline”.",
)
@click.option(
    "--standby",
    type=options.FILE,
    help="Where “onion publish” writes why this server, one of several, does not publish.",
)
@click.option(
    "--onion-socket",
    type=options.ParsedParam("unix:PATH", "cccr_web.listen:parse_listen"),
    help="The socket on which it serves the onion, which is checked meanwhile.",
)
@click.option(
    "--backend",
    type=options.ONION,
    help="This server's own onion, if Onionbalance publishes the site's elsewhere.",
)
@click.option(
    "--front",
    is_flag=True,
    help="This machine publishes the onion with Onionbalance, and may have no release.",
)
@click.option(
    "--ssh-keys-only", is_flag=True, help="sshd must accept keys only, and forward nothing."
)
@options.time_limit(300)
@options.report_file
@options.json_output
def doctor(
    release: Path | None,
    key: Trusted | None,
    states: tuple[Path, ...],
    domain: str | None,
    onion: str | None,
    report: Path | None,
    *,
    front: bool,
    as_json: bool,
    **others: Any,
) -> None:
    """Check the site on its own server. Exits with 1 if anything is wrong.

    Nothing is changed. The checks cover the release and its dates; the onion, through
    its own tor and a Tor client; the clearnet, through this machine's ports; every byte and
    header on both; responses other than pages; permissions, clock, disk and versions;
    whether anything reveals the server; and, if they are named, units and updates, and what
    has changed since the baseline. With --front and no release, only what does not need one
    is checked. One fault makes one check wrong; checks that cannot
    run because of it are named as not checked.

    For an option that is not passed, the setting in the environment is used: CCCR_RELEASE,
    CCCR_PUBLIC_KEY or CCCR_POLICY, CCCR_STATE, CCCR_DOMAINS or CCCR_ONIONS.

    With --json, the result is a list of objects of four strings: "name" of the check,
    "verdict" ("ok", "wrong", "not applicable" or "not checked"), "sentence" (what was found)
    and "remedy" (what to do if it is wrong, otherwise empty). A name may occur more than once.
    """
    from cccr_web.doctor import CheckVerdict, Front, Target, run_checks, run_front_checks, to_json

    settings = Config.from_environment(os.environ)
    release = release or settings.release
    key = key or options.read_trusted(settings.public_key, settings.policy)
    onion = onion or next(iter(settings.onions), None)
    found: list[CheckResult] = []
    with Progress() as progress:
        if front and release is None:
            if onion is None:
                raise click.UsageError("--front without a release needs --onion-address.")
            names = (field.name for field in dataclasses.fields(Front))
            results = run_front_checks(Front(onion, **{n: others[n] for n in names if n in others}))
        elif release is None or key is None:
            raise click.UsageError(
                "Pass --release and --public-key or --policy, or set CCCR_RELEASE and "
                "CCCR_PUBLIC_KEY or CCCR_POLICY."
            )
        else:
            target = Target(
                release=release,
                key=key,
                states=states or ((settings.state,) if settings.state else ()),
                domain=domain or next(iter(settings.domains), None),
                onion=onion,
                front=front,
                **others,  # each named after a field of Target
            )
            results = run_checks(
                target, lambda what: progress.show(f"checking {what}", terminal_only=True)
            )
        for result in results:
            found.append(result)
            if not as_json:
                progress.clear()
                click.echo(_line(result))
    write_file(report, to_json(found), "--report")
    click.echo(to_json(found) if as_json else _summary(found))
    if any(result.verdict in {CheckVerdict.WRONG, CheckVerdict.NOT_CHECKED} for result in found):
        raise click.exceptions.Exit(1)


@click.command(epilog=options.example("baseline --out baseline.json /opt/cccr-web /etc/cccr-web"))
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=options.FILE, help="The file to write.")
def baseline(paths: tuple[Path, ...], out: Path) -> None:
    """Record what this server has, for doctor --baseline.

    It then reports what has changed. Recorded are the ssh keys of every user, the TCP ports
    that other machines can reach, and the SHA-256 of each file below each PATH.
    """
    from cccr_web.doctor import Baseline

    write_file(out, Baseline.record(paths).to_json(), "--out")


_LABELS = {"ok": "ok", "wrong": "WRONG", "not applicable": "-", "not checked": "?"}


def _line(result: CheckResult) -> str:
    line = f"{_LABELS[result.verdict]:5}  {result.name:21}  {result.sentence}"
    return f"{line} {result.remedy}" if result.remedy else line


def _summary(found: Sequence[CheckResult]) -> str:
    count = Counter(result.verdict.value for result in found)
    others = (name for name in ("not applicable", "not checked") if count[name])
    parts = [f"{count['ok']} ok", *(f"{count[name]} {name}" for name in others)]
    verdict = f"{count['wrong']} wrong" if count["wrong"] else "No problems"
    return f"{verdict}: {', '.join(parts)}."
