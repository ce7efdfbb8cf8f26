"""``check``, ``build`` and ``serve``: from the texts to the reader."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cccr_web.cli.terminal import Progress, example
from cccr_web.config import Config, read_domain, read_onion, read_onion_socket
from cccr_web.errors import BuildError
from cccr_web.listen import Listen, Tcp, Unix, parse_listen
from cccr_web.trees import find_tree

if TYPE_CHECKING:
    from cccr_web.content import Addresses
    from cccr_web.release import Release

_DEFAULT_CLEARNET = Tcp("127.0.0.1", 8080)


class Reader(click.ParamType[Any]):
    """An option whose text is read by a function that raises ``ValueError``."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the option's text; wrong use is told by click."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


FOLDER = click.Path(path_type=Path, file_okay=False)
LISTEN = Reader("HOST:PORT|unix:PATH", parse_listen)
ONION_SOCKET = Reader("unix:PATH", read_onion_socket)
ONION = Reader("ADDRESS.onion", read_onion)

translations_option = click.option(
    "--translations",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The folder of all texts, if not the one that comes with cccr-web.",
)


def find_translations(chosen: Path | None) -> Path:
    """Return the folder of texts: the one chosen, or the one that comes with us."""
    return chosen.resolve() if chosen else find_tree("translations")


@click.command()
@translations_option
@example("cccr-web check")
def check(translations: Path | None) -> None:
    """Check every text and every word of the interface, and name file and line."""
    from cccr_web.build import check_trees

    content = check_trees(find_translations(translations), find_tree("templates"))
    counts = ", ".join(f"{len(texts)} in {lang.tag}" for lang, texts in content.texts.items())
    click.echo(f"All texts are in order: {counts}.")


@click.command()
@click.option("--out", required=True, type=FOLDER, help="Where to write the release.")
@click.option("--clearnet-url", help="Put this address on the pages, not that of site.toml.")
@click.option(
    "--onion-address",
    "onions",
    type=ONION,
    multiple=True,
    help="Put this onion on the pages, not those of site.toml. May be repeated.",
)
@translations_option
@example("cccr-web build --out ../release")
def build(
    out: Path, clearnet_url: str | None, onions: tuple[str, ...], translations: Path | None
) -> None:
    """Render every page once and write a release: the exact bytes that readers get."""
    from cccr_web.content import Addresses
    from cccr_web.content.site import is_clearnet
    from cccr_web.release import write

    if clearnet_url is not None and not is_clearnet(clearnet_url):
        raise click.BadParameter(
            "must be an https address without a path.", param_hint="--clearnet-url"
        )
    addresses = Addresses(clearnet_url, onions) if clearnet_url or onions else None
    release = press_release(find_translations(translations), addresses)
    write(release, out)
    click.echo(
        f"Release {release.metadata.sequence} of {release.metadata.time:%Y-%m-%d}: "
        f"{len(release.files)} files in {out}"
    )


def press_release(translations: Path, addresses: Addresses | None) -> Release:
    """Render a release, showing how many pages are done."""
    from cccr_web.build import press

    with Progress() as progress:
        return press(
            translations,
            find_tree("templates"),
            addresses=addresses,
            progress=lambda done, total: progress.show(
                f"page {done} of {total}", terminal_only=True
            ),
        )


@click.command()
@click.option("--release", type=FOLDER, help="The release; without it the texts are built first.")
@click.option(
    "--clearnet",
    type=LISTEN,
    help="Where to listen for clearnet readers: HOST:PORT or unix:/PATH.",
)
@click.option("--onion-socket", type=ONION_SOCKET, help="The socket that tor connects to.")
@click.option(
    "--domain",
    "domains",
    type=Reader("NAME", read_domain),
    multiple=True,
    help="A further name to answer to on the clearnet. May be repeated.",
)
@click.option(
    "--onion-address",
    "onions",
    type=ONION,
    multiple=True,
    help="A further onion to answer to. May be repeated.",
)
@example("cccr-web serve --release ../release --clearnet 127.0.0.1:8080")
def serve(
    release: Path | None,
    clearnet: Listen | None,
    onion_socket: Unix | None,
    domains: tuple[str, ...],
    onions: tuple[str, ...],
) -> None:
    """Serve a release on the clearnet, on a unix socket for tor, or on both.

    The listener decides which headers a reader gets, never anything that the
    reader sends. Settings CCCR_RELEASE, CCCR_CLEARNET, CCCR_ONION_SOCKET,
    CCCR_DOMAINS and CCCR_ONIONS stand for the options that are not given.
    """
    import logging

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    settings = Config.from_environment(os.environ)
    clearnet = clearnet or settings.clearnet
    onion_socket = onion_socket or settings.onion_socket
    if clearnet is None and onion_socket is None:
        clearnet = _DEFAULT_CLEARNET
    _serve(
        _load(release or settings.release),
        clearnet,
        onion_socket,
        domains=domains or settings.domains,
        onions=onions or settings.onions,
    )


def _load(folder: Path | None) -> Release:
    from cccr_web.release import load

    return load(folder) if folder else press_release(find_tree("translations"), None)


def _serve(
    release: Release,
    clearnet: Listen | None,
    onion_socket: Unix | None,
    *,
    domains: tuple[str, ...],
    onions: tuple[str, ...],
) -> None:
    from cccr_web import serve as server

    onions = tuple(dict.fromkeys((*onions, *release.metadata.onions)))
    if onion_socket is not None and not onions:
        raise BuildError(
            "The release names no onion address, so the server cannot know its own.",
            "Give it by --onion-address, or write it into translations/site.toml.",
        )
    facts = release.metadata
    with contextlib.ExitStack() as stack:
        sites: list[server.Site] = []
        names: list[str] = []
        if clearnet is not None:
            listener = stack.enter_context(server.listening(clearnet))
            own = (facts.clearnet.removeprefix("https://"),) if facts.clearnet else ()
            loopback = isinstance(clearnet, Tcp) and clearnet.is_loopback
            policy = server.clearnet_policy(facts, onions)
            if not (own or domains or loopback):
                raise BuildError(
                    "The release names no clearnet address, so the server cannot know its own.",
                    "Give it by --domain, or write it into translations/site.toml.",
                )
            hosts = server.clearnet_hosts((*own, *domains), loopback=loopback)
            sites.append(server.Site(listener, server.create_app(release, policy, hosts), policy))
            names.append(f"clearnet {_address(clearnet, listener.getsockname())}")
        if onion_socket is not None:
            listener = stack.enter_context(server.listening(onion_socket))
            policy = server.onion_policy(facts)
            hosts = server.onion_hosts(onions)
            sites.append(server.Site(listener, server.create_app(release, policy, hosts), policy))
            names.append(f"onion-socket unix:{onion_socket.path}")
        server.serve(sites, ready=lambda: click.echo("\n".join(names)))


def _address(where: Listen, bound: Any) -> str:
    if isinstance(where, Unix):
        return f"unix:{where.path}"
    # The kernel has chosen the port if it was 0.
    host = f"[{where.host}]" if ":" in where.host else where.host
    return f"http://{host}:{bound[1]}/"
