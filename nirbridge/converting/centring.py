"""Aggregated features coded from their smallest value on, where a phase code would blur them.

The values of a phase code are Q^-k: it resolves ratios, about 13 % of a value at Q = 1.3.  A mean over neighbours lies
close to the mean over all, so that most of it is the same for every node and what tells nodes apart is less than a step
of the code.  With m the smallest value of a feature on the calibration data, x = m + relu(x - m) there: the neuron
codes the difference, and m goes into the bias of the layer behind it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array, Offset, Relu
from nirbridge.ir import Aggregate

_SMALLEST_SPAN = 1e-6
"""Part of its largest value by which a feature must vary; one that does not is coded whole."""


def centre_aggregates(graph: AnalogGraph, inserted: frozenset[str], inputs: list[Tensor]) -> AnalogGraph:
    """x → m + relu(x - m) behind aggregations, m for each feature, over all nodes of the graph and all samples.

    Args:
        graph: the arranged network.
        inserted: the neurons that stand for no activation of the network; only these may change.
        inputs: calibration data in batches.
    """
    names = [name for name in graph.of_type(Relu) if name in inserted and _behind_aggregate(graph, name)]
    for name, low in _smallest(graph, names, inputs).items():
        if not low.any():
            continue
        behind = graph.free_name(f"{name}.offset")
        users = graph.consumers[name]
        graph = graph.changed({name: Relu(shift=-low)}).inserted_behind(name, behind, Offset(low), users)
    return graph


def _behind_aggregate(graph: AnalogGraph, name: str) -> bool:
    (source, *others) = graph.incoming[name]
    return not others and type(graph.nodes[source]) is Aggregate


def _smallest(graph: AnalogGraph, names: list[str], inputs: list[Tensor]) -> dict[str, Array]:
    if not names:
        return {}
    low: dict[str, Tensor] = {}
    high: dict[str, Tensor] = {}
    run = functions(graph, inputs[0].dtype)
    with torch.no_grad():
        for x in inputs:
            for name, entering, _ in values(graph, run, x):
                if name in names:
                    # The samples and the nodes are the axes before the features.
                    found = entering.amin(dim=(0, 1)), entering.amax(dim=(0, 1))
                    low[name] = torch.minimum(low[name], found[0]) if name in low else found[0]
                    high[name] = torch.maximum(high[name], found[1]) if name in high else found[1]
    smallest = {name: low[name].double().numpy() for name in low}
    spans = {name: high[name].double().numpy() - smallest[name] for name in low}
    flat = {name: spans[name] <= _SMALLEST_SPAN * high[name].double().abs().numpy() for name in low}
    return {name: np.where(flat[name], 0.0, smallest[name]) for name in names}
