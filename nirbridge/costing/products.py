"""What products of signals cost: operations for the values that they send, by exponents where these are whole."""

from __future__ import annotations

from math import prod

from nirbridge.costing.activity import Measured
from nirbridge.costing.layers import Layer
from nirbridge.costing.tally import Tally
from nirbridge.runtime import PlannedNode


def multiplications(planned: PlannedNode) -> int:
    """Multiplications of one dense evaluation of a Product."""
    return (int(planned.node.factors) - 1) * prod(planned.output_shape)


def multiply(spent: Tally, layer: Layer, measured: Measured) -> None:
    """The operations of a Product, in every model; analog values are multiplied densely."""
    if measured.is_analog(layer):
        spent.operate(macs=multiplications(layer.planned) * measured.activity.entering[layer.name].evaluations)
        return
    number = (int(layer.planned.node.factors) - 1) * measured.activity.leaving[layer.name].events
    spent.operate(**{"adds" if layer.exponents else "macs": number})
