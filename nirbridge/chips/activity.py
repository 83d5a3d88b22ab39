"""How often the nodes of a graph send, and what, measured by running it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import ceil, floor

import numpy as np

from nirbridge.chips.layers import Layer
from nirbridge.chips.messages import bits_of
from nirbridge.ir import Graph
from nirbridge.runtime import Data, compile

_SAMPLES_AT_ONCE = 32
"""The records of all that sends are held for so many."""


def measured_activity(
    graph: Graph, layers: Iterable[Layer], x: Data, dt: float | None, precision: str | None = None
) -> tuple[dict[str, float], dict[str, int]]:
    """Messages of each node that layers listen to, of all that it could send (values other than 0 in a mean step), and
    the bits that they take.

    Args:
        graph: run on the reference.
        layers: as mapped to the chip.
        x: data [T, B, *shape], by name where there are several inputs.
        dt: seconds per step.
        precision: in which it runs; by default that of its own.

    Raises:
        InputError: the data do not fit the graph.
    """
    names = sorted({path.source for layer in layers for path in layer.paths})
    sent, places = Counter[str](), Counter[str]()
    bits = dict.fromkeys(names, 1)
    with compile(graph, "reference", dt=dt, precision=precision) as program:
        recorded = [name for name in names if name not in program.plan.inputs]
        for part, recording in program.run_in_parts(x, _SAMPLES_AT_ONCE, recorded):
            found = {**part, **recording.records}
            sent.update({name: int(np.count_nonzero(found[name])) for name in names})
            places.update({name: found[name].size for name in names})
            ends = {name: (floor(found[name].min()), ceil(found[name].max())) for name in names}
            bits = {name: max(bits[name], bits_of(*ends[name])) for name in names}
    return {name: sent[name] / places[name] for name in names}, bits


def used_synapses(layer: Layer, activity: Mapping[str, float] | None) -> tuple[float, float]:
    """Synapses of one neuron over which a message comes in a step, at least and at most; from none to all of them
    where nothing was measured.  All count that the neuron with the most has, over borders too."""
    if activity is None:
        return 0.0, float(sum(path.fan_in for path in layer.paths))
    mean = sum(path.fan_in * activity[path.source] for path in layer.paths)
    return mean, mean
