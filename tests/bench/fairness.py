"""Measure what a reader waits while others flood the server, next to bare waitress; print a table.

    .cache/venv/bin/python tests/bench/fairness.py [--seconds 5]

Both servers run without nginx. A reader requests a page again and again on one connection:
alone, while eight connections pipeline 80 KiB/s of ``HEAD /x`` in total, and while one
connection pipelines as much as the server takes. Then the reader sends odd heads, alone.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from support import TOP
from support.signed import put_release, signed_release
from support.tornet import end, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = "/en/index.html"
FLOOD = b"HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n" * 64
RATE = 80 * 1024
HEADS = {
    "a plain head": "",
    "an Accept-Language of 15 KB": "Accept-Language: " + "fr;q=0.1," * 1700,
    "a Host of 15 KB": "a" * 15_000,
    "1,500 headers": "\r\n".join(["a: b"] * 1500),
}


@contextlib.contextmanager
def started(*command: str) -> Iterator[None]:
    """Run a server."""
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", sys.executable, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=TOP,
    )
    try:
        yield
    finally:
        end(process)


def connect(port: int) -> socket.socket:
    """Connect to a server, which may still be starting."""
    for _ in range(1000):
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), 30)
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def read_head(link: socket.socket) -> None:
    """Read a response up to its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = link.recv(65536)
        if not more:
            return
        received += more


def waits(port: int, seconds: float, extra: str = "") -> list[float]:
    """Return the milliseconds that each response took, in order of size."""
    host = "localhost"
    if extra and ":" not in extra:
        host, extra = extra, ""
    lines = [f"HEAD {PAGE} HTTP/1.1", f"Host: {host}", *([extra] if extra else []), "", ""]
    sent = "\r\n".join(lines).encode()
    found = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        # Refused heads end the connection, so each has its own.
        with connect(port) as link:
            began = time.perf_counter()
            link.sendall(sent)
            read_head(link)
            found.append((time.perf_counter() - began) * 1000)
        time.sleep(0.005)
    return sorted(found)


@contextlib.contextmanager
def flooding(port: int, connections: int, rate: float) -> Iterator[None]:
    """Pipeline requests on some connections, together ``rate`` bytes a second."""
    stop = threading.Event()

    def drain(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while link.recv(65536):
                pass

    def send(link: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                link.sendall(FLOOD)
                stop.wait(len(FLOOD) * connections / rate)

    links = [connect(port) for _ in range(connections)]
    jobs: list[Callable[[socket.socket], None]] = [drain, send]
    threads = [threading.Thread(target=job, args=[link]) for link in links for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for link in links:
            link.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for link in links:
            link.close()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    seconds = parser.parse_args().seconds
    results: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        put_release(signed_release(1), Path(name))
        ports = free_ports(2)
        clearnet = ["--clearnet", f"127.0.0.1:{ports[0]}"]
        stack.enter_context(started("-m", "cccr_web", "serve", "--release", name, *clearnet))
        competitor = str(Path(__file__).with_name("competitors.py"))
        stack.enter_context(started(competitor, "bare", str(ports[1]), name + PAGE))
        for port in ports:
            waits(port, 0.5)
            for text, connections, rate in (
                ("8 connections, 80 KiB/s", 8, RATE),
                ("1 connection, all it can", 1, float("inf")),
            ):
                with flooding(port, connections, rate):
                    results.setdefault(text, []).append(waits(port, seconds))
            for text, extra in HEADS.items():
                results.setdefault(text, []).append(waits(port, seconds / 2, extra))
    print("| | ours: median, ms | p90 | bare waitress: median, ms | p90 | ours is (median) |")
    print("|---|--:|--:|--:|--:|--:|")
    for text, both in results.items():
        medians = [statistics.median(found) for found in both]
        tails = [found[int(len(found) * 0.9)] for found in both]
        cells = [f"{value:.2f}" for pair in zip(medians, tails, strict=True) for value in pair]
        print(f"| {text} | {' | '.join(cells)} | {medians[0] / medians[1]:.2f} × |")


if __name__ == "__main__":
    main()
