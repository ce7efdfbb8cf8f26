"""Flood an onion on a private Tor network, and ask what a second reader still gets.

    python tests/abuse/flood.py [--seconds 30] [--rounds 1] [--line KB] [--setup NAME …]

Each set-up publishes the real site on a tor of its own and floods it. A reader on a client
of his own asks for the home page once a second; another does so on a new circuit each
time, as somebody does who comes now; a third asks an onion that nobody floods, on another
tor, which shows what the small network itself loses. ``--line`` is how many KB a second
the site's machine may send. The kernel holds it to that, as a real line would: with tor's
own BandwidthRate answers pile up behind the point where tor lets quiet circuits go first.
It must run in a network namespace of its own, whose loopback it changes (``flood.sh``).
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

from circuits import Closer
from flooder import Flood, flooding
from support.hosting import RunningTor, short_folder, wait_until, web_server
from support.serving import Server
from support.tor_reader import NoAnswerError, fetch
from support.tornet import TorNetwork, end

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.onion import Service, ServiceLimits, connect, new_key, publish
from cccr_web.release import write
from cccr_web.render import press

PAGE = "/en/"
COPIES = ("/cccr-web.zip", "/en/", "/en/cccr-en.html", "/zh-hans/")
Published = tuple[str, Callable[[], str]]
"""The address, and what is to be remarked at the end."""

REFUSALS = 20  # within ten seconds, after which a circuit is closed
SITE_GROUP = 65534  # nogroup, the network’s other programs are in ours
PATIENCE = 10.0  # seconds after which a reader has gone

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
HiddenServicePort 80 unix:{folder}/front.sock
HiddenServiceMaxStreams 100
HiddenServiceMaxStreamsCloseCircuit 1
HiddenServicePoWDefensesEnabled 1
HiddenServiceExportCircuitID haproxy
"""

# One browser opens six connections; a person reads a page, not ten a second.
FRONT = """\
daemon off; master_process off; pid {folder}/pid; error_log /dev/null emerg;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  log_format circuit 'circuit=$proxy_protocol_addr';
  map $status $refused {{ 429 1; default 0; }}
  access_log {log};
  set_real_ip_from unix:; real_ip_header proxy_protocol;
  limit_req_zone $proxy_protocol_addr zone=requests:8m rate=10r/s;
  limit_conn_zone $proxy_protocol_addr zone=connections:8m;
  limit_req_status 429; limit_conn_status 429;
  server {{
    listen unix:{folder}/front.sock proxy_protocol backlog=1024;
    limit_req zone=requests burst=40 nodelay; limit_conn connections 8;
    location / {{
      proxy_pass http://unix:{server}:; proxy_http_version 1.1;
      proxy_set_header Host $http_host; proxy_set_header Connection close;
    }}
  }}
}}
"""


@dataclass
class Asked:
    """What one reader saw: the seconds of each answer, and how often none came."""

    times: list[float] = field(default_factory=list)
    missed: int = 0

    def row(self) -> str:
        """Return the share answered, the median and the 95th percentile, all asked counted."""
        every = sorted([*self.times, *[math.inf] * self.missed])
        if not every:
            return "– | – | –"
        share = len(self.times) / len(every)
        tail = every[math.ceil(len(every) * 0.95) - 1]
        return f"{share:.0%} | {_seconds(statistics.median_low(every))} | {_seconds(tail)}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < math.inf else "none"


class Reader:
    """Asks for a page each second, whether the last answer came or not."""

    def __init__(self, socks: int, host: str, path: str, circuit: Callable[[int], str]) -> None:
        self.asked = Asked()
        self._socks, self._host, self._path, self._circuit = socks, host, path, circuit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with ThreadPoolExecutor(math.ceil(PATIENCE) + 2) as pool:
            number = 0
            while not self._stop.wait(1):
                number += 1
                pool.submit(self._ask, self._circuit(number))

    def _ask(self, circuit: str) -> None:
        try:
            got = fetch(self._socks, self._host, self._path, circuit, PATIENCE)
        except NoAnswerError:
            self.asked.missed += 1
        else:
            if got.status == 200:
                self.asked.times.append(got.seconds)
            else:
                self.asked.missed += 1


def warm(socks: int, host: str, path: str, circuit: str) -> None:
    """Ask until it answers once."""
    for _ in range(30):
        with contextlib.suppress(NoAnswerError):
            fetch(socks, host, path, circuit, 10)
            return
        time.sleep(0.5)
    raise SystemExit(f"{host} never answered.")


@contextlib.contextmanager
def front(folder: Path, server: Path, inbox: Path | None) -> Iterator[None]:
    """Run nginx on the socket that tor connects to."""
    log = f"syslog:server=unix:{inbox},nohostname circuit if=$refused" if inbox else "off"
    config = folder / "nginx.conf"
    config.write_text(FRONT.format(folder=folder, server=server, log=log))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", program, "-c", str(config)])
    try:
        wait_until((folder / "front.sock").exists, 10)
        yield
    finally:
        end(process)
        (folder / "front.sock").unlink(missing_ok=True)


