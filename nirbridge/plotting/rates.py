"""How many spikes each layer sends at every step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nirbridge.pictures.names import short_name
from nirbridge.pictures.palette import CYCLE
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.choosing import spiking_nodes
from nirbridge.plotting.panel import FEW_STEPS, Panel, Space, colour_bar, dots, draw_key
from nirbridge.runtime import Array

MOST_LINES = len(CYCLE)
"""More nodes than these are rows of an image, which eyes still tell apart."""
_ROW = 0.13


def spike_rates(activity: Activity) -> dict[str, Array]:
    """Spikes of whatever level, for each neuron and step, of all neurons of every spiking node: [steps] by name."""
    records = {name: activity.records[name] for name in spiking_nodes(activity.plan)}
    return {name: np.count_nonzero(values, axis=1) / values.shape[1] for name, values in records.items()}


def rates_panel(activity: Activity) -> Panel | None:
    """A line for each spiking node, or a row where they are many; None where there is none."""
    rates = spike_rates(activity)
    if not rates:
        return None
    title = "spikes per neuron and step, of all neurons"
    if len(rates) <= MOST_LINES:
        return Panel(title, 1.5, lambda space: _lines(space, activity, rates))
    return Panel(f"{title}; nodes with their mean", 0.3 + _ROW * len(rates), lambda s: _rows(s, activity, rates))


def _lines(space: Space, activity: Activity, rates: Mapping[str, Array]) -> None:
    entries = []
    for colour, (name, rate) in zip(CYCLE, rates.items(), strict=False):
        times = activity.times(name)
        width = 1.3 if len(times) <= FEW_STEPS else 0.9
        (line,) = space.axis.plot(times, rate, color=colour, lw=width, gid="rate", **dots(times))
        entries.append((line, f"{short_name(name, 20)}: {rate.mean():.3g}"))
    space.axis.set_ylim(0, max(1.08 * max(rate.max() for rate in rates.values()), 1e-3))
    space.axis.set_ylabel("rate")
    draw_key(space, entries, "node: mean rate")


def _rows(space: Space, activity: Activity, rates: Mapping[str, Array]) -> None:
    """The first node at the top, white where nothing spikes."""
    steps = np.arange(space.clock.steps)
    strides = {name: space.clock.stride(activity.node(name).rate) for name in rates}
    rows = np.stack([rate[np.floor(steps / strides[name]).astype(int)] for name, rate in rates.items()])
    extent = (-0.5, space.clock.steps - 0.5, len(rates) - 0.5, -0.5)
    style = {"cmap": "BuPu", "vmin": 0.0, "vmax": float(rows.max()) or 1.0, "interpolation": "nearest"}
    image = space.axis.imshow(rows, aspect="auto", extent=extent, **style)
    names = [f"{short_name(name, 18)}  {rate.mean():.2g}" for name, rate in rates.items()]
    space.axis.set_yticks(range(len(names)), names)
    colour_bar(space, image)
