"""What products of signals cost: operations for the values that they send, by exponents where these are whole."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

import nir
import numpy as np

from nirbridge.ir import MaxPool2d, MultiLevelLIF, Place
from nirbridge.runtime import Plan, PlannedNode

if TYPE_CHECKING:
    from nirbridge.costing.layers import Layer
    from nirbridge.costing.rows import Measured
    from nirbridge.costing.tally import Tally

_BINARY = (nir.Threshold, nir.IF, nir.LIF, nir.CubaLIF)
_PASSING = (nir.Flatten, nir.Delay, MaxPool2d, Place)


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


def multiplies_powers(plan: Plan, planned: PlannedNode) -> bool:
    """Whether every factor of a Product is a spike of level 2^k, so that hardware adds exponents."""
    places = [plan[source.name] for source in planned.sources]
    if not all(type(place.node) is Place for place in places):
        return False
    spans = sorted((place.node.start, place.node.stop) for place in places)
    alone = all(before[1] <= behind[0] for before, behind in pairwise(spans))
    return alone and all(_sends_powers(plan, place) for place in places)


def _sends_powers(plan: Plan, planned: PlannedNode) -> bool:
    while type(planned.node) in _PASSING and len(planned.sources) == 1:
        planned = plan[planned.sources[0].name]
    if type(planned.node) is MultiLevelLIF:
        return bool((np.frexp(np.asarray(planned.node.lane_weight, dtype=np.float64))[0] == 0.5).all())
    return type(planned.node) in _BINARY
