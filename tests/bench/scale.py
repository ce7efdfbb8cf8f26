"""Measure sites of more and more statements; print a table, and draw a plot.

    python tests/bench/scale.py --competitors PYTHON [--statements 10,1000] [--plot FILE.svg]

Each statement is as long as the longest of ours, in three languages. PYTHON is an interpreter with
``requirements.txt`` installed. Times are CPU times of a command with its subprocesses: another
process that runs meanwhile makes them longer, but less so than the time on the clock.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import brotli
from generators import hugo, pelican
from plot import plot
from support.signed import organisation_key, organisation_key_file
from support.texts import add_statements, texts_with_key

from cccr_web.serve.policy import is_compressible

SIZES: Final = (10, 200, 400, 500, 1000, 10_000)
RELOADS: Final = 6
TICKS: Final = os.sysconf("SC_CLK_TCK")
KEY: Final = organisation_key().public

Figures = dict[str, float]


def measured(command: Sequence[object]) -> tuple[float, float]:
    """Run a command; return its CPU time in seconds, and its peak memory in MB."""
    with subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed.")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def ours(*arguments: object) -> list[object]:
    """Return the command line of one of our commands."""
    return [sys.executable, "-m", "cccr_web", *arguments]


def of_site(count: int, folder: Path, python: str) -> Figures:
    """Build, sign, verify and serve a site of so many statements; return what it took."""
    texts, release, key = texts_with_key(folder, KEY), folder / "release", folder / "cccr.key"
    add_statements(texts, count)
    key.write_bytes(organisation_key_file())
    (folder / "passphrase").write_text("\n")
    found: Figures = {}
    command = ours("build", "--translations", texts, "--out", release)
    found["build"], found["build memory"] = measured(command)
    signing = ("--key", key, "--passphrase-file", folder / "passphrase")
    found["sign"], _ = measured(ours("sign", release, *signing))
    found["verify"], _ = measured(ours("verify", release, "--public-key", KEY))
    statements = sorted((texts / "en" / "statements").glob("*-made-*.md"))
    found["hugo"], _ = measured(hugo(statements, folder / "hugo"))
    found["pelican"], _ = measured(pelican(statements, folder / "pelican", python))
    for output in ("hugo/public", "pelican/output"):
        if len([*(folder / output).rglob("*.html")]) < count:
            raise SystemExit(f"{output} lacks statements.")
    files = [file for file in release.rglob("*") if file.is_file()]
    found["files"] = len(files)
    found["size"] = sum(file.stat().st_size for file in files) / 1e6
    found["tools"] = of_tools(files)
    found |= of_server(release, folder)
    found["list"] = len(brotli.compress((release / "en/statements/index.html").read_bytes()))
    found["entries"] = (release / "en/feed.xml").read_bytes().count(b"<entry")
    return found


def of_tools(files: Sequence[Path]) -> float:
    """Return the CPU time of sha256sum, gzip -6 and brotli -q 5 over the files that we read."""
    used = 0.0
    for batch in (files[first : first + 5000] for first in range(0, len(files), 5000)):
        used += measured(["sha256sum", *batch])[0]
    pages = [file for file in files if is_compressible(file.name)]
    began = time.process_time()
    for page in pages:
        body = page.read_bytes()
        gzip.compress(body, 6)
        brotli.compress(body, quality=5)
    return used + time.process_time() - began


def of_server(release: Path, folder: Path) -> Figures:
    """Return what a server of the release takes to start, and its memory with reloads."""
    found: Figures = {}
    where = ("--clearnet", f"unix:{folder}/clearnet.sock", "--domain", "cccr.example")
    onion = ("--onion-socket", f"unix:{folder}/onion.sock", "--onion-address", f"{'a' * 55}d.onion")
    known = ("--public-key", KEY, "--state", folder / "state")
    command = [*map(str, ours("serve", "--release", release, *known, *where, *onion))]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with stopped(started) as it:
        if it.stdout is None or not it.stdout.readline():
            raise SystemExit("The server did not start.")
        found["start"] = cpu_time(it.pid)
        found["memory"] = resident(it.pid)
        for _ in range(RELOADS):
            it.send_signal(signal.SIGHUP)
            settle(it.pid)
        found["reloaded"] = resident(it.pid)
    return found


@contextmanager
def stopped(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process once it is running, and stop it at the end."""
    with process:
        try:
            yield process
        finally:
            process.terminate()


