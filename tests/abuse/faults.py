"""Inject faults into running servers, and count what readers get meanwhile.

    python tests/abuse/faults.py RELEASE [--seconds N]

Each fault has its own ``cccr-web serve`` on loopback.
"""

from __future__ import annotations

import argparse
import http.client
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = "/en/index.html"


class FaultyServer:
    """A server that can be killed and restarted on the same port."""

    def __init__(self, release: Path, *before: str, port: int = 0) -> None:
        self._release = release
        self._before = before
        self.port = port
        self.start()

    def start(self) -> None:
        """Start the server and wait until it listens."""
        command = [
            *("setpriv", "--pdeathsig", "KILL", *self._before),
            *(sys.executable, "-m", "cccr_web", "serve"),
            *("--release", str(self._release), "--clearnet", f"127.0.0.1:{self.port}"),
        ]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The server does not start: {' '.join(command)}")
        self.port = int(line.rpartition(":")[2].strip().rstrip("/"))

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send the server a signal and wait until it has exited."""
        self.process.send_signal(number)
        self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()

    @contextmanager
    def readers(self, whole: bytes, number: int = 4) -> Iterator[Counter[str]]:
        """Request the page continuously on new connections, and count the results."""
        counts: Counter[str] = Counter()
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                counts[self.request(whole)] += 1

        threads = [threading.Thread(target=read) for _ in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield counts
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def request(self, whole: bytes) -> str:
        """Request the page once; return the result."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", PAGE)
            answer = connection.getresponse()
            body = answer.read()
        except TimeoutError:
            return "hang"
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
            return "no answer"
        finally:
            connection.close()
        return "whole" if (answer.status, body) == (200, whole) else f"wrong: {answer.status}"


def random_kills(release: Path, whole: bytes, seconds: float) -> Counter[str]:
    """Kill the server at random times under steady load: no reader gets a wrong byte."""
    server = FaultyServer(release)
    chance = random.Random(5)  # noqa: S311
    end = time.monotonic() + seconds
    with server.readers(whole) as counts:
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.2, 3))
            server.kill()
            server.start()
            counts["kills"] += 1
    server.kill(signal.SIGTERM)
    return counts


def counts_while_held(
    server: FaultyServer, connections: list[socket.socket], whole: bytes, seconds: float
) -> Counter[str]:
    """Return what readers get while the connections stay open; then end the server."""
    with server.readers(whole) as counts:
        time.sleep(seconds / 10)
    for connection in connections:
        connection.close()
    server.kill(signal.SIGTERM)
    return counts


def few_files(release: Path, whole: bytes, seconds: float) -> Counter[str]:
    """Limit the server to 128 open files, and hold 1,000 connections: every reader is answered."""
    server = FaultyServer(release, "prlimit", "--nofile=128:128")
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(1000)]
    return counts_while_held(server, connections, whole, seconds)


def little_memory(release: Path, whole: bytes, seconds: float) -> Counter[str]:
    """Limit the server's address space, and request the largest file with slow readers."""
    server = FaultyServer(release, "prlimit", f"--as={400 * 1024 * 1024}")
    connections = []
    for _ in range(1000):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        link.connect(("127.0.0.1", server.port))
        link.sendall(b"GET /cccr-web.zip HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        connections.append(link)
    return counts_while_held(server, connections, whole, seconds)


def full_disk(release: Path, whole: bytes, seconds: float) -> Counter[str]:
    """Serve from a full disk that also holds temporary files, and then delete the release."""
    with tempfile.TemporaryDirectory() as name:
        disk = Path(name)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
        try:
            shutil.copytree(release, disk / "release")
            try:
                with (disk / "fill").open("wb", buffering=0) as fill:
                    while True:
                        fill.write(bytes(65536))
            except OSError:
                pass
            server = FaultyServer(disk / "release", "env", f"TMPDIR={disk}")
            with server.readers(whole) as counts:
                time.sleep(seconds / 20)
                shutil.rmtree(disk / "release")
                time.sleep(seconds / 20)
            server.kill(signal.SIGTERM)
        finally:
            subprocess.run(["umount", disk], check=True)
    return counts


def clock_jumps(release: Path, whole: bytes, seconds: float) -> Counter[str]:
    """Move the server's clock by years; connections depend on the monotonic clock."""
    with tempfile.TemporaryDirectory() as name:
        clock = Path(name) / "clock"
        clock.write_text("+0")
        faketime = shutil.which("faketime")
        if faketime is None:
            return Counter({"not tried: faketime is not installed": 1})
        settings = [f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_CACHE_DURATION=1"]
        settings += ["FAKETIME_DONT_FAKE_MONOTONIC=1"]
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        server = FaultyServer(release, "env", f"LD_PRELOAD={library}", *settings)
        with server.readers(whole) as counts:
            for jump in ("-3650d", "+3650d", "-1d", "+0"):
                clock.write_text(jump)
                time.sleep(max(seconds / 40, 1.2))
                counts["jumps"] += 1
        server.kill(signal.SIGTERM)
    return counts


def main() -> int:
    """Inject every fault and print the counts; return 1 if a reader got a wrong result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("release", type=Path)
    parser.add_argument(
        "--seconds", type=float, default=600, help="duration of the load with random kills"
    )
    given = parser.parse_args()
    whole = (given.release / PAGE[1:]).read_bytes()
    bad = 0
    for trial in (few_files, little_memory, full_disk, clock_jumps, random_kills):
        counts = trial(given.release, whole, given.seconds)
        print(f"{trial.__name__}: {dict(counts)}", flush=True)
        unanswered = counts["no answer"] if trial is not random_kills else 0
        bad += unanswered + sum(
            n for what, n in counts.items() if what.startswith(("wrong", "hang"))
        )
        bad += not counts["whole"] and "not tried" not in str(counts)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
