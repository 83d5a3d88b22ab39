"""How large integers can become: sums of synapses must stay exact on every runtime."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import ceil, prod
from operator import mul
from typing import Any

import nir
import numpy as np

from nirbridge.checking.fixed_point import STATE_LIMIT
from nirbridge.errors import Problem
from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    TemporalMix,
    once,
)
from nirbridge.ir.shapes import pairs
from nirbridge.runtime.phase_tables import Factor, decode_tables, encode_tables, fire_tables
from nirbridge.runtime.plan import Plan, PlannedNode

EXACT = 2**53
"""Integers below it are exact in double precision, and so is every sum of them that stays below it."""
SINGLE = 2**24
"""Likewise in single precision."""
_LARGEST = 2**200
"""Where bounds stop growing: a chain of products would double their digits with every link."""
MOST_BITS, LEAST_BITS = 23, 8
"""Bits of magnitude that graph inputs may have: a 24-bit message at most, and no less than a byte."""

Bound = Callable[[Any, int], int]
"""Of a node, and the largest magnitude x that enters it: factor·x + offset."""


def integer_input_limit(plan: Plan) -> int | None:
    """The largest magnitude of input with which no sum can leave the exact integers; None if there is none.

    It is 2^b - 1 with b from 23 down to 8.
    """
    for bits in range(MOST_BITS, LEAST_BITS - 1, -1):
        if not _beyond(plan, 2**bits - 1):
            return int(2**bits - 1)
    return None


def single_precision_limit(plan: Plan) -> int:
    """The largest magnitude of input with which every message and sum of synapses stays below 2^24, 0 if there is none.

    Up to it single precision carries all values between the nodes exactly; it says nothing about what neurons compute.
    """
    for bits in range(MOST_BITS, 0, -1):
        limit = 2**bits - 1
        found = carried(plan, limit)
        if found is not None and max(found.values()) < SINGLE:
            return int(limit)
    return 0


def carried(plan: Plan, limit: int) -> dict[str, int] | None:
    """The largest magnitude that enters or leaves each node, for inputs up to ``limit``; None without a bound."""
    bounds = _bounds(plan, limit)
    if len(bounds) != len(plan.nodes):
        return None
    return {p.name: max(bounds[p.name], _entering(p, bounds, limit)) for p in plan.nodes}


def bound_problems(plan: Plan) -> list[Problem]:
    """The nodes whose sums can leave the exact integers even with inputs of a byte."""
    return [
        Problem(str(plan[name]), found, "Use smaller weights or fewer inputs", rule="sums_are_exact_integers")
        for name, found in _beyond(plan, 2**LEAST_BITS - 1).items()
    ]


def message_bounds(plan: Plan) -> dict[str, int]:
    """The largest magnitude that each node of an integer plan can send, for the largest inputs that it takes."""
    return _bounds(plan, integer_input_limit(plan) or 2**LEAST_BITS - 1)


def _beyond(plan: Plan, limit: int) -> dict[str, str]:
    """Node → what is wrong with it, for inputs up to ``limit``."""
    bounds = _bounds(plan, limit)
    found: dict[str, str] = {}
    for planned in plan.nodes:
        if planned.name not in bounds:
            found[planned.name] = "stands in a cycle without a neuron, so its integers grow without a bound"
        elif (inside := _inside(plan, planned, bounds, limit)) >= EXACT:
            found[planned.name] = f"its sums can reach 2^{inside.bit_length()}, precision 'fixed' is exact below 2^53"
            break  # every node behind it would follow
    return found


def _bounds(plan: Plan, limit: int) -> dict[str, int]:
    """What each node can send; nodes of a cycle without a neuron are left out."""
    bounds: dict[str, int] = {p.name: _FIXED[type(p.node)](p.node) for p in plan.nodes if type(p.node) in _FIXED}
    waiting: list[PlannedNode] = []
    # In the order of execution one pass does, but for nodes that wait for the end of a cycle.
    while len(waiting) != len(rest := [p for p in plan.nodes if p.name not in bounds]):
        waiting = rest
        for planned in waiting:
            if all(source.name in bounds for source in planned.sources):
                bounds[planned.name] = _inside(plan, planned, bounds, limit)
    return bounds


def _entering(planned: PlannedNode, bounds: dict[str, int], limit: int) -> int:
    return sum(bounds.get(source.name, 0) for source in planned.sources) if planned.sources else limit


def _inside(plan: Plan, planned: PlannedNode, bounds: dict[str, int], limit: int) -> int:
    """The largest magnitude that the node computes with."""
    entering = _entering(planned, bounds, limit)
    if type(planned.node) is Product:
        return min(max(entering, product_bound(plan, planned, bounds)), _LARGEST)
    factor, offset = _growth(planned)
    return min(max(entering, factor * entering + offset), _LARGEST)


@once
def _growth(planned: PlannedNode) -> tuple[int, int]:
    """Factor and offset of a node's rule: searches for a limit ask often, and weights may be many."""
    rule = GROWTH.get(type(planned.node), _same)
    offset = rule(planned.node, 0)
    return rule(planned.node, 1) - offset, offset


