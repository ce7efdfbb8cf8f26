"""Measure a page over the onion, compared with an empty response over the same circuit.

    python tests/bench/onion.py [--circuits 10] [--fetches 50] [--others 16]

It uses a private Tor network on loopback, one tor with one onion, and one client. The onion's
port 80 leads to ``cccr-web serve`` with the real release, port 81 to a minimal waitress, and
port 82 to a waitress that sends as many bytes as we do. All share one circuit, because two
circuits differ by more than the measured effect. They are requested in turn on new streams,
so that a busy machine slows them equally. A ratio is the median of the circuits' ratios.

Everything is measured twice: alone, and among other readers, because real relays are never
idle. On an idle network, the end of a response waits for the acknowledgement of earlier data
(Nagle's algorithm and delayed acknowledgements), and data beyond seven cells, the 4 KB that
tor writes at once, waits for the next run of each relay's scheduler.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from support.hosting import RunningTor, short_folder, wait_until
from support.serving import Server, environment, talk
from support.tor_reader import Fetched, NoAnswerError, fetch, request_for
from support.tornet import TorNetwork

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import ControlConnection, OnionKey, connect, new_key
from cccr_web.release import write
from cccr_web.render import build_release

PAGE = "/en/"
PORTS = (80, 81, 82)
SERVERS = ("home page, compressed", "bare waitress, empty body", "bare waitress, same size")
CELL = 498  # bytes of a stream that one cell carries (tor-spec, 6.1)
TRIES = 20
PAUSE = 0.02  # seconds between two requests of another reader
CLIENTS = 2  # tors that the other readers share
BARE_HEAD = 96  # bytes of bare waitress's response head

BARE = """
import logging, sys, waitress
logging.disable()
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", sys.argv[2])])
    return [bytes(int(sys.argv[2]))]
waitress.serve(app, unix_socket=sys.argv[1], _quiet=True)
"""


@contextmanager
def bare_server(path: Path, size: int) -> Iterator[Path]:
    """Run waitress with an app that returns ``size`` bytes, without our headers."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", BARE, str(path), str(size)],
        env=environment(),
    )
    try:
        wait_until(path.exists, 10)
        yield path
    finally:
        process.terminate()
        process.wait(10)


def add_onion(connection: ControlConnection, key: OnionKey, targets: list[Path]) -> None:
    """Add the onion with our limits and one port per target."""
    ports = (f"Port={port},unix:{path}" for port, path in zip(PORTS, targets, strict=True))
    command = (
        f"ADD_ONION {key.blob} Flags=DiscardPK,Detach,MaxStreamsCloseCircuit MaxStreams=100"
        f" PoWDefensesEnabled=1 {' '.join(ports)}"
    )
    reply = connection.send(command)
    if not reply.is_ok():
        raise SystemExit(f"Tor rejects the onion: {reply}")


def warm(socks: int, address: str, circuit: str) -> None:
    """Fetch until it answers, so that the circuit exists."""
    for number in range(TRIES):
        try:
            fetch(socks, address, PAGE, circuit)
        except NoAnswerError:
            if number + 1 == TRIES:
                raise
            time.sleep(1)
        else:
            return


def one_circuit(socks: int, address: str, name: str, count: int) -> list[list[Fetched]]:
    """Fetch from all ports in turn on one circuit."""
    warm(socks, address, name)
    got: list[list[Fetched]] = [[] for _ in PORTS]
    for number in range(count):
        for which in range(len(PORTS))[:: 1 if number % 2 else -1]:
            got[which].append(fetch(socks, address, PAGE, name, port=PORTS[which]))
    return got


@contextmanager
def others(network: TorNetwork, address: str, count: int) -> Iterator[None]:
    """Run ``count`` other readers of bare waitress's page, each on its own circuit."""
    ports = [network.add_client(f"other{number}") for number in range(CLIENTS)]
    over = threading.Event()

    def read(number: int) -> None:
        while not over.wait(PAUSE):
            with suppress(NoAnswerError):
                fetch(ports[number % CLIENTS], address, PAGE, f"other{number}", port=PORTS[2])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        for number in range(count):
            warm(ports[number % CLIENTS], address, f"other{number}")
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def direct_size(server: Server, host: str) -> int:
    """Return the size of the page and its head, minus a bare head."""
    sent = request_for(host, PAGE).replace(b"keep-alive", b"close")
    return len(talk(server.onion, sent)) - BARE_HEAD


def row(name: str, got: list[Fetched], ratios: list[float]) -> str:
    """Return the table row of one server."""
    times = sorted(each.seconds for each in got)
    tail = times[math.ceil(len(times) * 0.99) - 1]
    size = got[0].size
    low, middle, high = statistics.quantiles(ratios, n=4)
    return (
        f"| {name} | {size:,} | {math.ceil(size / CELL)} | {len(times)} "
        f"| {statistics.median(times) * 1000:.1f} | {tail * 1000:.0f} "
        f"| {middle:.3f} | {low:.3f}–{high:.3f} |"
    )


def measure(socks: int, address: str, circuits: range, count: int) -> list[str]:
    """Fetch from all ports on each circuit; return the table rows."""
    all_got: list[list[Fetched]] = [[] for _ in PORTS]
    ratios: list[list[float]] = [[] for _ in PORTS]
    for number in circuits:
        got = one_circuit(socks, address, f"circuit{number}", count)
        medians = [statistics.median(each.seconds for each in kind) for kind in got]
        for which, kind in enumerate(got):
            all_got[which] += kind
            ratios[which].append(medians[which] / medians[1])
        summary = ", ".join(f"{each * 1000:.1f} ms" for each in medians)
        print(f"circuit {number}: {summary}", file=sys.stderr)
    if any(each.status != 200 for kind in all_got for each in kind):
        raise SystemExit("Not every response has status 200.")
    return [row(*columns) for columns in zip(SERVERS, all_got, ratios, strict=True)]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--circuits", type=int, default=10)
    parser.add_argument(
        "--fetches", type=int, default=50, help="fetches from each server on each circuit"
    )
    parser.add_argument("--others", type=int, default=16, help="number of other readers")
    given = parser.parse_args()
    with short_folder() as folder, TorNetwork() as network:
        key = new_key(folder / "key")
        trees = find_tree("translations"), find_tree("templates")
        release = build_release(*trees, addresses=Addresses(None, (key.address,)))
        write(release, folder / "release")
        with (
            Server(folder, folder / "release") as server,
            bare_server(folder / "empty.sock", 0) as empty,
            bare_server(folder / "same.sock", direct_size(server, key.address)) as same,
            RunningTor(folder / "tor", network.torrc_lines) as tor,
        ):
            tor.await_control()
            with connect(tor.address) as connection:
                add_onion(connection, key, [server.onion, empty, same])
                target = network.socks_port, key.address
                alone = measure(*target, range(given.circuits), given.fetches)
                with others(network, key.address, given.others):
                    further = range(given.circuits, 2 * given.circuits)
                    among = measure(*target, further, given.fetches)
    for title, rows in (("alone", alone), (f"among {given.others} others", among)):
        print(f"| {title} | bytes | cells | fetches | median, ms | p99, ms | ÷ empty | quartiles |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        print("\n".join(rows), end="\n\n")


if __name__ == "__main__":
    main()
