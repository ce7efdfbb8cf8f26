"""Measure how long ``cccr-web preview`` takes from the write of a text to its paint in Chromium.

    python tests/bench/preview.py [--rounds 15] [--statements 50 1000]

Each round writes another sentence into a statement that Chromium shows, and waits for the paint
of the page with that sentence. Then it prints the median and the slowest round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from support.browser.devtools import TIME_LIMIT, Chromium, Tab
from support.hosting import short_folder
from support.previewed import PreviewProcess
from support.texts import copy_texts

SHOWN = "2013-05-07-tiananmen-rally"

BODIES = {
    "en": (
        "Statement {0}",
        "We ask for the release of all prisoners.\n\n## Demand {0}\n\nNo censorship.\n",
    ),
    "zh_Hans": (
        "第{0}号声明",
        "我们要求政府释放所有因言获罪的人。\n\n## 要求{0}\n\n停止审查。\n",
    ),
}


def add_statements(tree: Path, count: int) -> None:
    """Add statements in each language."""
    for locale, (title, body) in BODIES.items():
        for number in range(count):
            day = f"{2000 + number % 20}-{1 + number % 12:02}-{1 + number % 28:02}"
            head = f'title = "{title}"\ndescription = "{title}"\ndate = "{day}"\n'
            text = f"+++\n{head}updated = 2026-11-01\n+++\n\n{body}".format(number)
            (tree / locale / "statements" / f"{day}-s{number}.md").write_text(text, "utf-8")


def seconds_to_paint(browser: Chromium, tab: Tab, file: Path, old: str, new: str) -> float:
    """Replace ``old`` in a file that the tab shows; return the seconds until ``new`` is painted."""
    text = file.read_text(encoding="utf-8").replace(old, new)
    # The answer comes after the events that are still on their way.
    tab.evaluate("0")
    tab.events.clear()
    # Chromium's clock is the same (CLOCK_MONOTONIC).
    start = time.monotonic()
    file.write_text(text, encoding="utf-8")
    while True:
        for event in tab.events:
            if event.method == "Page.lifecycleEvent" and event.params["name"] == "firstPaint":
                assert new in tab.evaluate("document.body.textContent")
                return float(event.params["timestamp"]) - start
        browser.pump(start + TIME_LIMIT, "a paint")


def measure(count: int, rounds: int) -> list[float]:
    """Return the seconds of each round with this many statements."""
    with short_folder() as folder:
        tree = copy_texts(folder)
        add_statements(tree, count)
        file = tree / "en" / "statements" / f"{SHOWN}.md"
        with file.open("a", encoding="utf-8") as out:
            out.write("\nRound 0 of the measurement.\n")
        with (
            PreviewProcess(tree) as preview,
            Chromium(folder / "profile") as browser,
            browser.tab() as tab,
        ):
            tab.visit(f"{preview.address}en/statements/{SHOWN}.html")
            found = []
            for number in range(rounds):
                time.sleep(0.5)
                words = [f"Round {one} of the measurement" for one in (number, number + 1)]
                found.append(seconds_to_paint(browser, tab, file, *words))
            return found


def main() -> None:
    """Measure each number of statements, and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--statements", type=int, nargs="+", default=[50, 1000])
    options = parser.parse_args()
    for count in options.statements:
        found = measure(count, options.rounds)
        sys.stdout.write(
            f"{count:,} statements: {statistics.median(found):.2f} s from write to paint, "
            f"slowest {max(found):.2f} s\n"
        )


if __name__ == "__main__":
    main()