def product_bound(plan: Plan, planned: PlannedNode, bounds: dict[str, int]) -> int:
    """The product of the slots' bounds, or a part of it; a Place adds to the slots that it reaches, others to all."""
    node = planned.node
    slots = [0] * node.factors
    size = node.output_shape[0]
    for source in planned.sources:
        sender = plan[source.name].node
        reached = range(sender.start // size, (sender.stop - 1) // size + 1) if type(sender) is Place else None
        for slot in range(node.factors) if reached is None else reached:
            slots[slot] += bounds.get(source.name, 0)
    return max(accumulate(slots, mul))


def _same(node: nir.NIRNode, x: int) -> int:
    return x


def largest(values: Any) -> int:
    """The largest magnitude of a parameter, rounded up to a whole number."""
    array = np.abs(np.asarray(values, dtype=np.float64))
    return ceil(min(array.max(), float(_LARGEST))) if array.size else 0


def _row_sum(weight: Any, axes: tuple[int, ...]) -> int:
    return largest(np.abs(np.asarray(weight, dtype=np.float64)).sum(axis=axes))


def _matrix(node: nir.Linear | nir.Affine, x: int) -> int:
    return _row_sum(node.weight, (-1,)) * x + largest(getattr(node, "bias", 0))


def _convolution(node: nir.Conv1d | nir.Conv2d, x: int) -> int:
    return _row_sum(node.weight, tuple(range(1, node.weight.ndim))) * x + largest(node.bias)


def _pool(node: nir.SumPool2d | nir.AvgPool2d, x: int) -> int:
    return prod(pairs(node.kernel_size, 2)) * x


def _phase_sum(gains: tuple[Factor, ...], x: int) -> int:
    """A product before its shift, or the state with what the shift leaves of it."""
    return STATE_LIMIT + max(gain.multiplier for gain in gains) * x


def _input_of_neuron(name: str) -> Bound:
    """|state| + |gain x|; the decay is at most 2."""
    return lambda node, x: 2 * STATE_LIMIT + largest(getattr(node, name)) * x


GROWTH: dict[type[nir.NIRNode], Bound] = {
    nir.Affine: _matrix,
    nir.Linear: _matrix,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    nir.Scale: lambda node, x: largest(node.scale) * x,
    Aggregate: lambda node, x: _row_sum(node.dense_weight(), (1,)) * x,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    TemporalMix: lambda node, x: _row_sum(node.weight, (1,)) * x,
    PhaseEncode: lambda node, x: x << encode_tables(node).fraction,
    PhaseIF: lambda node, x: _phase_sum(fire_tables(node).gains, x),
    PhaseDecode: lambda node, x: _phase_sum(decode_tables(node).gains, x),
    MultiLevelLIF: _input_of_neuron("gain"),
    nir.I: _input_of_neuron("r"),
    nir.IF: _input_of_neuron("r"),
    nir.LI: lambda node, x: STATE_LIMIT + x,
    nir.LIF: lambda node, x: STATE_LIMIT + x,
    nir.CubaLI: lambda node, x: STATE_LIMIT + x,
    nir.CubaLIF: lambda node, x: STATE_LIMIT + x,
    MaxPool2d: _same,
    EventInput: _same,
    Quantize: lambda node, x: max(largest(node.low), largest(node.high)),
}
"""Input bound → bound of what the node computes."""

_FIXED: dict[type[nir.NIRNode], Callable[[Any], int]] = {
    MultiLevelLIF: lambda node: largest(node.lane_weight),
    nir.Threshold: lambda node: 1,
    nir.IF: lambda node: 1,
    nir.LIF: lambda node: 1,
    nir.CubaLIF: lambda node: 1,
    nir.I: lambda node: STATE_LIMIT,
    nir.LI: lambda node: STATE_LIMIT,
    nir.CubaLI: lambda node: STATE_LIMIT,
    PhaseEncode: lambda node: 1,
    PhaseIF: lambda node: 1,
    PhaseDecode: lambda node: STATE_LIMIT,
}
"""Nodes that send bounded messages whatever enters."""
