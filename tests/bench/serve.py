"""Measure how fast pages are served, compared with competitors in the same run; print a table.

    python tests/bench/serve.py --competitors PYTHON [--seconds 2] [--rounds 5]

PYTHON is an interpreter with ``requirements.txt`` installed. Servers run on core 0, wrk on
core 1. Each round measures every server for some seconds. The result is the best round for
requests/s and the 99th percentile (other work only slows a server), the median for CPU time.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import http.client
import json
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support import TOP
from support.deployed_nginx import DeployedNginx, written
from support.hosting import short_folder
from support.serving import DOMAIN, ONION
from support.signed import content, facts, organisation_key
from support.tornet import end, free_ports

from cccr_web.config import find_tree
from cccr_web.content import Addresses
from cccr_web.mirror import header_rules
from cccr_web.release import Release, Signer, make_release, with_archive, write
from cccr_web.render import build_release
from cccr_web.serve import file_headers
from cccr_web.serve.policy import listener_policy

HERE = Path(__file__).parent
CONNECTIONS = 32
STATEMENTS = 10_000
TICKS = os.sysconf("SC_CLK_TCK")
IDLE = 1500  # connections


@dataclass
class Competitor:
    """A server: the command that starts it on a port, and its measurements."""

    name: str
    command: Callable[[int], list[str]]
    path: str = "/en/index.html"
    host: str = "localhost"
    start: float = 0.0
    megabytes: float = 0.0
    port: int = 0
    processes: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    tails: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def family(process: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(each for child in children for each in family(int(child)))]


def cpu_seconds(processes: list[int]) -> dict[int, float]:
    """Return the CPU time used by each process that still runs (proc(5))."""
    used: dict[int, float] = {}
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            used[process] = (int(fields[11]) + int(fields[12])) / TICKS
    return used


def megabytes(processes: list[int]) -> float:
    """Return their peak memory in MB of 1,000,000 bytes."""
    texts = (Path(f"/proc/{each}/status").read_text() for each in processes)
    return sum(int(re.findall(r"VmHWM:\s+(\d+) kB", text)[0]) for text in texts) * 1024 / 1e6


def first_answer(competitor: Competitor, limit: float = 60) -> int:
    """Request the page until it is answered; return the size of its body."""
    end = time.monotonic() + limit
    while True:
        link = http.client.HTTPConnection("127.0.0.1", competitor.port, timeout=10)
        try:
            link.request("GET", competitor.path, headers={"Host": competitor.host})
            answer = link.getresponse()
            body = answer.read()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.005)
            continue
        finally:
            link.close()
        if answer.status != 200:
            raise SystemExit(f"{competitor.name}: {answer.status} for {competitor.path}")
        return len(body)


@contextmanager
def started(competitor: Competitor) -> Iterator[None]:
    """Run a server on core 0 and wait for its first response."""
    competitor.port = competitor.port or free_ports(1)[0]
    command = competitor.command(competitor.port)
    began = time.monotonic()
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", "0", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    try:
        note_start(competitor, process, began)
        yield
        competitor.megabytes = competitor.megabytes or megabytes(competitor.processes)
    finally:
        end(process, 10)


def note_start(competitor: Competitor, process: subprocess.Popen[bytes], began: float) -> None:
    """Wait for the first response, and record the start time."""
    size = first_answer(competitor)
    competitor.start = time.monotonic() - began
    competitor.processes = family(process.pid)
    print(f"{competitor.name}: {size:,} bytes, {competitor.start:.2f} s to start", file=sys.stderr)


def measure(competitor: Competitor, seconds: float, script: Path | None = None) -> None:
    """Run wrk for some seconds."""
    before = cpu_seconds(competitor.processes)
    done = subprocess.run(
        [
            *("taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"),
            *("-H", f"Host: {competitor.host}"),
            *(("-s", str(script)) if script else ()),
            f"http://127.0.0.1:{competitor.port}{competitor.path}",
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # Not every process is left: nginx's cache loader exits after a minute.
    after = cpu_seconds(competitor.processes)
    competitor.processes = list(after)
    used = sum(seconds - before[process] for process, seconds in after.items())
    if "Non-2xx" in done:
        raise SystemExit(f"{competitor.name} answered with errors:\n{done}")
    (requests,) = re.findall(r"(\d+) requests in", done)
    (rate,) = re.findall(r"Requests/sec:\s+([\d.]+)", done)
    ((tail, unit),) = re.findall(r"99%\s+([\d.]+)(us|ms|s)", done)
    if int(requests) == 0:
        print(
            f"{competitor.name}: no request was answered, the machine is too busy", file=sys.stderr
        )
        return
    competitor.rates.append(float(rate))
    competitor.tails.append(float(tail) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit])
    competitor.cpu.append(used / int(requests) * 1e6)


@functools.cache
def deployed() -> Mapping[str, str]:
    """Return the nginx configuration that ``deploy.sh`` writes, the same for every release."""
    known = facts(clearnet=f"https://{DOMAIN}", onions=(ONION,))
    release = make_release(content(1), known)
    return written(Signer(organisation_key()).sign(with_archive(release)))


def nginx_before_ours(folder: Path, port: int) -> list[str]:
    """Return the command that starts the deployed nginx in front of ``onion.sock`` in ``folder``.

    wrk requests the page of the onion's server block, which has no TLS, like every other server
    here. The block listens on a port, because wrk cannot connect to a unix socket.
    """
    nginx = DeployedNginx(folder)
    nginx.write(deployed(), (f"unix:{nginx.onion}", f"127.0.0.1:{port}"))
    return nginx.command


def nginx_with_files(folder: Path, port: int, release: Release, files: Path) -> list[str]:
    """Return the command that starts nginx as a mirror of the release.

    deploy.sh lets nginx serve no files, so these are the rules of ``cccr-web mirror``, among the
    deployed settings.
    """
    rules = header_rules(release, "clearnet", ["nginx"])["nginx"]
    mirror = f"server {{\nlisten 127.0.0.1:{port};\nroot {files};\n{rules}}}\n"
    nginx = DeployedNginx(folder)
    nginx.write({**deployed(), "onion.conf": mirror})
    return nginx.command


def ours(folder: Path, port: int, *more: str) -> list[str]:
    """Return the command that starts our server."""
    where = ["--release", str(folder), "--clearnet", f"127.0.0.1:{port}"]
    return [sys.executable, "-m", "cccr_web", "serve", *where, *more]


def many_statements(release: Release) -> Release:
    """Return the release with 10,000 more statements, all with different bytes."""
    page = release.files["en/index.html"].body
    more = {
        f"en/statements/{number:05}.html": page + f"<!-- {number} -->".encode()
        for number in range(STATEMENTS)
    }
    known = dataclasses.replace(facts(), style_hashes=release.metadata.style_hashes)
    return make_release({"en/index.html": page, **more}, known)


def table(competitors: list[Competitor]) -> str:
    """Return the Markdown table, with our advantage in requests/s and in CPU time."""
    lines = [
        (
            "| server | requests/s | CPU, µs per request | ours: requests/s | ours: CPU | p99, ms "
            "| memory, MB | start, s |"
        ),
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    own, own_cpu = max(competitors[0].rates), statistics.median(competitors[0].cpu)
    for each in competitors:
        rate = max(each.rates)
        cpu = statistics.median(each.cpu)
        lines.append(
            f"| {each.name} | {rate:,.0f} | {cpu:.0f} | {own / rate:.2f} × | {cpu / own_cpu:.2f} × "
            f"| {min(each.tails):.1f} | {each.megabytes:.0f} | {each.start:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--competitors", required=True, metavar="PYTHON")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    release = build_release(
        find_tree("translations"),
        find_tree("templates"),
        addresses=Addresses("https://cccr.example", (ONION,)),
    )
    policy = listener_policy("clearnet", release.metadata)
    os.environ["CCCR_MAX_MEGABYTES"] = "1000"
    os.environ["HEADERS"] = json.dumps(file_headers(release, policy)["/en/index.html"])
    with short_folder() as folder, ExitStack() as stack:
        static, proxy = folder / "static", folder / "proxy"
        static.mkdir()
        proxy.mkdir()
        write(release, folder / "release")
        write(many_statements(release), folder / "many")
        page = folder / "release" / "en" / "index.html"

        def competitor(kind: str) -> Callable[[int], list[str]]:
            return lambda port: [
                given.competitors,
                str(HERE / "competitors.py"),
                kind,
                str(port),
                str(page),
            ]

        def shared(_: int) -> list[str]:
            tool = str(Path(given.competitors).with_name("onionshare-cli"))
            home = f"HOME={folder}"
            # OnionShare chooses its port itself and prints it.
            return [
                "env",
                home,
                tool,
                "--local-only",
                "--website",
                "--public",
                str(page.parent.parent),
            ]

        to_nginx = ("--onion-socket", f"unix:{proxy}/onion.sock")
        own = Competitor("**ours**", lambda port: ours(folder / "release", port, *to_nginx))
        servers = [
            own,
            Competitor("ours, 10,000 statements", lambda port: ours(folder / "many", port)),
            Competitor(
                "ours, no prepared responses",
                lambda port: [
                    *(sys.executable, str(HERE / "without_layer.py")),
                    *(str(folder / "release"), str(port)),
                ],
            ),
            Competitor("granian, our headers", competitor("granian")),
            Competitor("bare waitress", competitor("bare")),
            Competitor("whitenoise", competitor("whitenoise"), "/"),
            Competitor("Flask + Talisman", competitor("talisman"), "/"),
            Competitor("Flask, rendering live", competitor("rendering"), "/"),
            Competitor(
                "nginx, files",
                lambda port: nginx_with_files(static, port, release, folder / "release"),
            ),
            Competitor(
                "nginx cache before ours",
                lambda port: nginx_before_ours(proxy, port),
                host=ONION,
            ),
        ]
        for server in servers:
            stack.enter_context(started(server))
        if Path(given.competitors).with_name("onionshare-cli").exists():
            server = Competitor("OnionShare, website mode", shared)
            stack.enter_context(onionshare(server))
            servers.insert(8, server)
        for number in range(given.rounds):
            for server in servers:
                measure(server, given.seconds)
            print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
        script = folder / "many.lua"
        script.write_text(MANY)
        measure_many(servers[1], given.seconds, script)
        measure_idle(own, given.seconds)
    print(table(servers))


# Requests all statements in turn, so that none is in the processor's cache.
MANY = f"""
local n = 0
request = function()
  n = (n * 21 + 1) % {STATEMENTS}
  return wrk.format("GET", string.format("/en/statements/%05d.html", n))
