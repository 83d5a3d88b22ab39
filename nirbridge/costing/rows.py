"""What every model makes its rows from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from nirbridge.costing.activity import Activity, Traffic
from nirbridge.costing.layers import Layer
from nirbridge.costing.products import multiplications
from nirbridge.costing.report import LayerEnergy
from nirbridge.costing.roles import PRODUCT, synapses_of
from nirbridge.costing.signals import Unit
from nirbridge.costing.tally import Tally
from nirbridge.primitives.spec import Synapses


@dataclass(frozen=True)
class Measured:
    """A network's activity together with what its values mean.

    Attributes:
        activity: the recorded means.
        units: value of level 1 of each sender, ``None`` for analog senders.
        bits: width of the numbers.
    """

    activity: Activity
    units: Mapping[str, Unit | None]
    bits: int

    def is_analog(self, layer: Layer) -> bool:
        """Whether any of the layer's senders sends analog values, so that it is evaluated densely."""
        return any(self.units[source.name] is None for source in layer.planned.sources)


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


def synapses_or_none(layer: Layer) -> Synapses | None:
    """The layer's synapses, where it has any."""
    return synapses_of(layer.planned)
