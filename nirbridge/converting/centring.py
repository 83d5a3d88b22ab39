"""Aggregated features coded from their smallest value on, where a phase code would blur them.

The values of a phase code are Q^-k: it resolves ratios, about 13 % of a value at Q = 1.3.  A mean over neighbours lies
close to the mean over all, so that most of it is the same for every node and what tells nodes apart is less than a step
of the code.  With m the smallest value of a feature on the calibration data, x = m + relu(x - m) there: the neuron
codes the difference, and m goes into the bias of the layer behind it.
"""

from __future__ import annotations

from dataclasses import replace

import nir
import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array, Offset, Relu
from nirbridge.converting.rewrites import gathered_axis
from nirbridge.ir import MaxPool2d

_SMALLEST_SPAN = 1e-6
"""Part of its largest value by which a feature must vary; one that does not is coded whole."""


def centre_aggregates(graph: AnalogGraph, inserted: frozenset[str], inputs: list[Tensor]) -> AnalogGraph:
    """x → m + relu(x - m) behind aggregations, m for each feature, over all nodes of the graph and all samples.

    Not where a max pooling takes spikes as they are, since m may differ between the places of its window, nor where m
    is below 0, as for one half of a pair of opposite signs.

    Args:
        graph: the arranged network.
        inserted: the neurons that stand for no activation of the network; only these may change.
        inputs: calibration data in batches.
    """
    behind = {name: _gathered_before(graph, name) for name in graph.of_type(Relu) if name in inserted}
    axes = {name: axis for name, axis in behind.items() if axis is not None and not _pooled(graph, name)}
    for name, low in _smallest(graph, axes, inputs).items():
        if not low.any():
            continue
        centred = graph.changed({name: replace(graph.nodes[name], shift=-low)})
        graph = centred.inserted_behind(name, graph.free_name(f"{name}.offset"), Offset(low))
    return graph


def _gathered_before(graph: AnalogGraph, name: str) -> int | None:
    """The axis that an aggregation sums over that alone feeds ``name``."""
    (source, *others) = graph.incoming[name]
    return None if others else gathered_axis(graph, source)


def _pooled(graph: AnalogGraph, name: str) -> bool:
    kinds = {user: type(graph.nodes[user]) for user in graph.consumers[name]}
    return any(kind is MaxPool2d or (kind is nir.Flatten and _pooled(graph, user)) for user, kind in kinds.items())


def _smallest(graph: AnalogGraph, axes: dict[str, int], inputs: list[Tensor]) -> dict[str, Array]:
    if not axes:
        return {}
    low: dict[str, Tensor] = {}
    high: dict[str, Tensor] = {}
    run = functions(graph, inputs[0].dtype)
    with torch.no_grad():
        for x in inputs:
            for name, entering, _ in values(graph, run, x):
                if name in axes:
                    over = (0, axes[name] + 1)
                    found = [bound(over, keepdim=True)[0].squeeze(0) for bound in (entering.amin, entering.amax)]
                    low[name] = torch.minimum(low[name], found[0]) if name in low else found[0]
                    high[name] = torch.maximum(high[name], found[1]) if name in high else found[1]
    smallest = {name: low[name].double().clamp(min=0).numpy() for name in low}
    spans = {name: high[name].double().numpy() - smallest[name] for name in low}
    flat = {name: spans[name] <= _SMALLEST_SPAN * high[name].double().abs().numpy() for name in low}
    return {name: np.where(flat[name], 0.0, smallest[name]) for name in axes}
