"""Draw a bar chart: ``python chart.py FILE.png``, with lines of “name TAB number” on stdin."""

from __future__ import annotations

import sys

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt


def main() -> None:
    """Read the rows and write the chart."""
    rows = [line.rstrip("\n").replace("*", "").split("\t") for line in sys.stdin]
    names, rates = [row[0] for row in rows][::-1], [float(row[1]) for row in rows][::-1]
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    bars = axes.barh(names, rates, color=["#1a5" if "ours" in name else "#999" for name in names])
    axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=3)
    axes.set_xlabel("requests per second on one core, home page of 15 KB (longer is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.savefig(sys.argv[1], dpi=120, metadata={"Software": None})


if __name__ == "__main__":
    main()
