"""Pictures of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results.pictures import pyplot
from nirbridge.files import whole_file

from .measuring import AT_MOST, spread

GOOD, BAD, LINE = "#4393c3", "#d6604d", "#053061"


def targets(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Each row's median and range over its target, the other way round where more is better: up to 1 is met."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(9, 1 + 0.2 * len(rows)), layout="constrained")
    for place, row in enumerate(reversed(rows)):
        found = [value / row["target"] for value in spread(row["values"])]
        median, low, high = found if row["bound"] == AT_MOST else (1 / found[0], 1 / found[2], 1 / found[1])
        colour = GOOD if median <= 1 else BAD
        axis.plot((low, high), (place, place), color=colour, lw=2, alpha=0.5)
        axis.plot(median, place, "o", color=colour, ms=5)
    axis.axvline(1, color=LINE, lw=1)
    axis.set_xscale("log")
    ticks = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_ylim(-0.7, len(rows) - 0.3)
    axis.set_yticks(range(len(rows)), [row["what"] for row in reversed(rows)], fontsize=7)
    axis.set_xlabel("measured / target, or target / measured where more is better")
    _finish(figure, axis, path)


def growth(path: Path, curves: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Seconds over size, both logarithmic, one panel a curve, beside a line through the last point."""
    plt = pyplot()
    figure, axes = plt.subplots(1, len(curves), figsize=(2.7 * len(curves), 2.8), layout="constrained", squeeze=False)
    for axis, (name, points) in zip(axes[0], curves.items(), strict=True):
        sizes, seconds = zip(*points, strict=True)
        axis.loglog(sizes, seconds, "o-", color=GOOD, ms=4)
        axis.loglog(sizes, [seconds[-1] * size / sizes[-1] for size in sizes], "--", color=LINE, lw=0.8)
        axis.set_title(name, fontsize=9)
        axis.set_ylabel("CPU seconds" if axis is axes[0][0] else "")
        axis.grid(alpha=0.25)
    _finish(figure, axes[0][0], path)


def _finish(figure: Any, axis: Any, path: Path) -> None:
    axis.grid(alpha=0.25)
    with whole_file(path) as file:
        # Without the version of matplotlib in it, so that the same numbers give the same file.
        figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    pyplot().close(figure)
