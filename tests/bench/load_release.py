"""Measure how long it takes to load and verify a signed release of 1,001 files and 50 MB.

    .cache/venv/bin/python tests/bench/load_release.py [ROUNDS]

It is compared with ``sha256sum --check`` of the same files, which verifies no signature,
accepts unlisted files and keeps nothing in memory. Both read from the page cache. The result
is the best of ROUNDS, with the median in parentheses.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from support.signed import facts, organisation_key, put_release

from cccr_web.release import Signer, load, make_release

PAGES = 1000
PAGE_BYTES = 50_000


def measure(work: Callable[[], object], rounds: int) -> str:
    """Return the best and the median time of some ``rounds``."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return f"{min(seconds):.3f} s (median {statistics.median(seconds):.3f} s of {rounds})"


def main() -> None:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rounds", nargs="?", type=int, default=7)
    rounds = parser.parse_args().rounds
    pages = {f"en/statements/{number:04}.html": os.urandom(PAGE_BYTES) for number in range(PAGES)}
    release = Signer(organisation_key()).sign(make_release(pages, facts()))
    key = organisation_key().public
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "release"
        put_release(release, folder)
        total = sum(len(file.body) for file in release.listed.values())
        sums = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
        print(f"{len(release.listed):,} listed files, {total / 1e6:.1f} MB")
        print("load and verify:", measure(lambda: load(folder, key), rounds))
        baseline = measure(lambda: subprocess.run(sums, cwd=folder, check=True), rounds)
        print("sha256sum --check:", baseline)


if __name__ == "__main__":
    main()
