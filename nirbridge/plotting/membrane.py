"""Membranes over time, with all thresholds, the reset and the spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nirbridge.ir import spec_of
from nirbridge.pictures.palette import CYCLE, GREY
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.choosing import Chosen, busiest, choose_neurons
from nirbridge.plotting.levels import find_levels, split_by_level
from nirbridge.plotting.panel import LASTING, Panel, Space, dots, draw_key, title_of
from nirbridge.reports import counted
from nirbridge.runtime import MEMBRANE, Array, PlannedNode, membrane_of

MOST_TRACES = 3
MOST_ASKED = len(CYCLE)
_FURTHEST = 4.0
"""Thresholds so many times beyond the membranes would press these flat: they are named instead."""
_FEW = 6
_MANY_STEPS = 60


@dataclass(frozen=True)
class Limits:
    """What membranes meet.

    Attributes:
        thresholds: [lanes, neurons].
        reset: [neurons], where a spike puts the membrane; None where it does not.
        note: what the thresholds leave out.
    """

    thresholds: Array
    reset: Array | None
    note: str


def membrane_panel(activity: Activity, name: str, asked: Sequence[int] | None = None) -> Panel:
    """A few membranes of a node: those asked for, else the liveliest."""
    planned, v = activity.node(name), activity.records[name]
    spikes = activity.records.get(membrane_of(name) or "")
    limits = limits_of(planned, activity.fixed)
    if limits is None:
        spikes = None
    if asked is None:
        chosen = _liveliest(v, spikes)
    else:
        chosen = choose_neurons(name, v.shape[1], asked, MOST_ASKED)
        if len(chosen.numbers) > MOST_ASKED:
            first = chosen.numbers[:MOST_ASKED]
            chosen = Chosen(first, f"the first {MOST_ASKED} of those asked for, of {counted(v.shape[1], 'neuron')}")
    numbers = chosen.numbers

    def draw(space: Space) -> None:
        times = activity.times(name)
        entries: list[tuple[Any, str]] = []
        for place, number in enumerate(numbers):
            style = {"color": CYCLE[place], "lw": 1.2 if len(v) <= _MANY_STEPS else 0.8, "gid": "membrane"}
            (line,) = space.axis.plot(times, v[:, number], **style, **dots(times))
            entries.append((line, f"neuron {number}"))
        if limits is not None:
            _fit_view(space.axis, v[:, numbers], limits.thresholds[:, numbers])
            entries += _threshold_lines(space.axis, limits, numbers)
            entries += _reset_lines(space.axis, limits, numbers)
        if spikes is not None:
            entries += _spike_marks(space.axis, planned, times, v[:, numbers], spikes[:, numbers])
        space.axis.set_ylabel("membrane")
        draw_key(space, entries)

    height = 1.3 + 0.14 * (len(numbers) if limits is not None else 0)
    return Panel(title_of(planned, MEMBRANE, chosen.words), height, draw)


def _liveliest(v: Array, spikes: Array | None) -> Chosen:
    """Neurons that change most often between firing and not: at a threshold, with something to see.

    One that fires at every step is reset at every step, and one that never fires may be far below.
    """
    if spikes is None:
        return busiest(np.ptp(v, axis=0), MOST_TRACES, "move most")
    fires = spikes != 0
    changes = np.count_nonzero(fires[1:] != fires[:-1], axis=0) + fires.any(axis=0)
    return busiest(changes, MOST_TRACES, "fire and pause most often")


def limits_of(planned: PlannedNode, fixed: bool) -> Limits | None:
    """The thresholds and the reset that the node's Spec names; None where it sends no spikes."""
    fires = spec_of(planned.node).fires
    if fires is None:
        return None
    rule = fires.integer if fixed and fires.integer is not None else fires.thresholds
    reset = None if planned.reset_amount is not None else fires.reset(planned.node)
    shape = planned.output_shape
    lanes = [np.broadcast_to(np.asarray(lane, dtype=np.float64), shape).ravel() for lane in rule(planned.node)]
    back = None if reset is None else np.broadcast_to(np.asarray(reset, dtype=np.float64), shape).ravel()
    return Limits(np.stack(lanes), back, fires.note)


def _fit_view(axis: Any, v: Array, thresholds: Array) -> None:
    """All thresholds are in view, but those far beyond the membranes."""
    low, high = min(float(v.min()), 0.0), max(float(v.max()), 0.0)
    reach = _FURTHEST * max(high - low, float(np.abs(thresholds).min()))
    seen = thresholds[(thresholds >= low - reach) & (thresholds <= high + reach)]
    low, high = min(low, float(seen.min(initial=low))), max(high, float(seen.max(initial=high)))
    margin = 0.08 * (high - low or 1.0)
    axis.set_ylim(low - margin, high + margin)


def _threshold_lines(axis: Any, limits: Limits, numbers: Array) -> list[tuple[Any, str]]:
    """Grey where the neurons shown share them, else in the colour of each."""
    shown = limits.thresholds[:, numbers]
    style: dict[str, Any] = {"lw": 0.9, "ls": (0, (5, 3))} if len(shown) <= _FEW else {"lw": 0.4}
    style["gid"] = LASTING[0]
    note = f" ({limits.note})" if limits.note else ""
    if (shown == shown[:, :1]).all():
        lines = [axis.axhline(value, color=GREY, **style) for value in shown[:, 0]]
        return [(lines[0], f"{_values_text(shown[:, 0], axis.get_ylim()[1])}{note}")]
    for place, column in enumerate(shown.T):
        for value in column:
            line = axis.axhline(value, color=CYCLE[place], **style)
    return [(line, f"each neuron's {'thresholds' if len(shown) > 1 else 'threshold'}{note}")]


def _values_text(values: Array, top: float) -> str:
    beyond = values[values > top]
    words = "threshold" if len(values) == 1 else "thresholds"
    if len(values) > _FEW:
        text = f"{counted(len(values), 'threshold')}, {values.min():.4g} to {values.max():.4g}"
    else:
        text = f"{words} {', '.join(f'{value:.5g}' for value in values)}"
    return text + (f", {len(beyond)} of them above the view" if beyond.size else "")


def _reset_lines(axis: Any, limits: Limits, numbers: Array) -> list[tuple[Any, str]]:
    if limits.reset is None:
        return []
    shown = limits.reset[numbers]
    same = bool((shown == shown[0]).all())
    for place, value in enumerate(shown[:1] if same else shown):
        line = axis.axhline(value, color=GREY if same else CYCLE[place], lw=1.0, ls=":", gid=LASTING[1])
    return [(line, f"reset to {shown[0]:.5g}" if same else "each neuron's reset")]


def _spike_marks(axis: Any, planned: PlannedNode, times: Array, v: Array, spikes: Array) -> list[tuple[Any, str]]:
    """A triangle at the membrane after each spike, in the colour of its level where there are several."""
    from matplotlib.lines import Line2D

    levels = find_levels(planned, spikes)
    style: dict[str, Any] = {"ls": "", "marker": "^", "mew": 0.9, "ms": 5.5 if len(spikes) <= _MANY_STEPS else 3.0}
    entries = []
    for level, found in zip(levels, split_by_level(levels, spikes), strict=True):
        for place, at in enumerate(found.T):
            colour = CYCLE[place] if len(levels) == 1 else level.colour
            axis.plot(times[at], v[at, place], color=colour, mec=CYCLE[place], zorder=3, gid="fired", **style)
        colour, words = (GREY, "a spike") if len(levels) == 1 else (level.colour, f"a spike of {level.words}")
        entries.append((Line2D([], [], color=colour, **style), words))
    return entries if len(levels) <= _FEW else []
