"""The real site through every route: clearnet, onion, a plain nginx's mirror, and the ZIP.

One release is served by our own server on loopback and, through the private Tor
network, on an onion; ``cccr-web mirror write`` writes it for an nginx.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import TOP
from support.hostile import Hostile, change_a_byte_of
from support.hosting import short_folder
from support.live_site import PublishedSite
from support.nginx import nginx
from support.signed import PUBLIC

from cccr_web.release import load

if TYPE_CHECKING:
    from support.measurements import Recorder
    from support.tornet import TorNetwork


def watch(network: TorNetwork, *urls: str) -> tuple[int, Any, str]:
    """Run the command; return its exit status, its JSON and its stderr."""
    command = [sys.executable, "-m", "cccr_web", "watch", "--json", "--public-key", str(PUBLIC)]
    command += ["--socks", f"127.0.0.1:{network.socks_port}", *urls]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def mirror(published_site: PublishedSite) -> Iterator[str]:
    """Serve what ``cccr-web mirror write`` wrote with a plain nginx; yield the address."""
    with short_folder() as folder:
        command = [sys.executable, "-m", "cccr_web", "mirror", "write", str(folder / "mirror")]
        command += ["--public-key", str(PUBLIC)]
        command += ["--release", str(published_site.folder / "release")]
        subprocess.run(command, check=True, cwd=TOP, capture_output=True)
        (folder / "nginx").mkdir()
        with nginx(folder / "nginx", folder / "mirror") as url:
            yield url


def test_the_real_site_has_no_differences_on_any_route(
    published_site: PublishedSite, tor_network: TorNetwork, mirror: str, note: Recorder
) -> None:
    """The real site passes on the onion alone within 30 seconds, and on all routes at once."""
    with published_site.proxy().running():
        begin = time.monotonic()
        status, report, errors = watch(tor_network, f"http://{published_site.onion}")
        seconds = time.monotonic() - begin
        note("watch of the real site over the private onion (bar 30)", seconds)
        assert (status, report["same"], errors) == (0, True, ""), report
        assert seconds < 30
        urls = [
            f"http://{published_site.onion}",
            f"http://127.0.0.1:{published_site.server.port}",
            mirror,
        ]
        status, report, errors = watch(tor_network, *urls)
    assert (status, report["same"], errors) == (0, True, ""), report


def test_a_mirror_is_fetched_from_the_onion(
    published_site: PublishedSite, tor_network: TorNetwork, tmp_path: Path, note: Recorder
) -> None:
    """A volunteer who reaches only Tor gets the real site, in a few requests."""
    command = [sys.executable, "-m", "cccr_web", "mirror", "fetch", "--public-key", str(PUBLIC)]
    command += ["--socks", f"127.0.0.1:{tor_network.socks_port}", "--to", str(tmp_path / "mirror")]
    begin = time.monotonic()
    with published_site.proxy().running():
        command += [f"http://{published_site.onion}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, check=False)
    note("mirror fetch of the real site over the private onion", time.monotonic() - begin)
    assert done.returncode == 0, done.stderr
    assert load(tmp_path / "mirror/site", PUBLIC).files == published_site.release.files


def test_one_changed_byte_on_the_onion_is_reported_with_its_file(
    published_site: PublishedSite, tor_network: TorNetwork
) -> None:
    """When a hostile server changes one byte on the onion, the report names the file."""
    page = "/zh-hans/who-we-are.html"

    onion_socket = published_site.proxy().socket
    try:
        with Hostile(published_site.release, change_a_byte_of(page), path=onion_socket):
            urls = [
                f"http://127.0.0.1:{published_site.server.port}",
                f"http://{published_site.onion}",
            ]
            status, report, _ = watch(tor_network, *urls)
    finally:
        onion_socket.unlink(missing_ok=True)
    assert status == 1
    honest, foreign = report["addresses"]
    assert honest["differences"] == []
    (found,) = foreign["differences"]
    assert (found["path"], found["kind"]) == (page, "changed")
    assert found["detail"].endswith(f"not {published_site.release.files[page[1:]].sha256}")


def test_every_file_is_the_same_on_every_route(
    published_site: PublishedSite, mirror: str, tor_network: TorNetwork
) -> None:
    """Each file has one SHA-256 on the clearnet, on the onion, on a mirror and in the ZIP."""
    listed = {path: file.sha256 for path, file in published_site.release.files.items()}
    packed = zipfile.ZipFile(io.BytesIO(published_site.server.get("/cccr-web.zip")))
    with published_site.proxy().running(), ThreadPoolExecutor(8) as pool:
        urls = [f"http://{published_site.onion}/{path}" for path in listed]
        onion = dict(zip(listed, pool.map(tor_network.fetch, urls), strict=True))
    differing = {}
    for path, wanted in listed.items():
        bodies = {
            "clearnet": published_site.server.get(f"/{path}"),
            "onion": onion[path].body,
            "mirror": _get(f"{mirror}/{path}"),
        }
        # The list inside the ZIP cannot name the ZIP itself, so it is a different one.
        if path != "cccr-web.zip" and not path.startswith("SHA256SUMS"):
            bodies["ZIP"] = packed.read("cccr-web/" + path)
        hashes = {route: hashlib.sha256(body).hexdigest() for route, body in bodies.items()}
        if set(hashes.values()) != {wanted}:
            differing[path] = hashes
    assert differing == {}
    assert len(listed) > 20


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        body: bytes = answer.read()
    return body
