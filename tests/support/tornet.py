"""A private Tor network of real tor processes, all on 127.0.0.1.

It has five directory authorities, which are also the relays, and one client with a SOCKS
port. An onion service joins it with the torrc lines of ``write_torrc``, in a file that
``--torrc FILE`` accepts. Nothing here ever connects to the real Tor network.

As a script it runs a network for a developer, until Ctrl-C:
    PYTHONPATH=tests python3 -m support.tornet --torrc-out /tmp/private.torrc
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import http.client
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from support import socks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AUTHORITIES = 5  # with fewer than four relays tor builds no circuit
PORTS = range(10_000, 32_000)  # below ip_local_port_range, so no outgoing connection uses one
START_TIMEOUT = 60.0  # seconds; usually five to fifteen
NEEDED_FLAGS = {"Running", "Valid", "HSDir", "Guard"}

EVERY_NODE = """\
TestingTorNetwork 1
AssumeReachable 1
PathsNeededToBuildCircuits 0.25
ShutdownWaitLength 0
GeoIPFile {empty}
GeoIPv6File {empty}
"""

# Short voting times: without them the first consensus takes 100 seconds. An interval of 10 costs
# twice as much CPU, and one of 30 delays the first consensus.
AUTHORITY = """\
DataDirectory {data}
PidFile {data}/pid
Log notice file {data}/log
Address 127.0.0.1
Nickname {name}
ContactInfo none
ORPort 127.0.0.1:{orport}
DirPort 127.0.0.1:{dirport}
SocksPort 0
ExitRelay 0
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
TestingDirAuthVoteGuard *
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
V3AuthNIntervalsValid 2
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 20
V3AuthVoteDelay 2
V3AuthDistDelay 2
"""

BRIDGE = """\
DataDirectory {data}
Log notice file {data}/log
Address 127.0.0.1
SocksPort 0
ORPort 127.0.0.1:{orport}
BridgeRelay 1
PublishServerDescriptor 0
ExtORPort auto
ServerTransportPlugin obfs4 exec /usr/bin/obfs4proxy
ServerTransportListenAddr obfs4 127.0.0.1:{port}
"""

CLIENT = """\
DataDirectory {data}
Log notice file {data}/log
SocksPort 127.0.0.1:{socks}
"""


class NetworkDownError(Exception):
    """The private network did not start, or the client could not reach an onion."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a fetch: status, headers in their order, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def free_ports(count: int) -> list[int]:
    """Return ``count`` random free ports of 127.0.0.1, reserved until this process ends.

    No other process gets them from here: each is reserved by a socket in Linux's abstract
    namespace, which the kernel releases with the process. So test runs can work in parallel.
    """
    found: list[int] = []
    for port in random.sample(PORTS, 1000):
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0cccr-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        reservation.detach()  # keeps it open without an owner that would close it
        found.append(port)
        if len(found) == count:
            return found
    raise NetworkDownError("No port of 127.0.0.1 is free.")