def narrow(kilobytes: int) -> None:
    """Let the site's group send so many KB a second, with room for 128 KB to wait (tc-htb(8)).

    Raises ``SystemExit`` where there is more than a loopback.
    """
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        raise SystemExit("This changes the network it runs in: use tests/abuse/flood.sh.")
    rate = f"{kilobytes * 8}kbit" if kilobytes else "10gbit"
    for command in (
        "ip link set lo gso_max_segs 1",  # or packets of 64 KB go through it whole
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
class Lab:
    """What all set-ups share: the network, its clients, the release, an onion nobody floods."""

    network: TorNetwork
    reader: int
    flooders: tuple[int, ...]
    release: Path
    quiet: str

    @contextlib.contextmanager
    def published(self, folder: Path, max_streams: int) -> Iterator[Published]:
        """Publish as ``cccr-web onion publish`` does, straight to our server."""
        key = new_key(folder / "key")
        with (
            Server(folder, self.release, "--onion-address", key.address) as server,
            self._tor(folder) as tor,
            connect(tor.address) as link,
        ):
            publish(link, Service(key, server.onion, ServiceLimits(max_streams)))
            yield key.address, lambda: ""

    @contextlib.contextmanager
    def limited(self, folder: Path, *, close: bool) -> Iterator[Published]:
        """Publish by torrc with circuit IDs, through nginx with limits a circuit.

        With ``close`` the circuits that are refused most are closed.
        """
        hidden = folder / "hs"
        hidden.mkdir(mode=0o700)
        with self._tor(folder, SERVICE.format(folder=folder)) as tor:
            address = (hidden / "hostname").read_text().strip()
            with (
                Server(folder, self.release, "--onion-address", address) as server,
                connect(tor.address) as link,
                contextlib.ExitStack() as stack,
            ):
                inbox = folder / "inbox" if close else None
                closer = stack.enter_context(Closer(inbox, link, REFUSALS)) if inbox else None
                stack.enter_context(front(folder, server.onion, inbox))
                yield address, lambda: f", {closer.closed} circuits closed" if closer else ""

    @contextlib.contextmanager
    def _tor(self, folder: Path, lines: str = "") -> Iterator[RunningTor]:
        """Run the site's tor in the group whose packets go by the narrow line."""
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
    ) -> tuple[dict[str, Asked], Counter[str], str]:
        """Flood one set-up; return what each reader saw, what the flood got, and a remark."""
        with short_folder() as folder, SETUPS[setup](self, folder) as (host, remark):
            warm(self.reader, host, PAGE, "reader")
            warm(self.reader, self.quiet, "/", "quiet")
            with flooding(self.flooders, host, flood, seconds + 5) as counts:
                time.sleep(5)  # until it is at its height
                with (
                    Reader(self.reader, host, PAGE, lambda _: "reader") as one,
                    Reader(self.reader, host, PAGE, lambda n: f"new{time.time()}{n}") as new,
                    Reader(self.reader, self.quiet, "/", lambda _: "quiet") as other,
                ):
                    time.sleep(seconds)
            seen = {"reader": one.asked, "newcomer": new.asked, "other onion": other.asked}
            return seen, counts, remark()


SETUPS: dict[str, Callable[[Lab, Path], contextlib.AbstractContextManager[Published]]] = {
    "100 streams": lambda lab, folder: lab.published(folder, 100),
    "16 streams": lambda lab, folder: lab.published(folder, 16),
    "limits": lambda lab, folder: lab.limited(folder, close=False),
    "limits, closing": lambda lab, folder: lab.limited(folder, close=True),
}


def add(total: Asked, more: Asked) -> None:
    """Add a round's answers."""
    total.times += more.times
    total.missed += more.missed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30, help="of each flood")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--line", type=int, default=1000, help="KB/s of the site's tor; 0: any")
    parser.add_argument("--setup", nargs="+", default=list(SETUPS), choices=list(SETUPS))
    parser.add_argument("--flood", nargs="+", default=list(FLOODS), choices=list(FLOODS))
    given = parser.parse_args()
    total: dict[tuple[str, str, str], Asked] = {}
    narrow(given.line)
    with short_folder() as folder, TorNetwork() as network, contextlib.ExitStack() as stack:
        trees = find_tree("translations"), find_tree("templates")
        write(press(*trees, addresses=Addresses(), environ={}), folder / "release")
        many = "MaxClientCircuitsPending 1024\nMaxCircuitDirtiness 3600\n"
        flooders = tuple(network.add_client(f"flood{n}", many) for n in range(2))
        quiet = stack.enter_context(web_server(folder / "quiet.sock", b"x" * 4000))
        tor = stack.enter_context(RunningTor(folder / "tor", network.torrc_lines))
        tor.await_control()
        link = stack.enter_context(connect(tor.address))
        key = new_key(folder / "key")
        publish(link, Service(key, quiet))
        lab = Lab(network, network.socks_port, flooders, folder / "release", key.address)
        for _ in range(given.rounds):
            for name in given.flood:
                for setup in given.setup:
                    seen, counts, remark = lab.measure(setup, FLOODS[name], given.seconds)
                    got = ", ".join(f"{what}: {n}" for what, n in counts.most_common())
                    print(f"{name}, {setup}: flood got {got or 'nothing'}{remark}", file=sys.stderr)
                    for who, asked in seen.items():
                        add(total.setdefault((name, setup, who), Asked()), asked)
                        print(
                            f"   {who}: {asked.row()} of {len(asked.times) + asked.missed}",
                            file=sys.stderr,
                            flush=True,
                        )
    print("| flood | set-up | who asks | answered | median, s | p95, s |")
    print("|---|---|---|--:|--:|--:|")
    for (name, setup, who), asked in total.items():
        print(f"| {name} | {setup} | {who} | {asked.row()} |")


if __name__ == "__main__":
    main()
