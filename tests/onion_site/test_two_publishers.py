"""Several servers with one onion on the private Tor network: never two publish at once."""

from __future__ import annotations

import contextlib
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Self

import pytest
from support.crowd import Readers
from support.hosting import RunningTor, Watched, short_folder, wait_until, web_server
from support.signed import organisation_key

from cccr_web import files
from cccr_web.errors import OnionError
from cccr_web.listen import Unix
from cccr_web.notices import make_promotion
from cccr_web.onion import (
    ExternalTor,
    OnionKey,
    Published,
    Service,
    StandingBy,
    connect,
    derive_key,
    new_key,
)
from cccr_web.onion.service import list_services
from cccr_web.standby import Peers, Turn

if TYPE_CHECKING:
    from pathlib import Path

    from support.measurements import Recorder
    from support.tornet import TorNetwork

NAMES = ("root@a", "root@b")
NOW = int(time.time())


class OnionServer:
    """One server: its tor, its site, its own onion for peers, and its manager."""

    def __init__(self, folder: Path, name: str, key: OnionKey, network: TorNetwork) -> None:
        folder.mkdir()
        self.folder = folder
        self.name = name
        self.key = key
        addresses = {each: derive_key(key, each).address for each in NAMES}
        self.peer = addresses.pop(name)
        socks = folder / "tor/socks"
        lines = f"{network.torrc_lines}SocksPort unix:{socks} ExtendedErrors\n"
        self.tor = RunningTor(folder / "tor", lines)
        first = derive_key(key, NAMES[0]).address
        self.turn = Turn(
            key.address,
            Peers(self.peer, first, tuple(addresses.values())),
            folder / "promotion",
            organisation_key().public,
            Unix(socks),
        )
        self._stack = contextlib.ExitStack()
        self._site = self._stack.enter_context(web_server(folder / "web.sock", name.encode()))
        self._notes = self._stack.enter_context(note_server(folder))

    def start(self) -> None:
        """Start its tor, its onion for peers and its manager."""
        self.tor.start()
        self.tor.await_control()
        tor = ExternalTor(self.tor.address)
        self.for_peers = Watched(Service(derive_key(self.key, self.name), self._notes), tor)
        self.manager = Watched(
            Service(self.key, self._site, record=self.folder / "record"),
            tor,
            obstacle=self._obstacle,
            obstacle_interval=1.0,
        )
        self.for_peers.__enter__()
        self.for_peers.wait_for(Published)
        self.manager.__enter__()

    def _obstacle(self, publishing: bool) -> str | None:  # the manager's signature
        found = self.turn.reason(publishing=publishing)
        return found.text if found else None

    def die(self) -> None:
        """Lose its tor and its managers at once, and what is in /run, as with the power."""
        self.tor.kill()
        self.manager.end()
        self.for_peers.end()
        (self.folder / "record").unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop everything."""
        self.die()
        self._stack.close()

    def promote(self, number: int, server: OnionServer) -> None:
        """Put a note on this server that names ``server``."""
        note = make_promotion(organisation_key(), NOW + number, server.peer)
        files.replace(self.folder / "promotion", note)

    def publishes(self) -> bool:
        """Whether its tor runs the onion."""
        with contextlib.suppress(OnionError), connect(self.tor.address) as link:
            return self.key.address in list_services(link)
        return False


@contextlib.contextmanager
def note_server(folder: Path) -> Iterator[Path]:
    """Serve the file ``promotion`` of a folder, as nginx does."""

    class NoteHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            note = folder / "promotion"
            self.send_response(200 if note.exists() else 404)
            self.end_headers()
            if note.exists():
                self.wfile.write(note.read_bytes())

        def address_string(self) -> str:
            return ""

        def log_message(self, *_: object) -> None:
            pass

    path = folder / "notes.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), NoteHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.1])
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()


class Pair:
    """Two servers, and how often both published at the same time."""

    def __init__(self, folder: Path, network: TorNetwork) -> None:
        self.key = new_key(folder / "onion.key")
        self.network = network
        self.a, self.b = (OnionServer(folder / n[-1], n, self.key, network) for n in NAMES)
        self.twice = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._end.wait(0.1):
            self.twice += self.a.publishes() and self.b.publishes()

    def __enter__(self) -> Self:
        self.a.start()
        self.b.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.a.stop()
        self.b.stop()

    def reader_gets(self, server: OnionServer) -> None:
        """Wait until a reader gets that server's page."""
        url = f"http://{self.key.address}/"
        wait_until(lambda: self.network.fetch_until(url).body == server.name.encode(), 60)


