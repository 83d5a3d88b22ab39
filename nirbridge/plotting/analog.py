"""Values that are no spikes: lines where they are few, else an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nirbridge.pictures.palette import CYCLE
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.choosing import choose_neurons
from nirbridge.plotting.panel import Panel, Space, colour_bar, dots, draw_key, number_neurons, title_of
from nirbridge.runtime import Array

MOST_LINES = 6
MOST_ROWS = 240


def analog_panel(activity: Activity, name: str, asked: Sequence[int] | None = None) -> Panel:
    """What a node without spikes sends."""
    values, planned = activity.records[name], activity.node(name)
    chosen = choose_neurons(name, values.shape[1], asked, MOST_ROWS)
    shown = values[:, chosen.numbers]

    def draw(space: Space) -> None:
        if len(chosen.numbers) <= MOST_LINES:
            _lines(space, activity.times(name), shown, chosen.numbers)
        else:
            _image(space, shown, chosen.numbers, space.clock.stride(planned.rate))

    return Panel(title_of(planned, words=chosen.words), 1.5, draw)


def _lines(space: Space, times: Array, values: Array, numbers: Array) -> None:
    lines = [
        space.axis.plot(times, column, color=CYCLE[place % len(CYCLE)], lw=1.2, gid="value", **dots(times))[0]
        for place, column in enumerate(values.T)
    ]
    space.axis.set_ylabel("value")
    draw_key(space, [(line, f"neuron {number}") for line, number in zip(lines, numbers, strict=True)])


def _image(space: Space, values: Array, numbers: Array, stride: float) -> None:
    """White at 0, so that signs are seen."""
    largest = float(np.abs(values).max(initial=0)) or 1.0
    image = space.axis.imshow(
        values.T,
        cmap="PuOr_r",
        vmin=-largest,
        vmax=largest,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(-0.5, len(values) * stride - 0.5, -0.5, len(numbers) - 0.5),
    )
    number_neurons(space.axis, numbers)
    colour_bar(space, image)
