"""What messages carry: the numbers that reach a synapse decide whether it adds, shifts or multiplies."""

from __future__ import annotations

from itertools import pairwise, product

import nir
import numpy as np

from nirbridge.ir import MaxPool2d, MultiLevelLIF, PhaseEncode, PhaseIF, Place, Product
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime.plan import Plan, PlannedNode

BINARY = (nir.Threshold, nir.IF, nir.LIF, nir.CubaLIF, PhaseEncode, PhaseIF)
"""What sends 0 or 1."""
TRANSPARENT = (nir.Flatten, nir.Delay, MaxPool2d, FirstSpikePool2d, Place)
"""What hands on numbers that it gets, and no others."""
COSTS = ("add", "shift", "multiply")
"""Of one message at a synapse, the cheapest first."""


def message_exponents(node: nir.NIRNode) -> tuple[int, ...] | None:
    """The exponents e of the messages 2^e that a node sends beside 0; None where it may send other numbers."""
    if type(node) in BINARY:
        return (0,)
    if type(node) is not MultiLevelLIF:
        return None
    values = np.unique(np.asarray(node.lane_weight, dtype=np.float64))
    mantissas, exponents = np.frexp(values)
    whole_powers = bool((mantissas == 0.5).all() and (exponents > 0).all())
    return tuple(int(exponent) - 1 for exponent in exponents) if whole_powers else None


def exponents_into(planned: PlannedNode, plan: Plan) -> tuple[int, ...] | None:
    """The same of the messages that reach a node; sums of several edges may be any number."""
    while len(planned.sources) == 1:
        planned = plan[planned.sources[0].name]
        if type(planned.node) is Product:
            return _exponents_of_product(planned, plan)
        if type(planned.node) not in TRANSPARENT:
            return message_exponents(planned.node)
    return None


def _exponents_of_product(planned: PlannedNode, plan: Plan) -> tuple[int, ...] | None:
    """Exponents add where every factor is brought by one Place, and is 2^e or 0."""
    places = [plan[source.name] for source in planned.sources]
    if len(places) != planned.node.factors or any(type(place.node) is not Place for place in places):
        return None
    spans = sorted((place.node.start, place.node.stop) for place in places)
    if any(before[1] > behind[0] for before, behind in pairwise(spans)):
        return None
    found = [exponents for place in places if (exponents := exponents_into(place, plan)) is not None]
    return tuple(sorted({sum(each) for each in product(*found)})) if len(found) == len(places) else None


def message_cost(exponents: tuple[int, ...] | None) -> str:
    """What such a message costs at a synapse: "add" of the weight, "shift" and add, or "multiply" and add."""
    if exponents is None:
        return "multiply"
    return "add" if exponents == (0,) else "shift"
