"""Pictures of the page, written whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nirbridge.files import whole_file

from .statistics import Sample

Points = Sequence[tuple[float, Sample]]
_COLOURS = ("#bdbdbd", "#92c5de", "#4393c3", "#053061", "#d6604d", "#4d9221", "#762a83")


def curves(
    path: Path,
    lines: Mapping[str, Points],
    x_label: str,
    y_label: str,
    title: str,
    x_log: bool = False,
    y_log: bool = False,
) -> None:
    """Means over a setting with their spread as bars."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for index, (label, points) in enumerate(lines.items()):
        xs, means, spreads = [x for x, _ in points], [s.mean for _, s in points], [s.spread for _, s in points]
        colour = _COLOURS[index % len(_COLOURS)]
        axis.errorbar(xs, means, spreads, label=label, color=colour, marker="o", ms=5, capsize=3)
    ticks = sorted({x for points in lines.values() for x, _ in points})
    if x_log:
        axis.set_xscale("log")
    if y_log:
        axis.set_yscale("log")
    axis.set_xticks(ticks, [f"{x:g}" for x in ticks], minor=False)
    axis.minorticks_off()
    _finish(figure, axis, x_label, y_label, title, path)


def bars(
    path: Path, groups: Mapping[str, Mapping[str, Sample]], y_label: str, title: str, cut_below: bool = False
) -> None:
    """Groups of bars: {group: {bar: sample}}, with their spread; ``cut_below`` leaves out most of what all share."""
    plt = pyplot()
    names = list(next(iter(groups.values())))
    figure, axis = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        places = [place + (index - (len(names) - 1) / 2) * width for place in range(len(groups))]
        samples = [members[name] for members in groups.values()]
        colour = _COLOURS[(index + 1) % len(_COLOURS)]
        means, spreads = [s.mean for s in samples], [s.spread for s in samples]
        axis.bar(places, means, width, yerr=spreads, label=name, color=colour, capsize=3)
    axis.set_xticks(range(len(groups)), list(groups))
    if cut_below:
        shown = [sample for members in groups.values() for sample in members.values()]
        floor = math.floor(min(sample.mean - sample.spread for sample in shown) - 1)
        axis.set_ylim(floor, math.ceil(max(sample.mean + sample.spread for sample in shown)))
        y_label = f"{y_label} (from {floor} on)"
    _finish(figure, axis, "", y_label, title, path, beside=True)


def _finish(figure: Any, axis: Any, x_label: str, y_label: str, title: str, path: Path, beside: bool = False) -> None:
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_title(title, fontsize=11)
    axis.grid(alpha=0.25)
    if beside:
        figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    else:
        axis.legend(frameon=False, fontsize=9)
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=100)
    pyplot().close(figure)


def pyplot() -> Any:
    """matplotlib, without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt
