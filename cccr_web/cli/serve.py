"""``serve``: serve a release, and reload it without dropping a request."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cccr_web.cli import options
from cccr_web.cli.site import build_with_progress
from cccr_web.config import Config, read_onion_socket
from cccr_web.listen import Listen, SystemdSocket, Unix, parse_listen
from cccr_web.systemd import SystemdNotifier

if TYPE_CHECKING:
    from cccr_web.release import Trusted
    from cccr_web.serve import Source

_DEFAULT_CLEARNET = "127.0.0.1:8080"

_log = logging.getLogger(__name__)


@click.command(
    epilog=options.example("serve --release current --public-key cccr.pub --state state")
)
@click.option(
    "--release",
    type=options.SERVED_RELEASE,
    help="The release to serve; by default, the texts are built.",
)
@options.trusted()
@click.option(
    "--state", type=options.FOLDER, help="Where to record served releases, outside any release."
)
@click.option(
    "--recheck",
    type=options.SECONDS,
    metavar="SECONDS",
    default=300,
    help="The interval between comparisons of the disk with what is served.",
)
@click.option(
    "--clearnet",
    type=options.ParsedParam("HOST:PORT|unix:/PATH|systemd:NAME", parse_listen),
    help=f"Where to listen for clearnet readers; {_DEFAULT_CLEARNET} without any listener.",
)
@click.option(
    "--onion-socket",
    type=options.ParsedParam("unix:/PATH|systemd:NAME", read_onion_socket),
    help="Where to listen for tor.",
)
@options.repeatable(
    "--domain", "domains", type=options.DOMAIN, help="A further clearnet name to answer to."
)
@options.repeatable(
    "--onion-address", "onions", type=options.ONION, help="A further onion address to answer to."
)
@options.hsts_preload
@options.max_megabytes
def serve(
    release: Path | None,
    key: Trusted | None,
    state: Path | None,
    recheck: float,
    clearnet: Listen | None,
    onion_socket: Unix | SystemdSocket | None,
    domains: tuple[str, ...],
    onions: tuple[str, ...],
    max_megabytes: int | None,
    *,
    hsts_preload: bool,
) -> None:
    """Serve a release on the clearnet, to tor, or both.

    The listener alone decides which headers are sent; nothing in a request can change them.
    The whole release is loaded into memory and checked; later changes on the disk do not
    change what is served. On SIGHUP, the server reloads the release from the same path, for
    example after a link such as "current" was changed. If the new release fails a check,
    the server rejects it and continues with the last good one; with --state, also after a
    restart. On SIGTERM, it stops accepting connections, answers the requests that have
    arrived and exits.

    As a systemd service (Type=notify), it reports when it is ready, which release it serves
    and, with WatchdogSec=, that it is not hung. A listener systemd:NAME is the socket of the
    socket unit with FileDescriptorName=NAME; a restart then drops no connection.

    For an option that is not passed, the server uses the setting in the environment:
    CCCR_RELEASE, CCCR_PUBLIC_KEY or CCCR_POLICY, CCCR_STATE, CCCR_CLEARNET,
    CCCR_ONION_SOCKET, CCCR_DOMAINS, CCCR_ONIONS, CCCR_HSTS_PRELOAD ("yes") or
    CCCR_MAX_MEGABYTES.
    """
    from cccr_web.serve import RELOAD, AppSwitch, Listeners, ReloadQueue, serve_source

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("cccr_web").setLevel(logging.INFO)
    # Before the start, so that a SIGHUP during the start does not end the process.
    requests = ReloadQueue()
    signal.signal(signal.SIGHUP, lambda _number, _frame: requests.put(RELOAD))
    settings = Config.from_environment(os.environ)
    clearnet = clearnet or settings.clearnet
    onion_socket = onion_socket or settings.onion_socket
    if clearnet is None and onion_socket is None:
        clearnet = parse_listen(_DEFAULT_CLEARNET)
    listeners = Listeners(
        clearnet,
        onion_socket,
        domains or settings.domains,
        onions or settings.onions,
        hsts_preload or settings.hsts_preload,
    )
    source = _source(
        release or settings.release,
        key or options.read_trusted(settings.public_key, settings.policy),
        state or settings.state,
        max_megabytes or settings.max_megabytes,
    )
    notifier = SystemdNotifier()
    if source is not None:
        serve_source(source, listeners, requests, _print_lines, recheck=recheck, notifier=notifier)
        return
    built = build_with_progress(None, None)
    listeners.serve(
        AppSwitch(listeners.make_apps(built)),
        _print_lines,
        notifier=notifier,
        status=lambda: f"Serving release {built.metadata.sequence}.",
    )


def _print_lines(lines: list[str]) -> None:
    click.echo("\n".join(lines))


def _source(
    release: Path | None, key: Trusted | None, state: Path | None, max_megabytes: int
) -> Source | None:
    from cccr_web.release import MEGABYTE, RollbackGuard, verify_in_subprocess
    from cccr_web.serve import Source

    if release is None:
        return None
    if key is None:
        _log.warning(
            "No --public-key or --policy: the signatures of %s are not checked. "
            "Use this for trials only.",
            release,
        )
    elif state is None:
        _log.warning("No --state: the server accepts older releases, too.")
    guard = RollbackGuard(state) if state else None
    return Source(release, key, guard, verify_in_subprocess, max_megabytes * MEGABYTE)
