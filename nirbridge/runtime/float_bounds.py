"""How large and how small numbers can become in floating point: products and sums must stay in a dtype's range."""

from __future__ import annotations

import nir

from nirbridge.ir import Product, spec_of
from nirbridge.primitives.magnitudes import largest, least
from nirbridge.primitives.spec import Array
from nirbridge.runtime.integer_bounds import grown, in_turn, product_bound
from nirbridge.runtime.plan import Plan, PlannedNode

SINGLE_RANGE = 2**127
"""Magnitudes below it are finite in single precision, and so is a sum of two of them."""
SINGLE_LEAST = 2.0**-126
"""Magnitudes above it have all their bits in single precision."""
LEAST_DATA = 2.0**-24
"""Magnitude of data, other than 0, below which :func:`below_single` says nothing."""


def beyond_single(plan: Plan, limit: int) -> PlannedNode | None:
    """The first node that can compute with magnitudes beyond :data:`SINGLE_RANGE`, for inputs up to ``limit``.

    That may also be one without a bound: in a cycle without a neuron that spikes, or with a decay above 1.  Bounds are
    rough, upward, and hold for :data:`~nirbridge.primitives.magnitudes.MOST_STEPS` steps.
    """
    inside: dict[str, int | None] = {}
    sent = {p.name: largest(_spikes(p.node)) for p in plan.nodes if spec_of(p.node).sends.spikes}
    for planned in in_turn(plan, inside, sent):
        found = inside[planned.name] = _inside(plan, planned, sent, limit)
        if found is not None:
            # No more digits than it takes: a chain of products would double them with every link.
            sent.setdefault(planned.name, min(found, SINGLE_RANGE))
    return next((p for p in plan.nodes if (found := inside.get(p.name)) is None or found >= SINGLE_RANGE), None)


def below_single(plan: Plan) -> PlannedNode | None:
    """The first node some of whose products are all below :data:`SINGLE_LEAST`, for data of :data:`LEAST_DATA`.

    Of weights that are added up the largest counts.
    """
    sent = {p.name: least(_spikes(p.node)) for p in plan.nodes if spec_of(p.node).sends.spikes}
    for planned in plan.nodes:
        entering = min((sent[s.name] for s in planned.sources if s.name in sent), default=LEAST_DATA)
        inside = entering * spec_of(planned.node).floats.least(planned.node, plan.dt)
        if inside < SINGLE_LEAST:
            return planned
        sent.setdefault(planned.name, inside)
    return None


def _inside(plan: Plan, planned: PlannedNode, sent: dict[str, int], limit: int) -> int | None:
    entering = sum(sent[source.name] for source in planned.sources) if planned.sources else limit
    node, spec = planned.node, spec_of(planned.node)
    if type(node) is Product:
        return max(entering, product_bound(plan, planned, sent))
    if spec.is_neuron and spec.dynamics is None and spec.floats.reaches is None:
        return entering
    if spec.is_neuron:
        taken = 0 if planned.reset_amount is None else largest(planned.reset_amount)
        found = None if spec.floats.reaches is None else spec.floats.reaches(node, entering, plan.dt, taken)
        return None if found is None else max(entering, found)
    return max(entering, grown(node, entering))


def _spikes(node: nir.NIRNode) -> Array:
    return spec_of(node).sends.largest(node)
