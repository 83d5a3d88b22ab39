"""What every model makes its rows from."""

from __future__ import annotations

from math import prod

import numpy as np

from nirbridge.costing.activity import Activity, Measured, Traffic
from nirbridge.costing.layers import Layer
from nirbridge.costing.products import multiplications
from nirbridge.costing.report import LayerEnergy
from nirbridge.costing.roles import PRODUCT
from nirbridge.costing.tally import Tally
from nirbridge.primitives.spec import Synapses


def mixing_macs(layer: Layer, activity: Activity) -> float:
    """MACs of a TemporalMix in one inference: an entry of its matrix other than 0, for each value and window."""
    weight = np.asarray(layer.planned.node.weight)
    windows = activity.steps_of(layer.planned) / weight.shape[0]
    return float(np.count_nonzero(weight)) * prod(layer.planned.output_shape) * windows


def row(
    layer: Layer, measured: Measured, spent: Tally, ann_pj: float, entering: Traffic, synapses: Synapses | None = None
) -> LayerEnergy:
    """A row of the report; the ANN has no copies."""
    inputs, macs = (0, 0) if synapses is None else (synapses.inputs, synapses.macs)
    if layer.role == PRODUCT:
        inputs, macs = prod(layer.planned.input_shape), multiplications(layer.planned)
    if layer.copy_of:
        macs, ann_pj = 0, 0.0
    return LayerEnergy(
        layer=layer.name,
        type=type(layer.planned.node).__name__,
        neurons=tuple(neuron.planned.name for neuron in layer.neurons),
        input="analog" if inputs and measured.is_analog(layer) else "events" if inputs else "none",
        macs=macs,
        rate=entering.events / inputs if inputs else None,
        events=entering.events,
        values=entering.levels,
        operations=spent.operations,
        pj=spent.pj,
        ann_pj=ann_pj,
        counts=dict(spent.counts),
        parts=dict(spent.parts),
    )
