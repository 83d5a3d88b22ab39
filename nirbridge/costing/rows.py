"""What every model makes its rows from."""

from __future__ import annotations

from math import prod

import numpy as np

from nirbridge.costing.activity import Activity, Measured, Traffic
from nirbridge.costing.layers import Layer
from nirbridge.costing.products import multiplications
from nirbridge.costing.report import LayerEnergy
from nirbridge.costing.roles import PRODUCT, synapses_of
from nirbridge.costing.tally import Tally


def mixing_macs(layer: Layer, activity: Activity) -> float:
    """MACs of a TemporalMix in one inference: an entry of its matrix other than 0, for each value and window."""
    weight = np.asarray(layer.planned.node.weight)
    windows = activity.steps_of(layer.planned) / weight.shape[0]
    return float(np.count_nonzero(weight)) * prod(layer.planned.output_shape) * windows


def dense_macs(layer: Layer) -> int:
    """Multiply-accumulates of one dense evaluation in the ANN, which has no copies."""
    if layer.copy_of:
        return 0
    if layer.role == PRODUCT:
        return multiplications(layer.planned)
    synapses = synapses_of(layer.planned)
    return 0 if synapses is None else synapses.macs


def row(layer: Layer, measured: Measured, spent: Tally, ann_pj: float, entering: Traffic) -> LayerEnergy:
    """A row of the report; ``ann_pj`` is the energy of such a layer in the ANN, which has no copies."""
    synapses = synapses_of(layer.planned)
    inputs = 0 if synapses is None else synapses.inputs
    if layer.role == PRODUCT:
        inputs = prod(layer.planned.input_shape)
    return LayerEnergy(
        layer=layer.name,
        type=type(layer.planned.node).__name__,
        neurons=tuple(neuron.planned.name for neuron in layer.neurons),
        input="analog" if inputs and measured.is_analog(layer) else "events" if inputs else "none",
        macs=dense_macs(layer),
        rate=entering.events / inputs if inputs else None,
        events=entering.events,
        values=entering.levels,
        operations=spent.operations,
        pj=spent.pj,
        ann_pj=0.0 if layer.copy_of else ann_pj,
        counts=dict(spent.counts),
        parts=dict(spent.parts),
    )
