"""A whole site on this machine: release, server, nginx and an onion on the private network.

Its fixture is available to all tests: ``conftest.py`` loads this module as a plugin.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.doctor import Target
from cccr_web.listen import Tcp
from cccr_web.onion import ManagedTor, Published, Service, new_key
from cccr_web.onion.service import list_services
from cccr_web.release import Release, Signer, make_release, with_archive
from cccr_web.render import build_release
from support import TOP
from support.hosting import Watched, short_folder
from support.reverse_proxy import CertificateAuthority, ReverseProxy
from support.running import Running
from support.serving import DOMAIN, environment
from support.signed import (
    KEY,
    PUBLIC,
    ServerFolder,
    content,
    facts,
    put_release,
)
from support.texts import texts_with_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.tornet import TorNetwork


def real_release(folder: Path, onion: str) -> Release:
    """Build the real texts for the domain and this onion, sign them and write them."""
    tree = texts_with_key(folder, PUBLIC)
    addresses = Addresses(f"https://{DOMAIN}", (onion,))
    unsigned = build_release(tree, find_tree("templates"), addresses=addresses)
    release = Signer(KEY).sign(unsigned)
    put_release(release, folder / "release")
    return release


def signed(files: Mapping[str, bytes] | None = None, sequence: int = 1, **changes: Any) -> Release:
    """Return a small, correct release with these files and facts changed."""
    whole = content(sequence) | dict(files or {})
    unsigned = with_archive(make_release(whole, facts(sequence, **changes)))
    return Signer(KEY).sign(unsigned)


@dataclass(frozen=True, slots=True)
class PublishedSite:
    """Where the parts of the site are; ``weak_onion`` has no proof of work and no server."""

    folder: Path
    release: Release
    onion: str
    weak_onion: str
    control: str
    torrc: Path
    authority: CertificateAuthority
    server: Running

    def proxy(self, days: int = 90, lifetime: int = 190, **changes: Any) -> ReverseProxy:
        """Return the nginx in front of it, not running yet."""
        certificate = self.authority.certify(DOMAIN, days, lifetime)
        return ReverseProxy(
            self.folder, self.release, DOMAIN, self.server.port, certificate, **changes
        )

    def target(self, **changes: Any) -> Target:
        """Return what the doctor checks."""
        return target_of(self.folder / "release", **changes)

    def options(self, proxy: ReverseProxy) -> list[str]:
        """Return the options of ``doctor`` that check it."""
        https, http = proxy.ports
        return [
            *("--release", str(self.folder / "release"), "--public-key", str(PUBLIC)),
            *("--state", str(self.folder / "state")),
            *("--onion-key", str(self.folder / "onion.key"), "--control", self.control),
            *("--web", f"127.0.0.1:{https}", "--web-http", f"127.0.0.1:{http}"),
            *("--ca", str(self.authority.file), "--torrc", str(self.torrc)),
            *("--private", str(self.folder / "onion.sock")),
        ]


def target_of(release: Path, /, **changes: Any) -> Target:
    """Return what the doctor checks of the release in a folder."""
    https, http = Tcp("127.0.0.1", 443), Tcp("127.0.0.1", 80)
    return replace(Target(release, PUBLIC, https, http, seconds=10.0), **changes)


def doctor(*options: str) -> tuple[int, list[dict[str, str]], str]:
    """Run the command; return its status, its JSON and its stderr."""
    command = [sys.executable, "-m", "cccr_web", "doctor", "--json", *options]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=TOP,
        env=environment(),
        check=False,
        timeout=300,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture(scope="session")
def published_site(tor_network: TorNetwork) -> Iterator[PublishedSite]:
    """Serve and publish the site; each test starts its nginx."""
    with short_folder() as folder:
        key = new_key(folder / "onion.key")
        release = real_release(folder, key.address)
        torrc = tor_network.write_torrc(folder / "torrc")
        tor = ManagedTor(folder / "tor", extra=torrc)
        server_folder = ServerFolder(folder)
        server_folder.point(folder / "release")
        with (
            tor.open() as link,
            Running(server_folder, "--onion-socket", f"unix:{folder}/onion.sock") as server,
        ):
            # Published first, so that its descriptor is ready when a test needs it.
            reply = link.send("ADD_ONION NEW:ED25519-V3 Flags=DiscardPK,Detach Port=80,127.0.0.1:9")
            assert reply.is_ok()
            (weak_onion,) = list_services(link)
            published_site = PublishedSite(
                folder,
                release,
                key.address,
                weak_onion,
                str(link.address),
                torrc,
                CertificateAuthority(folder),
                server,
            )
            proxy = published_site.proxy()
            with contextlib.ExitStack() as stack:
                with proxy.running():
                    keeper = stack.enter_context(Watched(Service(key, proxy.socket), tor))
                    keeper.wait_for(Published)
                    tor_network.fetch_until(f"http://{key.address}/SHA256SUMS")
                yield published_site
