"""Spikes of a node: step over neuron, coloured by level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nirbridge.plotting.activity import Activity
from nirbridge.plotting.choosing import choose_neurons
from nirbridge.plotting.levels import Level, find_levels, split_by_level
from nirbridge.plotting.panel import Panel, Space, draw_key, number_neurons, title_of
from nirbridge.reports import count_text
from nirbridge.runtime import Array

MOST_NEURONS = 240
_MANY_POINTS = 4000
"""From so many on the spikes of an .svg or .pdf are pixels."""
_NARROWEST, _WIDEST = 1.1, 9.0


def raster_panel(activity: Activity, name: str, asked: Sequence[int] | None = None) -> Panel:
    """The spikes of a node; the key counts those of all its neurons, also where not all are drawn."""
    values, planned = activity.records[name], activity.node(name)
    chosen = choose_neurons(name, values.shape[1], asked, MOST_NEURONS)
    levels = find_levels(planned, values)
    counts = [int(found.sum()) for found in split_by_level(levels, values)]

    def draw(space: Space) -> None:
        shown = split_by_level(levels, values[:, chosen.numbers])
        middles = space.clock.cells(len(values), planned.rate)
        mark = _mark(space, space.clock.stride(planned.rate), len(chosen.numbers))
        for level, found in zip(levels, shown, strict=True):
            steps, rows = np.nonzero(found)
            many = len(steps) > _MANY_POINTS
            space.axis.plot(middles[steps], rows, ls="", color=level.colour, rasterized=many, gid="spikes", **mark)
        number_neurons(space.axis, chosen.numbers)
        if levels:
            draw_key(space, _entries(levels, counts), "level: spikes" if len(levels) > 1 else "")

    height = float(np.clip(0.9 + 0.011 * len(chosen.numbers), 1.0, 2.4))
    return Panel(title_of(planned, words=chosen.words), height, draw)


def _entries(levels: tuple[Level, ...], counts: list[int]) -> list[tuple[Any, str]]:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], ls="", marker="s", ms=5, color=level.colour) for level in levels]
    if len(levels) == 1:
        value = "" if levels[0].words == "1" else f" of {levels[0].words}"
        return [(handles[0], f"{count_text(counts[0])} spikes{value}")]
    rows = zip(handles, levels, counts, strict=True)
    return [(handle, f"{level.words}: {count_text(count)}") for handle, level, count in reversed(list(rows))]


def _mark(space: Space, stride: float, rows: int) -> dict[str, Any]:
    """A bar that fills its cell of step and neuron, as far as it stays visible and is no wall."""
    cell: Array = np.array([space.width * stride / space.clock.steps, space.height / rows])
    wide, high = np.clip(0.8 * cell, _NARROWEST, (3 * _WIDEST, _WIDEST))
    marker, length, thickness = ("_", wide, high) if wide >= high else ("|", high, wide)
    return {"marker": marker, "markersize": float(length), "markeredgewidth": float(thickness)}
