"""CPU time of ``build`` with what an earlier build has left in the cache, relative to without.

500 statements in three languages, each as long as the longest of ours. One of them is changed in
each written language; then the release's sequence is raised too. Each time a build without a cache
must give the same bytes.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from support.texts import add, add_statements, copy_texts, replace_once

from cccr_web.languages import WRITTEN


def seconds(tree: Path, out: Path, *options: object) -> float:
    """Build a release; return the CPU time of the process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "cccr_web", "build", "--translations", tree, "--out", out]
    subprocess.run([*map(str, command), *map(str, options)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=500, help="statements of the site")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cccr-bench-") as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        tree, out, other, cache = (folder / name for name in ("site", "out", "other", "cache"))
        tree.mkdir()
        tree = copy_texts(tree)
        add_statements(tree, options.statements)
        first = seconds(tree, out, "--cache", cache)
        full, changed, raised = [], [], []
        sequence = 1
        for number in range(options.rounds):
            for language in WRITTEN:
                statement = sorted((tree / language.locale / "statements").glob("*made*"))[number]
                add(str(statement.relative_to(tree)), f"{number + 1}.")(tree)
            changed.append(seconds(tree, out, "--cache", cache))
            full.append(seconds(tree, other))
            compare(out, other)
            old, sequence = sequence, sequence + 1
            replace_once("site.toml", f"sequence = {old}", f"sequence = {sequence}")(tree)
            raised.append(seconds(tree, out, "--cache", cache))
            full.append(seconds(tree, other))
            compare(out, other)
    whole, count = statistics.median(full), options.statements
    print(f"full build: {whole:.1f} s of CPU time; the first with a cache {first / whole:.2f} x")
    print(f"one of {count} statements changed: {statistics.median(changed) / whole:.3f} x")
    print(f"the sequence raised: {statistics.median(raised) / whole:.3f} x")


def compare(ours: Path, theirs: Path) -> None:
    """Exit unless both folders have the same files."""
    files = [path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()]
    differ = filecmp.cmpfiles(ours, theirs, [str(file) for file in files], shallow=False)
    count = sum(path.is_file() for path in ours.rglob("*"))
    if differ[1] or differ[2] or count != len(files):
        raise SystemExit(f"The releases differ: {differ[1]}, {differ[2]}")


if __name__ == "__main__":
    main()
