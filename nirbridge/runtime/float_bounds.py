"""How large and how small numbers can become in floating point: products and sums must stay in a dtype's range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from nirbridge.ir import SPIKING, Aggregate, MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, Product, TemporalMix
from nirbridge.runtime.integer_bounds import GROWTH, largest, product_bound
from nirbridge.runtime.plan import Plan, PlannedNode

SINGLE_RANGE = 2**127
"""Magnitudes below it are finite in single precision, and so is a sum of two of them."""
MOST_STEPS = 2**32
"""Steps over which a membrane without a leak may add up what comes in."""

SINGLE_LEAST = 2.0**-126
"""Magnitudes above it have all their bits in single precision."""
LEAST_DATA = 2.0**-24
"""Magnitude of data, other than 0, below which :func:`below_single` says nothing."""

State = Callable[[PlannedNode, int, float], int | None]


def beyond_single(plan: Plan, limit: int) -> PlannedNode | None:
    """The first node that can compute with magnitudes beyond :data:`SINGLE_RANGE`, for inputs up to ``limit``.

    That may also be one without a bound: in a cycle without a neuron that spikes, or with a decay above 1.  Bounds are
    rough, upward, and hold for :data:`MOST_STEPS` steps.
    """
    inside: dict[str, int | None] = {}
    sent: dict[str, int] = {p.name: _spike(p.node) for p in plan.nodes if type(p.node) in SPIKING}
    waiting: tuple[PlannedNode, ...] = ()
    # In the order of execution one pass does, but for nodes that wait for the end of a cycle.
    while len(waiting) != len(rest := tuple(p for p in plan.nodes if p.name not in inside)):
        waiting = rest
        for planned in waiting:
            if all(source.name in sent for source in planned.sources):
                found = inside[planned.name] = _inside(plan, planned, sent, limit)
                if found is not None:
                    # No more digits than it takes: a chain of products would double them with every link.
                    sent.setdefault(planned.name, min(found, SINGLE_RANGE))
    return next((p for p in plan.nodes if (found := inside.get(p.name)) is None or found >= SINGLE_RANGE), None)


def below_single(plan: Plan) -> PlannedNode | None:
    """The first node some of whose products are all below :data:`SINGLE_LEAST`, for data of :data:`LEAST_DATA`.

    Of weights that are added up the largest counts.
    """
    sent: dict[str, float] = {p.name: _least_spike(p.node) for p in plan.nodes if type(p.node) in SPIKING}
    for planned in plan.nodes:
        entering = min((sent[s.name] for s in planned.sources if s.name in sent), default=LEAST_DATA)
        inside = entering * _FACTORS.get(type(planned.node), _same)(planned.node, plan.dt)
        if inside < SINGLE_LEAST:
            return planned
        sent.setdefault(planned.name, inside)
    return None


def _least(values: Any, axis: int | tuple[int, ...] | None = None) -> float:
    """The smallest magnitude of a parameter other than 0; with ``axis`` of the largest ones along it."""
    array = np.abs(np.asarray(values, dtype=np.float64))
    array = array if axis is None else array.max(axis=axis, initial=0.0)
    return float(array.min(where=array > 0, initial=1.0))


def _least_spike(node: nir.NIRNode) -> float:
    return _least(node.lane_weight) if type(node) is MultiLevelLIF else 1.0


def _same(node: nir.NIRNode, dt: float) -> float:
    return 1.0


def _matrix(node: nir.Linear | nir.Affine | TemporalMix, dt: float) -> float:
    return _least(node.weight, -1)


def _convolution(node: nir.Conv1d | nir.Conv2d, dt: float) -> float:
    return _least(node.weight, tuple(range(1, node.weight.ndim)))


def _leak(node: nir.LI | nir.LIF, dt: float) -> float:
    return _least(dt / np.asarray(node.tau, dtype=np.float64) * node.r)


def _two_leaks(node: nir.CubaLI | nir.CubaLIF, dt: float) -> float:
    synapse = dt / np.asarray(node.tau_syn, dtype=np.float64) * node.w_in
    return _least(synapse) * _least(dt / np.asarray(node.tau_mem, dtype=np.float64) * node.r)


_FACTORS: dict[type[nir.NIRNode], Callable[[Any, float], float]] = {
    nir.Linear: _matrix,
    nir.Affine: _matrix,
    TemporalMix: _matrix,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    Aggregate: lambda node, dt: _least(node.dense_weight(), 1),
    nir.Scale: lambda node, dt: _least(node.scale),
    nir.I: lambda node, dt: _least(node.r),
    nir.IF: lambda node, dt: _least(node.r),
    nir.LI: _leak,
    nir.LIF: _leak,
    nir.CubaLI: _two_leaks,
    nir.CubaLIF: _two_leaks,
    MultiLevelLIF: lambda node, dt: _least(node.gain),
}
"""What a node multiplies with, at least."""


def _spike(node: nir.NIRNode) -> int:
    return largest(node.lane_weight) if type(node) is MultiLevelLIF else 1


def _inside(plan: Plan, planned: PlannedNode, sent: dict[str, int], limit: int) -> int | None:
    entering = sum(sent[source.name] for source in planned.sources) if planned.sources else limit
    kind = type(planned.node)
    if kind is Product:
        return max(entering, product_bound(plan, planned, sent))
    if kind in _STATES:
        found = _STATES[kind](planned, entering, plan.dt)
        return None if found is None else max(entering, found)
    return max(entering, GROWTH[kind](planned.node, entering)) if kind in GROWTH else entering


def _without_leak(planned: PlannedNode, x: int, dt: float) -> int:
    return MOST_STEPS * (largest(planned.node.r) * x + _taken(planned)) + _after(planned.node)


def _leaky(planned: PlannedNode, x: int, dt: float) -> int | None:
    node = planned.node
    reach = _reach(dt, node.tau)
    return None if reach is None else _membrane(planned, reach, x)


def _with_synapse(planned: PlannedNode, x: int, dt: float) -> int | None:
    node = planned.node
    first, second = _reach(dt, node.tau_syn), _reach(dt, node.tau_mem)
    if first is None or second is None:
        return None
    current = first * largest(node.w_in) * x
    return max(current, _membrane(planned, second, current))


def _membrane(planned: PlannedNode, reach: int, x: int) -> int:
    node = planned.node
    return reach * (largest(node.v_leak) + largest(node.r) * x) + MOST_STEPS * _taken(planned) + _after(node)


def _multi_level(planned: PlannedNode, x: int, dt: float) -> int | None:
    node = planned.node
    if np.any(np.abs(np.asarray(node.decay, dtype=np.float64)) > 1):
        return None
    drive = largest(node.gain) * x + largest(node.lane_reset)
    return MOST_STEPS * drive + largest(node.v_init) + largest(node.v_reset)


def _phase_sum(planned: PlannedNode, x: int, dt: float) -> int:
    """Phases weigh at most 1 each; the sums themselves are in double precision."""
    return planned.node.phases * x + largest(planned.node.v_init)


def _reach(dt: float, tau: Any) -> int | None:
    """How far beyond its target a leaky state can come: with dt/tau <= 1 not at all, above 2 without a bound."""
    share = np.max(dt / np.asarray(tau, dtype=np.float64), initial=0.0)
    return 1 if share <= 1 else 2 * MOST_STEPS if share <= 2 else None


def _taken(planned: PlannedNode) -> int:
    return 0 if planned.reset_amount is None else largest(planned.reset_amount)


def _after(node: nir.NIRNode) -> int:
    return largest(getattr(node, "v_reset", 0))


_STATES: dict[type[nir.NIRNode], State] = {
    nir.I: _without_leak,
    nir.IF: _without_leak,
    nir.LI: _leaky,
    nir.LIF: _leaky,
    nir.CubaLI: _with_synapse,
    nir.CubaLIF: _with_synapse,
    MultiLevelLIF: _multi_level,
    PhaseIF: _phase_sum,
    PhaseDecode: _phase_sum,
    PhaseEncode: lambda planned, x, dt: x,
}
"""What a node with a state computes with, from what enters; None where nothing bounds it."""
