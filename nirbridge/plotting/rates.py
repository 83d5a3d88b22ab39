"""How many spikes each layer sends at every step."""

from __future__ import annotations

import numpy as np

from nirbridge.pictures.names import short_name
from nirbridge.pictures.palette import CYCLE
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.choosing import spiking_nodes
from nirbridge.plotting.panel import FEW_STEPS, Panel, Space, dots, draw_key
from nirbridge.runtime import Array

_STYLES = ("-", "--", ":")
MOST_NAMED = 14


def spike_rates(activity: Activity) -> dict[str, Array]:
    """Spikes of whatever level, for each neuron and step, of all neurons of every spiking node: [steps] by name."""
    return {name: np.count_nonzero(activity.records[name], axis=1) / activity.records[name].shape[1]
            for name in spiking_nodes(activity.plan)}  # fmt: skip


def rates_panel(activity: Activity) -> Panel | None:
    """One line for each spiking node; None where there is none."""
    rates = spike_rates(activity)
    if not rates:
        return None

    def draw(space: Space) -> None:
        entries = []
        for place, (name, rate) in enumerate(rates.items()):
            times, style = activity.times(name), _STYLES[place // len(CYCLE) % len(_STYLES)]
            colour = CYCLE[place % len(CYCLE)]
            (line,) = space.axis.plot(
                times,
                rate,
                color=colour,
                ls=style,
                lw=1.3 if len(times) <= FEW_STEPS else 0.9,
                gid="rate",
                **dots(times),
            )
            entries.append((line, f"{short_name(name, 20)}: {rate.mean():.3g}"))
        space.axis.set_ylim(0, max(1.08 * max(rate.max() for rate in rates.values()), 1e-3))
        space.axis.set_ylabel("rate")
        draw_key(space, entries[:MOST_NAMED], "node: mean rate")

    height = max(1.4, 0.5 + 0.16 * min(len(rates), MOST_NAMED))
    return Panel("spikes per neuron and step, of all neurons", height, draw)
