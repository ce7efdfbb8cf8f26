"""End to end: the site is built, served, published on the private Tor network and fetched."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.headers import name_of, stored, template
from support.hosting import Watched, short_folder
from support.serving import DOMAIN, ReceivedResponse, Server
from support.socks import SocksRejectedError, connect
from support.tor_reader import request_for
from support.tornet import TorNetwork

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import ManagedTor, Published, Service, new_key
from cccr_web.onion.service import MAX_STREAMS
from cccr_web.release import Release, write
from cccr_web.render import build_release

if TYPE_CHECKING:
    from support.measurements import Recorder


@dataclass(frozen=True)
class OnionSite:
    """The site on an onion: its release, its address and the network that reaches it."""

    release: Release
    address: str
    network: TorNetwork

    def get(self, path: str, *, method: str = "GET", **headers: str) -> ReceivedResponse:
        """Fetch a path as Tor Browser does, through the client's SOCKS port."""
        url = f"http://{self.address}{path}"
        reply = self.network.fetch(url, method=method, headers=headers, tries=3)
        return ReceivedResponse(reply.status, tuple(reply.headers), reply.body)


@pytest.fixture(scope="module")
def site(tor_network: TorNetwork, note: Recorder) -> Iterator[OnionSite]:
    """The real texts built for a new onion, served on a unix socket, published by a manager."""
    begin = time.monotonic()
    with short_folder() as folder:
        key = new_key(folder / "onion.key")
        trees = find_tree("translations"), find_tree("templates")
        release = build_release(*trees, addresses=Addresses(f"https://{DOMAIN}", (key.address,)))
        write(release, folder / "release")
        tor = ManagedTor(folder / "tor", extra=tor_network.write_torrc(folder / "torrc"))
        with (
            Server(folder, folder / "release") as server,
            Watched(Service(key, server.onion), tor) as watched,
        ):
            assert watched.wait_for(Published).address == key.address
            site = OnionSite(release, key.address, tor_network)
            assert tor_network.fetch_until(f"http://{key.address}/en/").status == 200
            first = time.monotonic() - begin + tor_network.seconds
            note("first page over the onion, from the start of the private network", first)
            yield site
            (line,) = Path(server.errors).read_text().splitlines()
            assert "No --public-key" in line


def check(site: OnionSite, path: str) -> ReceivedResponse:
    """Fetch a path; its whole header set must equal the stored one."""
    answer = site.get(path)
    sets = stored()["onion"]["headers"]
    expected = {**sets[name_of(answer)]}
    # The stored answers closed the connection; this client keeps it.
    del expected["Connection"]
    assert template(answer, site.release, path, site.address) == expected
    return answer


def test_every_file_is_served_over_the_onion(site: OnionSite, note: Recorder) -> None:
    """Every file of the release arrives over the onion unchanged, with the stored headers."""
    begin = time.monotonic()
    for path, file in site.release.files.items():
        answer = check(site, f"/{path}")
        assert (answer.status, answer.body) == (200, file.body), path
    note("a file over the onion", (time.monotonic() - begin) / len(site.release.files))


def test_folders_and_errors_answer_as_stored_over_the_onion(site: OnionSite) -> None:
    """Folders, redirects and errors arrive over the onion as the stored list has them."""
    requests = stored()["onion"]["requests"]
    for request, name in requests.items():
        path = request.removeprefix("GET ")
        if path.startswith("/") and " " not in path and path[1:] not in site.release.files:
            assert name_of(check(site, path)) == name


def test_the_root_redirects_to_the_language_of_the_reader(site: OnionSite) -> None:
    """The root redirects a Chinese reader to Chinese, and an unknown language to English."""
    for accept, slug in (("zh-CN,zh;q=0.9", "zh-hans"), ("en-US", "en"), ("fr", "en")):
        answer = site.get("/", **{"Accept-Language": accept})
        assert (answer.status, answer.header("Location")) == (302, f"/{slug}/")


def test_the_www_name_of_the_onion_is_served(site: OnionSite) -> None:
    """Tor also delivers requests for ``www.`` and the address, and they are answered."""
    reply = site.network.fetch(f"http://www.{site.address}/en/", tries=3)
    assert (reply.status, reply.body) == (200, site.release.files["en/index.html"].body)


def hold(site: OnionSite, circuit: str) -> socket.socket | None:
    """Open a stream on that circuit and keep it; ``None`` if tor rejects it."""
    try:
        return connect(site.network.socks_port, site.address, circuit=circuit)
    except SocksRejectedError:
        return None


def test_a_circuit_with_too_many_streams_is_closed(site: OnionSite) -> None:
    """A circuit carries a browser's connections; tor closes it when it exceeds the limit."""
    assert MAX_STREAMS >= 9  # six of a browser, and three more for urgent requests
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(MAX_STREAMS):
            link = hold(site, "full")
            assert link is not None
            connections.append(stack.enter_context(link))
        connections[0].sendall(request_for(site.address, "/en/"))
        assert connections[0].recv(100).startswith(b"HTTP/1.1 200 OK")
        assert hold(site, "full") is None
        assert connections[-1].recv(100) == b""
    assert site.get("/en/").status == 200


def test_a_web_proxy_gets_the_403_page(site: OnionSite) -> None:
    """A web proxy that identifies itself gets the page that explains the refusal."""
    answer = site.get("/en/", **{"X-Tor2web": "encrypted"})
    assert answer.status == 403
    assert answer.body == site.release.files["403.html"].body
