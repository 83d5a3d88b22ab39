"""How large integers can become: sums of synapses must stay exact on every runtime."""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import accumulate
from operator import mul

import nir

from nirbridge.errors import Problem
from nirbridge.ir import Place, Product, once, spec_of
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.magnitudes import LARGEST, largest
from nirbridge.runtime.plan import Plan, PlannedNode

EXACT = 2**53
"""Integers below it are exact in double precision, and so is every sum of them that stays below it."""
SINGLE = 2**24
"""Likewise in single precision."""
MOST_BITS, LEAST_BITS = 23, 8
"""Bits of magnitude that graph inputs may have: a 24-bit message at most, and no less than a byte."""


def integer_input_limit(plan: Plan) -> int | None:
    """The largest magnitude of input with which no sum can leave the exact integers; None if there is none.

    It is 2^b - 1 with b from 23 down to 8.
    """
    for bits in range(MOST_BITS, LEAST_BITS - 1, -1):
        if not _beyond(plan, 2**bits - 1):
            return int(2**bits - 1)
    return None


def single_precision(plan: Plan) -> tuple[int, frozenset[str]]:
    """:func:`single_precision_limit` of all nodes but those that exceed it with the smallest inputs too, and these.

    Such sums lie behind neurons, whose messages do not grow with the inputs.  Where there are cycles all nodes count.
    """
    found = None if any(planned.loop is not None for planned in plan.nodes) else carried(plan, 1)
    wide = frozenset(name for name, bound in (found or {}).items() if bound >= SINGLE)
    return single_precision_limit(plan, wide), wide


def single_precision_limit(plan: Plan, wide: Container[str] = ()) -> int:
    """The largest magnitude of input with which every message and sum of synapses stays below 2^24, 0 if there is none.

    Up to it single precision carries all values between the nodes exactly, but for those of the nodes in ``wide``; it
    says nothing about what neurons compute.
    """
    for bits in range(MOST_BITS, 0, -1):
        limit = 2**bits - 1
        found = carried(plan, limit)
        if found is not None and all(bound < SINGLE for name, bound in found.items() if name not in wide):
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
    bounds = {p.name: found for p in plan.nodes if (found := _sent_at_most(p.node)) is not None}
    for planned in in_turn(plan, bounds, bounds):
        bounds[planned.name] = _inside(plan, planned, bounds, limit)
    return bounds


def in_turn(plan: Plan, done: Container[str], sent: Container[str]) -> Iterator[PlannedNode]:
    """The nodes that are not ``done``, each once ``sent`` has all its sources; who gets one adds it to both."""
    waiting: list[PlannedNode] = []
    # In the order of execution one pass does, but for nodes that wait for the end of a cycle.
    while len(waiting) != len(rest := [p for p in plan.nodes if p.name not in done]):
        waiting = rest
        yield from (p for p in waiting if all(source.name in sent for source in p.sources))


def _sent_at_most(node: nir.NIRNode) -> int | None:
    """What a neuron sends at most, whatever enters; None for other nodes."""
    sends = spec_of(node).sends
    return int(largest(sends.largest(node))) if sends.spikes else STATE_LIMIT if sends.kind == "membrane" else None


def grown(node: nir.NIRNode, entering: int) -> int:
    """The bound of what a node computes with, from that of what enters."""
    integers = spec_of(node).integers
    return entering if integers is None else integers.grows(node, entering)


def _entering(planned: PlannedNode, bounds: dict[str, int], limit: int) -> int:
    return sum(bounds.get(source.name, 0) for source in planned.sources) if planned.sources else limit


def _inside(plan: Plan, planned: PlannedNode, bounds: dict[str, int], limit: int) -> int:
    """The largest magnitude that the node computes with."""
    entering = _entering(planned, bounds, limit)
    if type(planned.node) is Product:
        return min(max(entering, product_bound(plan, planned, bounds)), LARGEST)
    factor, offset = _growth(planned)
    return min(max(entering, factor * entering + offset), LARGEST)


@once
def _growth(planned: PlannedNode) -> tuple[int, int]:
    """Factor and offset of a node's rule: searches for a limit ask often, and weights may be many."""
    offset = grown(planned.node, 0)
    return grown(planned.node, 1) - offset, offset


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