end
"""


def measure_many(server: Competitor, seconds: int, script: Path) -> None:
    """Measure all statements in turn, as another round."""
    measure(server, seconds, script)
    print(
        f"all statements in turn: {server.rates[-1]:,.0f} requests/s, {server.cpu[-1]:.0f} µs",
        file=sys.stderr,
    )


@contextmanager
def onionshare(competitor: Competitor) -> Iterator[None]:
    """Run OnionShare, which prints the port it chose and then a line for each request."""
    began = time.monotonic()
    # Output goes to a file: OnionShare would block on a full pipe.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", "0", *competitor.command(0)],
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not (
                match := re.search(
                    rb"http://127\.0\.0\.1:(\d+)", os.pread(output.fileno(), 4096, 0)
                )
            ):
                time.sleep(0.01)
            competitor.port = int(match[1])
            note_start(competitor, process, began)
            yield
            competitor.megabytes = competitor.megabytes or megabytes(competitor.processes)
        finally:
            end(process, 10)


def measure_idle(server: Competitor, seconds: int) -> None:
    """Measure while other connections are open and idle."""
    alone = statistics.median(server.cpu)
    head = f"GET {server.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * IDLE, hard), hard))
    with ExitStack() as stack:
        for _ in range(IDLE):
            link = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            link.sendall(head)
            link.recv(1)
        measure(server, seconds)
    print(
        f"{server.name}, with {IDLE:,} idle connections: "
        f"{server.cpu[-1]:.0f} µs, {server.cpu[-1] / alone:.2f} ×"
    )


if __name__ == "__main__":
    main()
