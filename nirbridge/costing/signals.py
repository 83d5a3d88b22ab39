"""Whether a node sends events or analog values, and the value that one event of level 1 has."""

from __future__ import annotations

import numpy as np

from nirbridge.costing.roles import PRODUCT, TRANSPARENT, cost_of, role_of
from nirbridge.ir import spec_of
from nirbridge.primitives.event_input import brings_events
from nirbridge.primitives.units import least_magnitude
from nirbridge.runtime import Array, Plan, PlannedNode

Unit = Array
"""The value of level 1, for each neuron of the sender."""


def units_of(plan: Plan, input_kind: str | None) -> dict[str, Unit | None]:
    """For each node the value of one level of its events; ``None`` where it sends analog values.

    Inputs are events where ``input_kind`` says so, or, where it is ``None``, where they are an EventInput that makes
    no time surfaces.  Pooling, Flatten, Scale and Delay send what they get, a Product the product of its units.  Levels
    are counted against the lowest lane: 1, 2, 4 of a one-hot neuron are levels 1, 2, 4, and so are q, 2q, 4q of a
    uniform one.
    """
    units = {p.name: _sent(p, input_kind) for p in plan.nodes if role_of(p) not in (TRANSPARENT, PRODUCT)}
    for name in plan.order_between([planned.name for planned in plan.nodes if planned.name not in units]):
        # In a cycle of such nodes alone one comes before what it waits for, which brings nothing.
        units[name] = _passed(plan[name], [units.get(source.name) for source in plan[name].sources])
    return units


def _sent(planned: PlannedNode, input_kind: str | None) -> Unit | None:
    """What a node sends that does not pass on what it gets."""
    sends = spec_of(planned.node).sends
    if sends.kind == "data":
        events = brings_events(planned.node) if input_kind is None else input_kind == "events"
        return np.ones(planned.output_shape) if events else None
    if sends.values is not None:
        return np.broadcast_to(least_magnitude(sends.values(planned.node)), planned.output_shape)
    return np.ones(planned.output_shape) if sends.spikes else None


def _passed(planned: PlannedNode, arriving: list[Unit | None]) -> Unit | None:
    """Events of the smallest unit that arrives; analog values as soon as one sender is analog."""
    units = [unit for unit in arriving if unit is not None]
    if not units or len(units) < len(arriving):
        return None
    rule = cost_of(planned).unit
    return None if rule is None else rule(planned.node, np.minimum.reduce(units), planned.output_shape)
