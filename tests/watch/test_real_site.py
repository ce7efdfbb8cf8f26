"""The real site on every road: clearnet, onion, a plain nginx's mirror, and the ZIP.

One release is served by our own server on loopback and, through the private Tor
network, on an onion; ``cccr-web mirror`` writes it for an nginx.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.hostile import Answer, Hostile
from support.hosting import Watched, short_folder
from support.nginx import nginx
from support.running import Running
from support.signed import Room, organisation_key, put_release, texts_with_key

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import ManagedTor, Published, Service, new_key
from cccr_web.release import Release, Signer
from cccr_web.render import press

if TYPE_CHECKING:
    from support.tornet import TorNetwork

Note = Callable[[str, float], None]

ROOT = Path(__file__).parent.parent.parent
PUBLIC = str(organisation_key().public)
TOP = "cccr-web/"


@dataclass(frozen=True, slots=True)
class Roads:
    """Where the release is: its folder, the onion's socket and name, and the SOCKS port."""

    release: Release
    folder: Path
    socket: Path
    onion: str
    socks: int


def real_release(folder: Path, onion: str) -> Release:
    """Build the real texts for this onion, and sign them."""
    tree = texts_with_key(folder, PUBLIC)
    addresses = Addresses(None, (onion,))
    unsigned = press(tree, find_tree("templates"), addresses=addresses, environ={})
    return Signer(organisation_key()).sign(unsigned)


@pytest.fixture(scope="module")
def roads(tor_network: TorNetwork) -> Iterator[Roads]:
    """The real site's release, and an onion that leads to a socket on which nobody listens yet."""
    with short_folder() as folder:
        key = new_key(folder / "onion.key")
        release = real_release(folder, key.address)
        (folder / "release").mkdir()
        put_release(release, folder / "release")
        tor = ManagedTor(folder / "tor", extra=tor_network.write_torrc(folder / "torrc"))
        web = folder / "onion.sock"
        roads = Roads(release, folder, web, key.address, tor_network.socks_port)
        with serving(roads), Watched(Service(key, web), tor) as keeper:
            keeper.wait_for(Published)
            tor_network.fetch_until(f"http://{key.address}/SHA256SUMS")
            yield roads


@contextlib.contextmanager
def serving(roads: Roads) -> Iterator[Running]:
    """Serve the release on the clearnet and on the onion's socket."""
    room = Room(roads.folder)
    room.point(roads.folder / "release")
    with Running(room, "--onion-socket", f"unix:{roads.socket}") as server:
        yield server


def watch(roads: Roads, *urls: str) -> tuple[int, Any, str]:
    """Run the command; return its exit status, its JSON and its stderr."""
    command = [sys.executable, "-m", "cccr_web", "watch", "--json", "--public-key", PUBLIC]
    command += ["--socks", f"127.0.0.1:{roads.socks}", *urls]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def server(roads: Roads) -> Iterator[Running]:
    """The release on a clearnet port of its own, beside the onion's server."""
    room = Room(roads.folder / "clearnet")
    room.folder.mkdir()
    room.point(roads.folder / "release")
    with Running(room) as running:
        yield running


@pytest.fixture(scope="module")
def mirror(roads: Roads) -> Iterator[str]:
    """A plain nginx with what ``cccr-web mirror`` wrote."""
    folder = roads.folder / "mirror"
    command = [sys.executable, "-m", "cccr_web", "mirror", str(folder), "--public-key", PUBLIC]
    command += ["--release", str(roads.folder / "release")]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (roads.folder / "nginx").mkdir()
    with nginx(roads.folder / "nginx", folder) as url:
        yield url


def test_all_the_same_over_the_onion(
    roads: Roads, server: Running, mirror: str, note: Note
) -> None:
    """The real site is the same on the onion, the clearnet and the mirror, and quickly seen."""
    begin = time.monotonic()
    status, report, errors = watch(roads, f"http://{roads.onion}")
    seconds = time.monotonic() - begin
    note("watch of the real site over the private onion (bar 30)", seconds)
    assert (status, report["same"], errors) == (0, True, ""), report
    assert seconds < 30
    urls = [f"http://{roads.onion}", f"http://127.0.0.1:{server.port}", mirror]
    status, report, errors = watch(roads, *urls)
    assert (status, report["same"], errors) == (0, True, ""), report


def test_one_byte_behind_the_onion(roads: Roads, server: Running) -> None:
    """After one byte is changed behind a foreign server, the watcher says which file it is in."""
    page = "/zh-hans/who-we-are.html"

    def twist(path: str, answer: Answer) -> Answer:
        body = b"".join(answer.pieces)
        return replace(answer, pieces=(body[:-2] + b"!\n",)) if path == page else answer

    ours, aside = roads.socket, roads.socket.with_name("aside.sock")
    ours.rename(aside)
    try:
        with Hostile(roads.release, twist, path=ours):
            urls = [f"http://127.0.0.1:{server.port}", f"http://{roads.onion}"]
            status, report, _ = watch(roads, *urls)
    finally:
        ours.unlink(missing_ok=True)
        aside.rename(ours)
    assert status == 1
    honest, foreign = report["addresses"]
    assert honest["differences"] == []
    (found,) = foreign["differences"]
    assert (found["path"], found["kind"]) == (page, "changed")
    assert found["detail"].endswith(f"not {roads.release.files[page[1:]].sha256}")


def test_the_same_bytes_on_every_road(
    roads: Roads, server: Running, mirror: str, tor_network: TorNetwork
) -> None:
    """Each page has one SHA-256 on the clearnet, on the onion, on a mirror and in the ZIP."""
    listed = {path: file.sha256 for path, file in roads.release.files.items()}
    packed = zipfile.ZipFile(io.BytesIO(server.get("/cccr-web.zip")))
    port = int(mirror.rpartition(":")[2])
    differing = {}
    for path, wanted in listed.items():
        bodies = {
            "clearnet": server.get(f"/{path}"),
            "onion": tor_network.fetch(f"http://{roads.onion}/{path}").body,
            "mirror": _get(port, path),
        }
        # The list inside the ZIP cannot name the ZIP itself, so it is another one.
        if path != "cccr-web.zip" and not path.startswith("SHA256SUMS"):
            bodies["ZIP"] = packed.read(TOP + path)
        hashes = {road: hashlib.sha256(body).hexdigest() for road, body in bodies.items()}
        if set(hashes.values()) != {wanted}:
            differing[path] = hashes
    assert differing == {}
    assert len(listed) > 20


def _get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
        body: bytes = answer.read()
    return body
