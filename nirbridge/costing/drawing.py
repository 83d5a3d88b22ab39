"""Energy reports and frontiers as pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from math import isclose
from typing import Any

from nirbridge.costing.frontier import OperatingPoint, frontier
from nirbridge.costing.label_places import place_labels
from nirbridge.costing.report import EnergyReport
from nirbridge.costing.text import energy_text, ratio_text
from nirbridge.errors import InputError
from nirbridge.pictures import new_figure, save_figure
from nirbridge.pictures.names import short_name
from nirbridge.reports import drawable

_SNN, _ANN, _RATE = "#2166ac", "#bdbdbd", "#4d9221"
_MARKERS = "osD^vP*Xhp"
_FEW = 8
_LEGEND_COLUMNS = 5
_DECADES_WITH_FIVES = 1e3


def draw_report(report: EnergyReport, path: str | os.PathLike[str]) -> None:
    """Draws energy and rate of every layer, beside the ANN's energy.

    Raises:
        FileError: the file cannot be written.
    """
    rows = report.layers
    figure = new_figure(10, 1.9 + 0.42 * len(rows))
    energies, rates = figure.subplots(1, 2, width_ratios=(2.2, 1), sharey=True)
    places = range(len(rows))
    energies.barh([p - 0.2 for p in places], [r.ann_pj * 1e-3 for r in rows], 0.38, color=_ANN, label="ANN")
    energies.barh([p + 0.2 for p in places], [r.pj * 1e-3 for r in rows], 0.38, color=_SNN, label="SNN")
    for place, row in zip(places, rows, strict=True):
        if row.ratio and row.ann_pj:
            largest = max(row.pj, row.ann_pj) * 1e-3
            energies.annotate(
                f"{ratio_text(row.ratio)}×",
                (largest, place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9,
            )
    energies.set_xscale("log")
    energies.set_xlim(*_limits([value * 1e-3 for row in rows for value in (row.pj, row.ann_pj)]))
    energies.set_xlabel("energy of one inference, nJ (× is ANN/SNN)")
    energies.set_yticks(list(places), [short_name(row.layer) for row in rows])
    energies.invert_yaxis()
    rates.barh(list(places), [row.rate or 0.0 for row in rows], 0.6, color=_RATE)
    rates.set_xlabel("inputs other than 0\nfor each input neuron")
    figure.legend(*energies.get_legend_handles_labels(), loc="outside lower left", ncols=2, frameon=False)
    figure.suptitle(
        f"model '{report.model}', {report.bits} bits: {energy_text(report.pj)}, "
        f"ANN {energy_text(report.ann_pj)}, ratio {ratio_text(report.ratio)}"
    )
    save_figure(figure, path)


def _limits(values: list[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis on which the shortest bar is still seen and the longest leaves room for its ratio."""
    shown = [value for value in values if value > 0] or [1.0]
    return min(shown) / 2, max(shown) * (max(shown) / min(shown) * 2) ** 0.15


def draw_frontier(
    points: Sequence[OperatingPoint],
    path: str | os.PathLike[str],
    title: str = "Accuracy, energy and latency",
    latency_unit: str = "steps",
) -> None:
    """Draws accuracy over energy, latency as colour and family as marker; dominated points are hollow.

    Raises:
        InputError: there is no point, or an energy of 0, which a logarithmic axis cannot show.
        FileError: the file cannot be written.
    """
    if not points:
        raise InputError("points", "there is none to draw", "Run at least one setting")
    for point in points:
        if point.energy_pj <= 0:
            raise InputError(
                f"point '{point.label}'", "its energy of 0 has no place on a logarithmic axis", "Leave it out"
            )
    figure = new_figure(8.5, 5.2)
    axis = figure.subplots()
    best = frontier(points)
    colours = _colours(points)
    for index, group in enumerate(dict.fromkeys(point.group for point in points)):
        members = sorted((p for p in points if p.group == group), key=lambda p: p.energy_pj)
        _draw_group(axis, members, best, colours, _MARKERS[index % len(_MARKERS)], drawable(group))
    figure.colorbar(colours, ax=axis, label=f"latency, {latency_unit}", ticks=_ticks(points))
    axis.set_xscale("log")
    _number(axis.xaxis, points)
    axis.margins(x=0.12, y=0.1)
    axis.set_xlabel("energy of one inference, nJ")
    axis.set_ylabel("accuracy, %")
    axis.set_title(f"{drawable(title)}\nfilled: no other point is as accurate, cheap and fast", fontsize=11)
    axis.grid(alpha=0.25, which="both")
    if any(point.group for point in points):
        names = axis.get_legend_handles_labels()
        columns = min(len(names[0]), _LEGEND_COLUMNS)
        figure.legend(*names, loc="outside lower center", ncols=columns, frameon=False, columnspacing=1.2)
    place_labels(axis, [(drawable(p.label), (p.energy_pj * 1e-3, p.accuracy * 100)) for p in points])
    save_figure(figure, path)


def _number(axis: Any, points: Sequence[OperatingPoint]) -> None:
    """Plain numbers along a logarithmic axis: 1, 2 and 5 of each decade, powers of ten alone where they are many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    energies = [point.energy_pj for point in points]
    subs = (1, 2, 5) if max(energies) < _DECADES_WITH_FIVES * min(energies) else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def _ticks(points: Sequence[OperatingPoint]) -> Any:
    """The latencies themselves where they are few, else what matplotlib finds."""
    found = sorted({point.latency for point in points})
    return found if len(found) <= _FEW and _apart(found) else None


def _apart(found: list[float]) -> bool:
    span = found[-1] - found[0]
    return all(b - a > 0.04 * span for a, b in pairwise(found))


def _colours(points: Sequence[OperatingPoint]) -> Any:
    """Latency → colour, without the yellow end of the map, which a hollow marker would not show on white."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    low, high = min(p.latency for p in points), max(p.latency for p in points)
    shades = colormaps["viridis_r"]([0.15 + 0.85 * i / 255 for i in range(256)])
    return ScalarMappable(Normalize(low, low + 1 if isclose(low, high) else high), ListedColormap(shades))


def _draw_group(
    axis: Any, members: list[OperatingPoint], best: tuple[OperatingPoint, ...], colours: Any, marker: str, label: str
) -> None:
    axis.plot(
        [p.energy_pj * 1e-3 for p in members], [p.accuracy * 100 for p in members], color="#999999", lw=0.8, zorder=1
    )
    axis.scatter([], [], marker=marker, color="#555555", label=label)
    for point in members:
        colour = colours.to_rgba(point.latency)
        place = (point.energy_pj * 1e-3, point.accuracy * 100)
        face = colour if point in best else "none"
        axis.scatter(*place, s=70, marker=marker, facecolors=[face], edgecolors=[colour], linewidths=1.6, zorder=2)
