"""Flood an onion on a private Tor network, and measure what other readers still get.

    python tests/abuse/flood.py [--seconds 30] [--rounds 1] [--line KB] [--setup NAME …]

Each setup publishes the real site on a separate tor and floods it. One reader, on a separate
client, requests the home page once a second. A second reader uses a new circuit each time,
like a new visitor. A third requests an onion on another tor that is not flooded, which
shows what the small network itself loses. ``--line`` limits the KB per second that the
site's machine may send. The kernel enforces it, like a real line: with tor's BandwidthRate,
responses would queue behind the point where tor prefers quiet circuits. The script must run
in its own network namespace, because it changes the loopback interface (``flood.sh``).
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from circuits import CircuitCloser
from flooder import Flood, flooding
from support.hosting import RunningTor, short_folder, web_server
from support.nginx import running, temporary
from support.serving import Server
from support.threads import BackgroundThreads
from support.tor_reader import NoAnswerError, fetch
from support.tornet import TorNetwork, end

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import Service, connect, new_key
from cccr_web.onion.service import publish
from cccr_web.release import write
from cccr_web.render import build_release

PAGE = "/en/"
COPIES = ("/cccr-web.zip", "/en/", "/en/cccr-en.html", "/zh-hans/")
PublishedPage = tuple[str, Callable[[], str]]
"""The address, and a function that returns a remark at the end."""

REJECTION_LIMIT = 20  # rejected requests in ten seconds before a circuit is closed
SITE_GROUP = 65534  # nogroup; the other programs of the network keep our group
READER_TIMEOUT = 10.0  # seconds before a reader gives up

FLOODS = {
    "none": Flood(0, 0, COPIES),
    "1 × 300": Flood(1, 300, COPIES),
    "40 × 25": Flood(40, 25, COPIES),
    "80 × 10": Flood(80, 10, COPIES),
    "held 40 × 80": Flood(40, 80, COPIES[:1], read=False),
    "held 200 × 15": Flood(200, 15, COPIES[:1], read=False),
}

SERVICE = """\
HiddenServiceDir {folder}/hs
HiddenServicePort 80 unix:{folder}/proxy.sock
HiddenServiceMaxStreams 100
HiddenServiceMaxStreamsCloseCircuit 1
HiddenServicePoWDefensesEnabled 1
HiddenServiceExportCircuitID haproxy
"""

# A browser opens six connections, and a person does not read ten pages a second.
FRONT = """\
daemon off; master_process off; pid {folder}/pid; error_log /dev/null emerg;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  {temporary}
  log_format circuit 'circuit=$proxy_protocol_addr';
  map $status $refused {{ 429 1; default 0; }}
  access_log {log};
  set_real_ip_from unix:; real_ip_header proxy_protocol;
  limit_req_zone $proxy_protocol_addr zone=requests:8m rate=10r/s;
  limit_conn_zone $proxy_protocol_addr zone=connections:8m;
  limit_req_status 429; limit_conn_status 429;
  server {{
    listen unix:{folder}/proxy.sock proxy_protocol backlog=1024;
    limit_req zone=requests burst=40 nodelay; limit_conn connections 8;
    location / {{
      proxy_pass http://unix:{server}:; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection close;
    }}
  }}
}}
"""


@dataclass
class Measured:
    """What one reader measured: the seconds of each response, and the number without one."""

    times: list[float] = field(default_factory=list)
    failed: int = 0

    def row(self) -> str:
        """Return the share answered, the median and the 95th percentile of all requests."""
        every = sorted([*self.times, *[math.inf] * self.failed])
        if not every:
            return "– | – | –"
        share = len(self.times) / len(every)
        tail = every[math.ceil(len(every) * 0.95) - 1]
        return f"{share:.0%} | {_seconds(statistics.median_low(every))} | {_seconds(tail)}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < math.inf else "none"


class Reader(BackgroundThreads):
    """Requests a page each second, even if the last response is still missing."""

    def __init__(self, socks: int, host: str, path: str, circuit: Callable[[int], str]) -> None:
        self.measured = Measured()
        self._socks, self._host, self._path, self._circuit = socks, host, path, circuit

    def _run(self) -> None:
        with ThreadPoolExecutor(math.ceil(READER_TIMEOUT) + 2) as pool:
            number = 0
            while not self._stopped.wait(1):
                number += 1
                pool.submit(self._ask, self._circuit(number))

    def _ask(self, circuit: str) -> None:
        try:
            got = fetch(self._socks, self._host, self._path, circuit, READER_TIMEOUT)
        except NoAnswerError:
            self.measured.failed += 1
        else:
            if got.status == 200:
                self.measured.times.append(got.seconds)
            else:
                self.measured.failed += 1


def warm(socks: int, host: str, path: str, circuit: str) -> None:
    """Request a page until it is answered once."""
    for _ in range(30):
        with contextlib.suppress(NoAnswerError):
            fetch(socks, host, path, circuit, 10)
            return
        time.sleep(0.5)
    raise SystemExit(f"{host} never answered.")


@contextlib.contextmanager
def proxy(folder: Path, server: Path, inbox: Path | None) -> Iterator[None]:
    """Run nginx on the socket that tor connects to."""
    log = f"syslog:server=unix:{inbox},nohostname circuit if=$refused" if inbox else "off"
    text = FRONT.format(folder=folder, temporary=temporary(folder), server=server, log=log)
    try:
        with running(folder, text, (folder / "proxy.sock").exists):
            yield
    finally:
        (folder / "proxy.sock").unlink(missing_ok=True)


def narrow(kilobytes: int) -> None:
    """Limit what the site's group sends per second, with a queue of 128 KB (tc-htb(8)).

    Raises ``SystemExit`` if there is any interface other than the loopback.
    """
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        raise SystemExit("This changes the network that it runs in: use tests/abuse/flood.sh.")
    rate = f"{kilobytes * 8}kbit" if kilobytes else "10gbit"
    for command in (
        "ip link set lo gso_max_segs 1",  # otherwise packets of 64 KB pass unsplit
        "tc qdisc add dev lo root handle 1: htb default 20",
        "tc class add dev lo parent 1: classid 1:20 htb rate 10gbit quantum 60000",
        f"tc class add dev lo parent 1: classid 1:10 htb rate {rate} burst 16k quantum 1500",
        "tc qdisc add dev lo parent 1:10 bfifo limit 128kb",
        "nft add table inet line",
        "nft add chain inet line out { type filter hook output priority 0 ; }",
        f"nft add rule inet line out meta skgid {SITE_GROUP} meta priority set 1:10",
    ):
        subprocess.run(command.split(), check=True)


@dataclass(frozen=True, slots=True)
class FloodNetwork:
    """What all setups share: the network, its clients, the release and the quiet onion."""

    network: TorNetwork
    reader: int
    flooders: tuple[int, ...]
    release: Path
    quiet: str

    @contextlib.contextmanager
    def published(self, folder: Path, max_streams: int) -> Iterator[PublishedPage]:
        """Publish as ``cccr-web onion publish`` does, directly to our server."""
        key = new_key(folder / "key")
        with (
            Server(folder, self.release, "--onion-address", key.address) as server,
            self._tor(folder) as tor,
            connect(tor.address) as connection,
        ):
            publish(connection, Service(key, server.onion, max_streams))
            yield key.address, lambda: ""

    @contextlib.contextmanager
    def limited(self, folder: Path, *, close: bool) -> Iterator[PublishedPage]:
        """Publish by torrc with circuit IDs, through nginx with limits per circuit.

        With ``close``, the circuits with the most rejected requests are closed.
        """
        hidden = folder / "hs"
        hidden.mkdir(mode=0o700)
        with self._tor(folder, SERVICE.format(folder=folder)) as tor:
            address = (hidden / "hostname").read_text().strip()
            with (
                Server(folder, self.release, "--onion-address", address) as server,
                connect(tor.address) as connection,
                contextlib.ExitStack() as stack,
            ):
                inbox = folder / "inbox" if close else None
                closer = (
                    stack.enter_context(CircuitCloser(inbox, connection, REJECTION_LIMIT))
                    if inbox
                    else None
                )
                stack.enter_context(proxy(folder, server.onion, inbox))
                yield address, lambda: f", {closer.closed} circuits closed" if closer else ""

    @contextlib.contextmanager
    def _tor(self, folder: Path, lines: str = "") -> Iterator[RunningTor]:
        """Run the site's tor in the group with the limited line."""
        tor = RunningTor(folder / "tor", self.network.torrc_lines + lines)
        os.setegid(SITE_GROUP)
        try:
            tor.start()
        finally:
            os.setegid(os.getgid())
        with contextlib.ExitStack() as stack:
            stack.callback(end, tor.process)
            tor.await_control()
            yield tor

    def measure(
        self, setup: str, flood: Flood, seconds: float
    ) -> tuple[dict[str, Measured], Counter[str], str]:
        """Flood one setup; return each reader's measurements, the flood's results and a remark."""
        with short_folder() as folder, SETUPS[setup](self, folder) as (host, remark):
            warm(self.reader, host, PAGE, "reader")
            warm(self.reader, self.quiet, "/", "quiet")
            with flooding(self.flooders, host, flood, seconds + 5) as counts:
                time.sleep(5)  # until the flood is at its peak
                with (
                    Reader(self.reader, host, PAGE, lambda _: "reader") as one,
                    Reader(self.reader, host, PAGE, lambda n: f"new{time.time()}{n}") as new,
                    Reader(self.reader, self.quiet, "/", lambda _: "quiet") as other,
                ):
                    time.sleep(seconds)
            seen = {
                "reader": one.measured,
                "new circuit": new.measured,
                "other onion": other.measured,
            }
            return seen, counts, remark()


SETUPS: dict[
    str, Callable[[FloodNetwork, Path], contextlib.AbstractContextManager[PublishedPage]]
] = {
    "100 streams": lambda lab, folder: lab.published(folder, 100),
    "16 streams": lambda lab, folder: lab.published(folder, 16),
    "limits": lambda lab, folder: lab.limited(folder, close=False),
    "limits, closing": lambda lab, folder: lab.limited(folder, close=True),
}


def add(total: Measured, more: Measured) -> None:
    """Add the measurements of another round."""
    total.times += more.times
    total.failed += more.failed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30, help="duration of each flood")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--line", type=int, default=1000, help="KB/s that the site's tor may send; 0: unlimited"
    )
    parser.add_argument("--setup", nargs="+", default=list(SETUPS), choices=list(SETUPS))
    parser.add_argument("--flood", nargs="+", default=list(FLOODS), choices=list(FLOODS))
    given = parser.parse_args()
    total: dict[tuple[str, str, str], Measured] = {}
    narrow(given.line)
    with short_folder() as folder, TorNetwork() as network, contextlib.ExitStack() as stack:
        trees = find_tree("translations"), find_tree("templates")
        write(build_release(*trees, addresses=Addresses()), folder / "release")
        many = "MaxClientCircuitsPending 1024\nMaxCircuitDirtiness 3600\n"
        flooders = tuple(network.add_client(f"flood{n}", many) for n in range(2))
        quiet = stack.enter_context(web_server(folder / "quiet.sock", b"x" * 4000))
        tor = stack.enter_context(RunningTor(folder / "tor", network.torrc_lines))
        tor.await_control()
        connection = stack.enter_context(connect(tor.address))
        key = new_key(folder / "key")
        publish(connection, Service(key, quiet))
        lab = FloodNetwork(network, network.socks_port, flooders, folder / "release", key.address)
        for _ in range(given.rounds):
            for name in given.flood:
                for setup in given.setup:
                    seen, counts, remark = lab.measure(setup, FLOODS[name], given.seconds)
                    got = ", ".join(f"{what}: {n}" for what, n in counts.most_common())
                    print(f"{name}, {setup}: flood got {got or 'nothing'}{remark}", file=sys.stderr)
                    for who, measured in seen.items():
                        add(total.setdefault((name, setup, who), Measured()), measured)
                        number = len(measured.times) + measured.failed
                        print(f"   {who}: {measured.row()} of {number}", file=sys.stderr)
    print("| flood | setup | reader | answered | median, s | p95, s |")
    print("|---|---|---|--:|--:|--:|")
    for (name, setup, who), measured in total.items():
        print(f"| {name} | {setup} | {who} | {measured.row()} |")


if __name__ == "__main__":
    main()
