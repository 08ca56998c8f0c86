"""Pictures of a run's curves: RESULTS.json FOLDER; one SVG file for each, whose name is that of its scenario.

Runs in the virtual environment of the Python peers, which has matplotlib, and imports nothing else.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "pyproxy"  # the same results give the same file
from matplotlib import pyplot as plt  # noqa: E402 (after the choice of a backend)

COLOURS = {"pyproxy": "#3776ab", "Envoy": "#ac6199", "HAProxy": "#2a9d8f", "nginx": "#6c757d"}
FIGURES = ("requests/s", "CPU µs/request")
AXES = {
    "connections": "connections, all with a request",
    "body sizes": "bytes of the response",
    "header counts": "headers of the request",
    "open connections": "open connections, 64 with a request",
}


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write the pictures."""
    scenarios: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for series in results["series"]:
        if series["x"] is not None and series["figure"] in FIGURES:
            scenarios[series["scenario"]].append(series)
    versions = ", ".join(f"{name} {results['versions'][name]}" for name in ("pyproxy", *list(COLOURS)[1:], "Python"))
    foot = f"{results['machine']}\n{versions}\n{results['when'][:10]}; medians, with the lowest and the highest round"
    for scenario, all_series in scenarios.items():
        figure, plots = plt.subplots(1, len(FIGURES), figsize=(9, 3.8), layout="constrained")
        for plot, name in zip(plots, FIGURES, strict=True):
            of_subject: dict[str, list[tuple[float, list[float]]]] = defaultdict(list)
            for series in all_series:
                if series["figure"] == name:
                    of_subject[series["subject"]].append((series["x"], series["values"]))
            for subject, points in of_subject.items():
                points.sort()
                middle = [median(values) for _, values in points]
                below = [at - min(values) for at, (_, values) in zip(middle, points, strict=True)]
                above = [max(values) - at for at, (_, values) in zip(middle, points, strict=True)]
                plot.errorbar(
                    [x for x, _ in points], middle, yerr=[below, above], label=subject, color=COLOURS[subject],
                    marker="o", markersize=4, capsize=2, linewidth=1.5,
                )  # fmt: skip
            xs = sorted({x for points in of_subject.values() for x, _ in points})
            if xs[-1] > 20:
                plot.set_xscale("symlog" if xs[0] == 0 else "log", **({"linthresh": 1000} if xs[0] == 0 else {}))
            if scenario == "body sizes":
                plot.set_yscale("log")
            else:
                plot.set_ylim(bottom=0)
            plot.set_xticks(xs, [short(x) for x in xs], fontsize=8)
            plot.minorticks_off()
            plot.set_xlabel(AXES.get(scenario, scenario))
            plot.set_title(name, fontsize=10)
            plot.grid(alpha=0.25)
        plots[0].legend(fontsize=8)
        figure.supxlabel(foot, fontsize=6.5, color="#555555")
        figure.savefig(folder / f"{scenario.replace(' ', '-')}.svg", metadata={"Date": None})
        plt.close(figure)


def short(number: float) -> str:
    """``256k`` or ``10M``."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