def start_tor(torrc: Path) -> subprocess.Popen[bytes]:
    """Start a tor that exits with us, even if we are killed; its torrc says where it logs."""
    # Not TERM: an authority that exits now and then waits for its own threads forever.
    command = ["setpriv", "--pdeathsig", "KILL", "tor", "--defaults-torrc", "/dev/null"]
    return subprocess.Popen(
        [*command, "-f", str(torrc)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def end(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """Stop one process that we started: SIGTERM, then SIGKILL after ``grace`` seconds."""
    process.send_signal(signal.SIGCONT)
    process.terminate()
    await_end(process, grace)


def await_end(process: subprocess.Popen[bytes], grace: float) -> None:
    """Wait until a process ends; kill it after ``grace`` seconds."""
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Authority:
    """One directory authority: its keys, its ports and its DirAuthority line."""

    def __init__(self, folder: Path, number: int, orport: int, dirport: int) -> None:
        self.name = f"auth{number}"
        self.data = folder / self.name
        self.dirport = dirport
        keys = self.data / "keys"
        keys.mkdir(parents=True, mode=0o700)
        self.data.chmod(0o700)
        self.torrc = AUTHORITY.format(
            data=self.data, name=self.name, orport=orport, dirport=dirport
        )
        self._make_certificate(keys)
        fingerprint = self._fingerprint()
        certificate = (keys / "authority_certificate").read_text()
        identity = re.search(r"^fingerprint (\w+)$", certificate, re.MULTILINE)
        assert identity is not None
        self.line = (
            f"DirAuthority {self.name} orport={orport} no-v2 v3ident={identity[1]} "
            f"127.0.0.1:{dirport} {fingerprint}\n"
        )

    def _make_certificate(self, keys: Path) -> None:
        options = ["-m", "12", "-a", f"127.0.0.1:{self.dirport}", "--passphrase-fd", "0"]
        for option, name in (("-i", "identity_key"), ("-s", "signing_key"), ("-c", "certificate")):
            options += [option, str(keys / f"authority_{name}")]
        command = ["tor-gencert", "--create-identity-key", *options]
        subprocess.run(command, input=b"test\n", check=True, capture_output=True)

    def _fingerprint(self) -> str:
        # Tor lists its own fingerprint only if its torrc names some authority.
        other = f"DirAuthority x orport=1 no-v2 v3ident={'A' * 40} 127.0.0.1:1 {'A' * 40}\n"
        torrc = self.data / "torrc.fingerprint"
        torrc.write_text(f"TestingTorNetwork 1\n{other}{self.torrc}")
        options = ["--defaults-torrc", "/dev/null", "--list-fingerprint", "--quiet"]
        subprocess.run(["tor", "-f", str(torrc), *options], check=True, capture_output=True)
        return (self.data / "fingerprint").read_text().split()[1]

    def consensus(self) -> str:
        """Return the consensus that this authority serves, or ``""`` if it has none yet."""
        connection = http.client.HTTPConnection("127.0.0.1", self.dirport, timeout=2)
        try:
            connection.request("GET", "/tor/status-vote/current/consensus-microdesc")
            reply = connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()
        return body.decode("ascii", "replace") if reply.status == 200 else ""


class TorNetwork:
    """A private network: ``with TorNetwork() as network: network.fetch("http://….onion/")``.

    ``seconds`` is how long it took to start, ``socks_port`` is its client's SOCKS port, and
    ``torrc_lines`` are the lines that join a tor to it.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.socks_port = 0
        self.torrc_lines = ""
        self._folder = Path()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._authorities: list[_Authority] = []
        self._failures = 0

    def __enter__(self) -> Self:
        begin = time.monotonic()
        try:
            self._start()
        except NetworkDownError:
            self.stop()
            self._start()
        self.seconds = time.monotonic() - begin
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tornet-"))
        try:
            self._start_nodes()
        except BaseException:
            self.stop()
            raise

    def _start_nodes(self) -> None:
        empty = self._folder / "empty"
        empty.touch()
        ports = free_ports(2 * AUTHORITIES + 1)
        self.socks_port = ports.pop()
        with concurrent.futures.ThreadPoolExecutor(AUTHORITIES) as pool:
            makers = [
                pool.submit(_Authority, self._folder, n, ports[2 * n], ports[2 * n + 1])
                for n in range(AUTHORITIES)
            ]
            self._authorities = [maker.result() for maker in makers]
        names = "".join(authority.line for authority in self._authorities)
        self.torrc_lines = EVERY_NODE.format(empty=empty) + names
        for authority in self._authorities:
            self._run(authority.name, authority.torrc)
        self._await_consensus()
        self._start_client("client", self.socks_port, "")

    def add_client(self, name: str, lines: str = "") -> int:
        """Start another client with these extra torrc lines; return its SOCKS port."""
        (port,) = free_ports(1)
        self._start_client(name, port, lines)
        return port

    def _start_client(self, name: str, port: int, lines: str) -> None:
        client = self._folder / name
        client.mkdir(mode=0o700)
        self._run(name, CLIENT.format(data=client, socks=port) + lines)
        self._await_client(client / "log")

    def add_bridge(self, name: str) -> str:
        """Start an obfs4 bridge, and return its line, without the word Bridge."""
        port, orport = free_ports(2)
        data = self._folder / name
        data.mkdir(mode=0o700)
        self._run(name, BRIDGE.format(data=data, port=port, orport=orport))
        hint = data / "pt_state/obfs4_bridgeline.txt"
        arguments = ""
        for _ in self._until(START_TIMEOUT, "The bridge did not start"):
            if hint.exists():
                arguments = "".join(re.findall(r" cert=\S{9,} .*", hint.read_text()))
            if arguments:
                break
        _, fingerprint = (data / "fingerprint").read_text().split()
        return f"obfs4 127.0.0.1:{port} {fingerprint}{arguments}"

    def _run(self, name: str, lines: str) -> None:
        torrc = self._folder / f"{name}.torrc"
        torrc.write_text(self.torrc_lines + lines)
        self._processes.append(start_tor(torrc))

    def _await_consensus(self) -> None:
        def complete(consensus: str) -> bool:
            flags = re.findall(r"^s (.*)$", consensus, re.MULTILINE)
            good = [line for line in flags if set(line.split()) >= NEEDED_FLAGS]
            return len(good) == AUTHORITIES

        for _ in self._until(START_TIMEOUT, "The authorities reached no consensus"):
            if all(complete(authority.consensus()) for authority in self._authorities):
                return

    def _await_client(self, log: Path) -> None:
        for _ in self._until(START_TIMEOUT, "The client did not bootstrap"):
            if log.exists() and "Bootstrapped 100%" in log.read_text():
                return

    def _until(self, limit: float, problem: str) -> Iterator[None]:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self._processes):
                break
            yield
            time.sleep(0.1)
        raise NetworkDownError(f"{problem}. {self._log_tails()}")

    def _log_tails(self) -> str:
        tails = {log.parent.name: log.read_text()[-600:] for log in self._folder.glob("*/log")}
        return "\n".join(f"{name}: {tail}" for name, tail in tails.items())

    def stop(self) -> None:
        """Stop the processes of this network, and remove its files."""
        for process in self._processes:
            process.kill()  # nothing needs saving, and a clean exit of five takes long
        for process in self._processes:
            process.wait()
        self._processes.clear()
        if self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)

    def write_torrc(self, path: Path) -> Path:
        """Write the torrc lines that join a tor to this network; return ``path``."""
        path.write_text(self.torrc_lines)
        return path

    def fetch(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        timeout: float = 30.0,
        tries: int = 2,
    ) -> Reply:
        """Fetch an ``http://….onion/…`` through the client, with ``timeout`` seconds per try.

        Only a failed connection is retried (one in 150 fails), on a new circuit: now and then
        tor waits two minutes for a rendezvous that will not come. Raises ``NetworkDownError``
        if the last try fails too.
        """
        problem: Exception | None = None
        for _ in range(tries):
            circuit = f"tests {self._failures}"
            try:
                return fetch_by_socks(self.socks_port, url, headers or {}, method, timeout, circuit)
            except (OSError, http.client.HTTPException) as error:
                self._failures += 1
                problem = error
        raise NetworkDownError(f"{url}: {problem}") from problem

    def fetch_until(self, url: str, limit: float = 180.0) -> Reply:
        """Fetch ``url`` repeatedly until it answers, for at most ``limit`` seconds."""
        for _ in self._until(limit, f"{url} did not answer"):
            with contextlib.suppress(NetworkDownError):
                return self.fetch(url, timeout=10.0, tries=1)
        raise AssertionError


def fetch_by_socks(
    socks_port: int,
    url: str,
    headers: Mapping[str, str],
    method: str,
    timeout: float,
    circuit: str = "tests",
) -> Reply:
    """Send one HTTP request through a SOCKS port of tor, on the circuit of that name."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    connection.sock = socks.connect(socks_port, host, port, circuit=circuit, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return exchange(connection, method, target, headers)


def exchange(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str]
) -> Reply:
    """Send a request, read the whole response and close the connection."""
    try:
        connection.request(method, target, None, {**headers})
        reply = connection.getresponse()
        return Reply(reply.status, reply.getheaders(), reply.read())
    finally:
        connection.close()


def main() -> None:
    """Run a network until Ctrl-C or SIGTERM, for developers."""
    parser = argparse.ArgumentParser(description="A private Tor network on 127.0.0.1.")
    parser.add_argument("--torrc-out", type=Path, required=True, metavar="FILE")
    out: Path = parser.parse_args().torrc_out
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say = sys.stdout.write
    try:
        with TorNetwork() as network:
            network.write_torrc(out)
            say(f"up in {network.seconds:.1f} s\nsocks 127.0.0.1:{network.socks_port}\n")
            say(f"torrc {out}\n")
            sys.stdout.flush()
            signal.pause()
    except KeyboardInterrupt:
        os.write(1, b"stopped\n")


if __name__ == "__main__":
    main()
