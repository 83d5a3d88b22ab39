"""The base of every layer's code: layers whose spikes add up share one, since a membrane multiplies by one base."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.coding import Code
from nirbridge.converting.markers import Relu
from nirbridge.converting.observing import Observed
from nirbridge.converting.ranges import best_code
from nirbridge.converting.settings import INPUT_BASE, Settings


def adding_up(graph: AnalogGraph) -> list[frozenset[str]]:
    """The input and the ReLUs in groups of those that meet in a sum before the next neuron, or in the readout."""
    groups: dict[str, frozenset[str]] = {}
    reaching: dict[str, frozenset[str]] = {}
    for name in graph.order:
        meeting = frozenset[str]().union(*(reaching[source] for source in graph.incoming[name]))
        united = frozenset[str]().union(*(groups[origin] for origin in meeting))
        groups.update(dict.fromkeys(united, united))
        reaching[name] = meeting
        if type(graph.nodes[name]) in (nir.Input, Relu):
            groups[name] = reaching[name] = frozenset({name})
    return list(dict.fromkeys(groups.values()))


def input_meets_spikes(graph: AnalogGraph) -> bool:
    """Whether a sum has terms both from the input and from neurons, as the stream of a pre-activation network."""
    return any(graph.input in group and len(group) > 1 for group in adding_up(graph))


def layer_codes(graph: AnalogGraph, settings: Settings, layers: Mapping[str, Observed]) -> dict[str, Code]:
    """The code of every ReLU: that of the settings, or with the base that fits the data of its group best.

    Args:
        graph: the arranged network.
        settings: the options.
        layers: what every ReLU sends.
    """
    if not settings.base_from_data:
        return dict.fromkeys(layers, settings.code)
    codes: dict[str, Code] = {}
    for group in adding_up(graph):
        members = {name: layers[name] for name in graph.order if name in group and name in layers}
        most = INPUT_BASE if graph.input in group else np.inf
        nodes = {name: graph.nodes[name] for name in members}
        if members:
            best = best_code(settings.code, members, settings.calibrate, settings.margin, nodes, most)
            codes |= dict.fromkeys(members, best)
    return codes


def input_base(graph: AnalogGraph, codes: Mapping[str, Code]) -> float:
    """2, or that of the spikes where both add up."""
    group = next(group for group in adding_up(graph) if graph.input in group)
    met = [codes[name].base for name in graph.order if name in group and name in codes]
    return met[0] if met and met[0] <= INPUT_BASE else INPUT_BASE
