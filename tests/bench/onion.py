"""Measure a page over the onion beside an onion that answers with an empty body.

    python tests/bench/onion.py [--circuits 10] [--fetches 50] [--others 16]

A private Tor network on loopback, one tor with one onion, one client. The onion's port 80
leads to ``cccr-web serve`` with the real release, port 81 to the least waitress there is,
port 82 to one that sends as many bytes as we do, so all are asked over the very same
circuit: two circuits differ more than what is measured. They are asked in turn, each time
on a fresh stream, so whatever slows the machine slows all. A ratio is the median of the
circuits' own ratios.

It is done twice: alone, and among other readers. Real relays are never idle. Where nothing
else flows, the end of an answer waits for the receipt of what went before (Nagle's algorithm
and delayed receipts), and what is more than seven cells, the 4 KB that tor writes at once,
for the next turn of each relay's scheduler.
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

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

from support.hosting import RunningTor, short_folder, wait_until
from support.serving import Server, environment, talk
from support.tor_reader import Fetched, NoAnswerError, fetch, request_for
from support.tornet import TorNetwork

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import ControlConnection, OnionKey, connect, new_key
from cccr_web.release import write
from cccr_web.render import press

PAGE = "/en/"
PORTS = (80, 81, 82)
SERVERS = ("home page, packed", "empty answer of bare waitress", "as many bytes of bare waitress")
CELL = 498  # bytes of a stream that one cell carries (tor-spec, 6.1)
TRIES = 20
PAUSE = 0.02  # seconds between two pages of another reader
CLIENTS = 2  # the tors that the other readers have among them
BARE_HEAD = 96  # bytes of the head that bare waitress sends

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
    """Run waitress with an app that answers with so many bytes and no headers of ours."""
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


def add_onion(link: ControlConnection, key: OnionKey, targets: list[Path]) -> None:
    """Add the onion with our limits and a port for each target; ours is published with one."""
    ports = (f"Port={port},unix:{path}" for port, path in zip(PORTS, targets, strict=True))
    command = (
        f"ADD_ONION {key.blob} Flags=DiscardPK,Detach,MaxStreamsCloseCircuit MaxStreams=100"
        f" PoWDefensesEnabled=1 {' '.join(ports)}"
    )
    reply = link.send(command)
    if not reply.is_ok():
        raise SystemExit(f"Tor refuses the onion: {reply}")


def warm(socks: int, address: str, circuit: str) -> None:
    """Fetch until it answers: now there is a circuit."""
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
    """Fetch from all ports in turn, on one circuit."""
    warm(socks, address, name)
    got: list[list[Fetched]] = [[] for _ in PORTS]
    for number in range(count):
        for which in range(len(PORTS))[:: 1 if number % 2 else -1]:
            got[which].append(fetch(socks, address, PAGE, name, port=PORTS[which]))
    return got


@contextmanager
def others(network: TorNetwork, address: str, count: int) -> Iterator[None]:
    """Let so many others read the page of bare waitress all the while, each on a circuit."""
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
    """Return how many bytes the page has with its head, less a bare head's."""
    sent = request_for(host, PAGE).replace(b"keep-alive", b"close")
    return len(talk(server.onion, sent)) - BARE_HEAD


def row(name: str, got: list[Fetched], ratios: list[float]) -> str:
    """Return the table's row of one kind of answer."""
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
    """Fetch from all ports on each circuit; return the table's rows."""
    all_got: list[list[Fetched]] = [[] for _ in PORTS]
    ratios: list[list[float]] = [[] for _ in PORTS]
    for number in circuits:
        got = one_circuit(socks, address, f"circuit{number}", count)
        medians = [statistics.median(each.seconds for each in kind) for kind in got]
        for which, kind in enumerate(got):
            all_got[which] += kind
            ratios[which].append(medians[which] / medians[1])
        told = ", ".join(f"{each * 1000:.1f} ms" for each in medians)
        print(f"circuit {number}: {told}", file=sys.stderr)
    if any(each.status != 200 for kind in all_got for each in kind):
        raise SystemExit("Not every answer was a page.")
    return [row(*columns) for columns in zip(SERVERS, all_got, ratios, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--circuits", type=int, default=10)
    parser.add_argument("--fetches", type=int, default=50, help="of each kind on each circuit")
    parser.add_argument("--others", type=int, default=16, help="how many read at the same time")
    given = parser.parse_args()
    with short_folder() as folder, TorNetwork() as network:
        key = new_key(folder / "key")
        trees = find_tree("translations"), find_tree("templates")
        release = press(*trees, addresses=Addresses(None, (key.address,)), environ={})
        write(release, folder / "release")
        with (
            Server(folder, folder / "release") as server,
            bare_server(folder / "empty.sock", 0) as empty,
            bare_server(folder / "same.sock", direct_size(server, key.address)) as same,
            RunningTor(folder / "tor", network.torrc_lines) as tor,
        ):
            tor.await_control()
            with connect(tor.address) as link:
                add_onion(link, key, [server.onion, empty, same])
                asked = network.socks_port, key.address
                alone = measure(*asked, range(given.circuits), given.fetches)
                with others(network, key.address, given.others):
                    further = range(given.circuits, 2 * given.circuits)
                    among = measure(*asked, further, given.fetches)
    for title, rows in (("alone", alone), (f"among {given.others} others", among)):
        print(f"| {title} | bytes | cells | fetches | median, ms | p99, ms | ÷ empty | half |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|")
        print("\n".join(rows), end="\n\n")


if __name__ == "__main__":
    main()
