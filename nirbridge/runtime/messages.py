"""What messages carry: the numbers that reach a synapse decide whether it adds, shifts or multiplies.

One table for runtimes, chips and energy.
"""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from nirbridge.ir import EventInput, Place, Product, spec_of
from nirbridge.runtime.plan import Plan, PlannedNode

COSTS = ("add", "shift", "multiply")
"""Of one message at a synapse, the cheapest first."""

Exponents = tuple[int, ...]
"""The e of messages that are 2^e or 0."""
_MOST_EXPONENTS = 64
"""More different ones than an integer of a runtime has bits are no table to shift by."""


def message_exponents(node: nir.NIRNode) -> Exponents | None:
    """The exponents e of the messages 2^e that a neuron sends beside 0; None where it may send other numbers."""
    sends = spec_of(node).sends
    if not sends.spikes:
        return None
    values = np.ones(1) if sends.values is None else np.asarray(sends.values(node), dtype=np.float64)
    mantissas, exponents = np.frexp(np.unique(values))
    return tuple(int(exponent) - 1 for exponent in exponents) if (mantissas == 0.5).all() else None


def declared_exponents(node: nir.NIRNode) -> Exponents | None:
    """The same of what an EventInput says that it brings; a caller's data may differ, so no runtime relies on it."""
    if type(node) is not EventInput or node.coding in ("count", "time-surface"):
        return None
    return (0,) if node.coding == "binary" else tuple(range(node.lanes))


def sent_exponents(plan: Plan) -> dict[str, Exponents | None]:
    """:func:`message_exponents` of every node of a plan, those that hand on or multiply what they get included."""
    sent = {planned.name: message_exponents(planned.node) for planned in plan.nodes}
    for planned in plan.nodes:
        if spec_of(planned.node).sends.kind == "passed":
            sent[planned.name] = entering_exponents(planned, sent)
        elif type(planned.node) is Product:
            sent[planned.name] = _of_product(planned, plan, sent)
    return sent


def entering_exponents(planned: PlannedNode, sent: Mapping[str, Exponents | None]) -> Exponents | None:
    """The same of the messages that reach a node; sums of several edges may be any number."""
    return sent.get(planned.sources[0].name) if len(planned.sources) == 1 else None


def _of_product(planned: PlannedNode, plan: Plan, sent: Mapping[str, Exponents | None]) -> Exponents | None:
    """Exponents add where every slot is brought by one Place, and holds 2^e or 0."""
    size, places = planned.output_shape[0], [plan[source.name] for source in planned.sources]
    if not all(type(place.node) is Place for place in places):
        return None
    sums = {0}
    for slot in range(planned.node.factors):
        reaching = [p for p in places if p.node.start < (slot + 1) * size and p.node.stop > slot * size]
        exponents = sent.get(reaching[0].name) if len(reaching) == 1 else None
        if exponents is None or len(sums) > _MOST_EXPONENTS:
            return None
        sums = {before + exponent for before in sums for exponent in exponents}
    return tuple(sorted(sums))


def message_cost(exponents: Exponents | None) -> str:
    """What such a message costs at a synapse: "add" of the weight, "shift" and add, or "multiply" and add."""
    if exponents is None:
        return "multiply"
    return "add" if exponents == (0,) else "shift"
