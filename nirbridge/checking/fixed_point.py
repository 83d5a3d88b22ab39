"""What precision "fixed" cannot say: one table for every runtime, node type → the reasons that speak against it.

See docs/fixed_point.md for the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import nir
import numpy as np
from numpy.typing import NDArray

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
    SparseMatrix,
    TemporalMix,
    label,
)
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d

STATE_LIMIT = 2**23 - 1
"""Largest magnitude of a 24-bit state."""
DECAY_ONE = 4096
"""A decay is a multiple of 1/DECAY_ONE."""
_CLOSE = 1e-6
"""Relative difference up to which R·dt/tau counts as 1: both are quotients of rounded numbers."""
_QUANTIZE = "Run 'nirbridge quantize' first"


class Reason(NamedTuple):
    """What speaks against a node, and what to do."""

    found: str
    next_step: str = _QUANTIZE


Reasons = Iterator[Reason]


def fixed_point_problems(nodes: Mapping[str, nir.NIRNode], dt: float) -> list[Problem]:
    """Every reason why a graph cannot run in precision "fixed", by node.

    Args:
        nodes: the nodes of a flat graph by name, time-dependent ones as they are for this ``dt``.
        dt: seconds per step.
    """
    return [
        Problem(label(name, node), reason.found, reason.next_step, rule="node_runs_in_fixed_point")
        for name, node in nodes.items()
        for reason in _REASONS.get(type(node), _unknown)(node, dt)
    ]


def leak_steps(dt: float, tau: Any) -> NDArray[np.int64]:
    """δ = round(4096·dt/tau), by which a leaky state loses δ/4096 a step."""
    return whole(DECAY_ONE * dt / np.asarray(tau, dtype=np.float64))


def whole(value: Any) -> NDArray[np.int64]:
    """A field that holds whole numbers as int64."""
    return np.rint(np.asarray(value, dtype=np.float64)).astype(np.int64)


def _unknown(node: nir.NIRNode, dt: float) -> Reasons:
    yield Reason(f"precision 'fixed' has no integer form of {type(node).__name__}")


def _fine(node: nir.NIRNode, dt: float) -> Reasons:
    yield from ()


def _whole(*names: str, limit: int | None = None) -> Callable[[Any, float], Reasons]:
    def reasons(node: Any, dt: float) -> Reasons:
        for name in names:
            yield from _whole_field(node, name, limit)

    return reasons


def _whole_field(node: Any, name: str, limit: int | None = None) -> Reasons:
    value = getattr(node, name)
    array = np.asarray(value.value if isinstance(value, SparseMatrix) else value, dtype=np.float64)
    broken = array[array != np.rint(array)]
    if broken.size:
        yield Reason(f"{name} holds {broken.flat[0]:g}, which is no integer")
    elif limit is not None and array.size and np.abs(array).max() > limit:
        yield Reason(f"{name} holds {int(array.flat[np.abs(array).argmax()])}, beyond the 24-bit state of ±{limit}")


def _multi_level(node: MultiLevelLIF, dt: float) -> Reasons:
    yield from _whole("gain", "lane_weight", "lane_threshold", "lane_reset")(node, dt)
    yield from _whole("v_init", "v_reset", limit=STATE_LIMIT)(node, dt)
    steps = DECAY_ONE * np.asarray(node.decay, dtype=np.float64)
    broken = steps[steps != np.rint(steps)]
    if broken.size:
        yield Reason(f"decay holds {broken.flat[0] / DECAY_ONE:g}, which is no multiple of 1/{DECAY_ONE}")
    if (np.abs(steps) > 2 * DECAY_ONE).any():
        yield Reason(f"decay holds {np.abs(steps).max() / DECAY_ONE:g}, above 2")


def _integrate_and_fire(node: nir.IF, dt: float) -> Reasons:
    yield from _whole("r", "v_threshold")(node, dt)
    yield from _whole_field(node, "v_reset", STATE_LIMIT)


def _leaky(node: nir.LI | nir.LIF, dt: float) -> Reasons:
    yield from _leak(node, "tau", dt)
    yield from _unit_gain(node, "r", "tau", dt)
    yield from _no_rest(node)
    yield from _firing(node)


def _with_synapse(node: nir.CubaLI | nir.CubaLIF, dt: float) -> Reasons:
    yield from _leak(node, "tau_syn", dt)
    yield from _leak(node, "tau_mem", dt)
    yield from _unit_gain(node, "w_in", "tau_syn", dt)
    yield from _unit_gain(node, "r", "tau_mem", dt)
    yield from _no_rest(node)
    yield from _firing(node)


def _leak(node: Any, name: str, dt: float) -> Reasons:
    if (leak_steps(dt, getattr(node, name)) > DECAY_ONE).any():
        yield Reason(f"dt/{name} is {np.max(dt / np.asarray(getattr(node, name))):g}, above 1")


def _unit_gain(node: Any, factor: str, tau: str, dt: float) -> Reasons:
    gain = np.asarray(getattr(node, factor), dtype=np.float64) * dt / np.asarray(getattr(node, tau), dtype=np.float64)
    if (np.abs(gain - 1) > _CLOSE).any():
        worst = gain.flat[np.abs(gain - 1).argmax()]
        yield Reason(f"{factor}·dt/{tau} is {worst:g}, not 1, at dt = {dt:g} s")


def _no_rest(node: Any) -> Reasons:
    if np.any(node.v_leak):
        furthest = np.asarray(node.v_leak).flat[np.abs(node.v_leak).argmax()]
        yield Reason(f"v_leak holds {furthest:g}, not 0", "Move it into threshold, reset and bias")


def _firing(node: Any) -> Reasons:
    if hasattr(node, "v_threshold"):
        yield from _whole_field(node, "v_threshold")
        yield from _whole_field(node, "v_reset", STATE_LIMIT)


_REASONS: dict[type[nir.NIRNode], Callable[[Any, float], Reasons]] = {
    nir.Input: _fine,
    nir.Output: _fine,
    EventInput: _fine,
    nir.Affine: _whole("weight", "bias"),
    nir.Linear: _whole("weight"),
    nir.Conv1d: _whole("weight", "bias"),
    nir.Conv2d: _whole("weight", "bias"),
    nir.Scale: _whole("scale"),
    nir.SumPool2d: _fine,
    nir.AvgPool2d: _fine,
    MaxPool2d: _fine,
    FirstSpikePool2d: _fine,
    nir.Flatten: _fine,
    nir.Delay: _fine,
    Aggregate: _whole("weight"),
    Place: _fine,
    Product: _fine,
    Quantize: _fine,
    TemporalMix: _whole("weight"),
    PhaseEncode: _whole("scale", limit=STATE_LIMIT),
    PhaseIF: _whole("v_threshold", "v_init", limit=STATE_LIMIT),
    PhaseDecode: _whole("v_init", limit=STATE_LIMIT),
    nir.Threshold: _whole("threshold"),
    MultiLevelLIF: _multi_level,
    nir.I: _whole("r"),
    nir.IF: _integrate_and_fire,
    nir.LI: _leaky,
    nir.LIF: _leaky,
    nir.CubaLI: _with_synapse,
    nir.CubaLIF: _with_synapse,
}