def settle(process: int) -> None:
    """Wait until a process does nothing more."""
    used = -1.0
    while (now := cpu_time(process)) != used:
        used = now
        time.sleep(2)


def cpu_time(process: int) -> float:
    """Return the CPU time of a process and its subprocesses that have ended (proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS


def resident(process: int) -> float:
    """Return the memory of a process in MB, once it does nothing more."""
    settle(process)
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) * 1024 / 1e6


ROWS: Final[Mapping[str, Any]] = {
    "files": lambda each: f"{each['files']:,.0f}",
    "release, MB": lambda each: f"{each['size']:.0f}",
    "`build`, s": lambda each: f"{each['build']:.1f}",
    "relative to Hugo, English only": lambda each: f"{each['build'] / each['hugo']:.1f} ×",
    "relative to Pelican, English only": lambda each: f"{each['build'] / each['pelican']:.1f} ×",
    "memory of `build`, MB": lambda each: f"{each['build memory']:.0f}",
    "`sign`, s": lambda each: f"{each['sign']:.1f}",
    "`verify`, s": lambda each: f"{each['verify']:.1f}",
    "start of `serve`, s": lambda each: f"{each['start']:.1f}",
    "relative to sha256sum, gzip -6 and brotli -q 5": lambda each: (
        f"{each['start'] / each['tools']:.2f} ×"
    ),
    "memory of `serve`, MB": lambda each: f"{each['memory']:.0f}",
    "relative to the release": lambda each: f"{each['memory'] / each['size']:.2f} ×",
    f"after {RELOADS} reloads, relative to before": lambda each: (
        f"{each['reloaded'] / each['memory']:.2f} ×"
    ),
    "list of statements, bytes in brotli": lambda each: f"{each['list']:,.0f}",
    "entries in `feed.xml`": lambda each: f"{each['entries']:,.0f}",
}


def table(found: Mapping[int, Figures]) -> str:
    """Return the Markdown table: a row for each figure, a column for each number of statements."""
    lines = [
        "| statements | " + " | ".join(f"{count:,}" for count in found) + " |",
        "|---|" + "--:|" * len(found),
        *(
            f"| {name} | " + " | ".join(show(each) for each in found.values()) + " |"
            for name, show in ROWS.items()
        ),
    ]
    return "\n".join(lines)


def load() -> str:
    """Return how busy the machine is."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def sizes(text: str) -> Iterable[int]:
    """Parse numbers that are separated by commas."""
    return [int(each) for each in text.split(",")]


def main() -> None:
    """Measure, print the table and draw the plot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--competitors", required=True, metavar="PYTHON")
    parser.add_argument("--statements", type=sizes, default=SIZES)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    os.environ["CCCR_MAX_MEGABYTES"] = "1000"
    print(f"Before: {load()}.\n", flush=True)
    found: dict[int, Figures] = {}
    for count in given.statements:
        with tempfile.TemporaryDirectory(prefix="cccr-bench-") as name:
            found[count] = of_site(count, Path(name), given.competitors)
        print(f"{count:,} statements: {found[count]}", file=sys.stderr)
    print(table(found))
    if {200, 400} <= found.keys():
        print(f"\n`build` of 400 to 200: {found[400]['build'] / found[200]['build']:.2f}")
    print(f"\nAfter: {load()}.")
    if given.plot:
        given.plot.write_text(plot(found), encoding="utf-8")


if __name__ == "__main__":
    main()
