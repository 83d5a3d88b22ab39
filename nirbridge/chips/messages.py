"""How many bits the messages of each node take, and what one costs at a synapse."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from nirbridge.ir import EventInput, Product, Quantize, TemporalMix, spec_of
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.runtime import Plan, PlannedNode, fixed_problems, message_cost, sent_exponents
from nirbridge.runtime.host import without_host
from nirbridge.runtime.integer_bounds import message_bounds
from nirbridge.runtime.messages import COSTS, declared_exponents

STATE_BITS = 1 + STATE_LIMIT.bit_length()


Bits = Mapping[str, int | None]


def message_bits(plan: Plan) -> dict[str, int | None]:
    """Bits of what each node sends: 1 for 0 and 1, else with the sign; None where nothing says.

    Sums and membranes fill a state; what multiplies or mixes is bounded by what enters.
    """
    bounds = {} if fixed_problems(plan) else message_bounds(without_host(plan))
    return {planned.name: _bits(planned, plan, bounds.get(planned.name)) for planned in plan.nodes}


def _bits(planned: PlannedNode, plan: Plan, bound: int | None) -> int | None:
    node = planned.node
    if type(node) is Quantize:
        return _rounded_bits(planned, plan)
    sends = spec_of(node).sends
    if sends.kind == "binary":
        return 1
    if sends.kind == "data":
        return _input_bits(node)
    if sends.values is not None:
        values = np.asarray(sends.values(node), dtype=np.float64)
        return None if (values != np.rint(values)).any() else bits_of(int(values.min()), int(values.max()))
    if type(node) in (Product, TemporalMix):
        return None if bound is None else bits_of(-bound, bound)
    return STATE_BITS


def _input_bits(node: nir.NIRNode) -> int | None:
    """What an EventInput says; counts have no bound but that of a state."""
    if type(node) is not EventInput:
        return None
    exponents = declared_exponents(node)
    return STATE_BITS if exponents is None else bits_of(0, 1 << exponents[-1])


def _rounded_bits(planned: PlannedNode, plan: Plan) -> int | None:
    """What the input says, within the range; one that is as wide as a state says nothing."""
    given = _input_bits(_brought(planned, plan))
    own = bits_of(int(np.min(planned.node.low)), int(np.max(planned.node.high)))
    return min(own, given) if given is not None else own if own < STATE_BITS else None


def _brought(planned: PlannedNode, plan: Plan) -> nir.NIRNode:
    """The input whose data a node brings as they are: a Quantize with a step of 1 those of an EventInput."""
    if type(planned.node) is not Quantize or len(planned.sources) != 1 or (np.asarray(planned.node.step) != 1).any():
        return planned.node
    return plan[planned.sources[0].name].node


def bits_of(low: int, high: int) -> int:
    """Of a message within these ends: 1 for 0 and 1, else with the sign."""
    return 1 if low >= 0 and high <= 1 else 1 + max(high, -low).bit_length()


def message_costs(plan: Plan) -> dict[str, str]:
    """What one message of each node costs at a synapse; of an EventInput, if data are as it says."""
    sent = sent_exponents(plan)
    return {
        planned.name: message_cost(sent[planned.name] or declared_exponents(_brought(planned, plan)))
        for planned in plan.nodes
    }


def dearest(costs: set[str]) -> str:
    """The highest of several costs; an addition where there is none."""
    return next((cost for cost in reversed(COSTS) if cost in costs), COSTS[0])