@pytest.fixture
def pair(tor_network: TorNetwork) -> Iterator[Pair]:
    """Two servers with one onion; the first publishes. Both never publish at once."""
    with short_folder() as folder, Pair(folder, tor_network) as made:
        made.a.manager.wait_for(Published)
        made.b.manager.wait_for(StandingBy)
        yield made
        assert made.twice == 0


def test_a_promotion_stops_the_former_publisher_first(pair: Pair, note: Recorder) -> None:
    """The note ends the one, and only then begins the other; then back again."""
    pair.reader_gets(pair.a)
    for number, (old, new) in enumerate(((pair.a, pair.b), (pair.b, pair.a)), start=1):
        begin = time.monotonic()
        old.promote(number, new)
        assert old.manager.wait_for(StandingBy).reason == "another server publishes the onion"
        new.promote(number, new)
        new.manager.wait_for(Published, 120)
        pair.reader_gets(new)
        note("promotion until a reader gets the new server's page", time.monotonic() - begin)


def test_a_dead_publisher_is_replaced_and_stands_by_when_it_returns(
    pair: Pair, note: Recorder
) -> None:
    """The other publishes once the admin says so; the old one returns without harm."""
    pair.reader_gets(pair.a)
    with Readers(pair.network, pair.key.address) as readers:
        readers.wait_for_all(0.0, 120)
        pair.a.die()
        begin = time.monotonic()
        pair.b.promote(1, pair.b)
        pair.b.manager.wait_for(Published, 120)
        pair.reader_gets(pair.b)
        note("dead publisher until a reader gets the other's page", time.monotonic() - begin)
        last = readers.wait_for_all(begin, 180)
    note("dead publisher until 100 readers get the other's page", last - begin)
    note("share of their fetches that succeed meanwhile", readers.share(begin, last), "")
    pair.a.start()
    assert "another server publishes" in pair.a.manager.wait_for(StandingBy, 120).reason


def test_a_returning_publisher_that_cannot_ask_its_peer_asks_as_a_reader(pair: Pair) -> None:
    """Without an answer from any peer, the onion itself tells that another server publishes it."""
    pair.a.die()
    pair.b.promote(1, pair.b)
    pair.b.manager.wait_for(Published, 120)
    pair.b.for_peers.end()
    pair.a.start()
    assert "the onion answers" in pair.a.manager.wait_for(StandingBy, 180).reason


def test_a_publisher_goes_on_at_once_when_its_tor_returns(pair: Pair, note: Recorder) -> None:
    """A restart of its tor makes no other server publish, and costs no time for questions."""
    begin = time.monotonic()
    pair.a.tor.kill()
    pair.a.tor.start()
    pair.a.manager.wait_for(Published, 25)
    note("tor of a publisher restarted, with a peer", time.monotonic() - begin)


def test_a_publisher_that_was_called_gone_but_lives_ends_first(pair: Pair) -> None:
    """It learns of the note from its peer, which waits until the onion no longer answers."""
    pair.b.promote(1, pair.b)
    assert "another server publishes" in pair.a.manager.wait_for(StandingBy, 120).reason
    pair.b.manager.wait_for(Published, 120)
    pair.reader_gets(pair.b)
