"""Neurons of any levels as one LIF in the file, for platforms whose code takes a spike function of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem, UnsupportedError
from nirbridge.expanding.fragment import Array, full, is_throughout
from nirbridge.expanding.lowering.scales import added
from nirbridge.expanding.lowering.wiring import with_node, with_node_before
from nirbridge.expanding.target import SENDS_MEMBRANE, Lanes, Target
from nirbridge.ir import FlatGraph, MultiLevelLIF, Shape, infer_shapes, label

_SHORT = 2.0**-7
"""Steps of a time constant whose exponential is 0 in single precision: exp(-128)."""


def neurons_by_code(flat: FlatGraph, target: Target, dt: float) -> tuple[FlatGraph, dict[str, Lanes]]:
    r"""Every neuron as a LIF, with the lanes that the code states.

    The platform computes :math:`v \leftarrow e^{-dt/\tau} v + x`, so :math:`\tau = -dt / \ln(decay)`, the gain is a
    Scale in front and v_leak a bias behind that.  Membranes are counted from v_init, so it is taken off all that is
    compared with them, and what it would decay by, (decay - 1) v_init, is a bias too.

    Raises:
        UnsupportedError: decays or biases differ within a channel, or a decay is none of an exponential.
    """
    shapes, _ = infer_shapes(flat)
    lanes: dict[str, Lanes] = {}
    problems: list[Problem] = []
    for name, node in tuple(flat.nodes.items()):
        shape = shapes[name].input
        found = _read(node, shape, dt)
        if found is None:
            continue
        lacking = found.lacking
        if lacking:
            problems.append(Problem(label(name, node), lacking, "Run it with nirbridge", "code_states_it"))
            continue
        lanes[name], first = found.lanes, name
        flat = with_node(flat, name, _node(found.decay, shape, target, found.lanes))
        if found.bias is not None:
            flat, first = with_node_before(flat, name, "bias", found.bias), f"{name}/bias"
        if not is_throughout(found.gain, 1):
            flat = with_node_before(flat, first, "gain", nir.Scale(full(found.gain, shape)))
    if problems:
        raise UnsupportedError.from_problems(problems)
    return flat, lanes


def decaying(decay: Array) -> Array:
    """Time constants in steps whose exponential comes next to ``decay`` in single precision: of 17 neighbours."""
    start = (-1 / np.log(np.clip(decay, 1e-30, 1 - 2.0**-30))).astype(np.float32)
    best, least = start, np.full(start.shape, np.inf)
    for ulps in range(-8, 9):
        tried = (start.view(np.int32) + ulps).view(np.float32)
        apart = np.abs(np.exp(np.float32(-1) / tried).astype(np.float64) - decay)
        best, least = np.where(apart < least, tried, best), np.minimum(apart, least)
    return np.where(decay == 0, np.float32(_SHORT), np.where(decay == 1, np.float32(2.0**40), best))


def _node(decay: Array, shape: Shape, target: Target, lanes: Lanes) -> nir.LIF:
    """One number a channel: the importer asks each entry along the first axis whether it is 0."""
    one = np.ones((shape[0], *(1,) * (len(shape) - 1)))
    tau = decaying(decay * one) * target.dt
    threshold = one if lanes.threshold is None else lanes.threshold.flat[0] * one
    return nir.LIF(tau, tau / target.dt - (target.gain == "tau/dt - 1"), 0 * one, threshold, 0 * one)


@dataclass(frozen=True)
class _Found:
    """A neuron: v = decay·v + gain·x + bias, and what stands against it."""

    decay: Array
    gain: Any
    lanes: Lanes
    bias: nir.NIRNode | None
    lacking: str


def _read(node: Any, shape: Shape, dt: float) -> _Found | None:
    """None for a node without a membrane or spikes."""
    zero = np.zeros(())
    if type(node) is MultiLevelLIF:
        decay, start = np.asarray(node.decay, dtype=np.float64), np.asarray(node.v_init, dtype=np.float64)
        reset = None if node.reset == "value" else node.lane_reset
        lanes = _lanes(shape, node.lane_threshold, node.lane_weight, reset, node.v_reset, start, node.boundary == ">=")
        return _found(shape, decay, node.gain, lanes, (decay - 1) * start)
    if type(node) is nir.Threshold:
        return _found(shape, zero, 1.0, _binary(shape, node.threshold, zero), zero)
    if type(node) not in (nir.IF, nir.LIF, nir.I, nir.LI):
        return None
    spikes = type(node) in (nir.IF, nir.LIF)
    lanes = _binary(shape, node.v_threshold, node.v_reset) if spikes else SENDS_MEMBRANE
    if type(node) in (nir.IF, nir.I):
        return _found(shape, np.ones(()), node.r, lanes, zero)
    share = dt / np.asarray(node.tau)
    return _found(shape, 1 - share, node.r * share, lanes, node.v_leak * share)


def _found(shape: Shape, decay: Array, gain: Any, lanes: Lanes, bias: Any) -> _Found:
    """With one decay a channel, which an exponential can be."""
    each = _compact(full(decay, shape)[None])[0]
    lacking = ""
    if not ((each >= 0) & (each <= 1)).all():
        worst = each.min() if each.min() < 0 else each.max()
        lacking = f"decays by {worst:g} a step, which the platform's exponential, within 0..1, cannot say"
    elif each.size > len(each):
        lacking = "has decays that differ within a channel"
    if not np.any(bias):
        return _Found(each, gain, lanes, None, lacking)
    node = added(full(bias, shape))
    return _Found(each, gain, lanes, node, lacking if node else "has a v_leak or v_init that differs within a channel")


def _binary(shape: Shape, threshold: Any, v_reset: Any) -> Lanes:
    return _lanes(shape, np.asarray(threshold)[None], np.ones(1), None, v_reset, np.zeros(()), False)


def _lanes(shape: Shape, threshold: Any, weight: Any, reset: Any, v_reset: Any, start: Array, closed: bool) -> Lanes:
    """Membranes counted from ``start``."""

    def of_each(values: Any) -> Array:
        return _compact(np.stack([full(lane, shape) for lane in values]))

    amounts = None if reset is None else of_each(reset)
    from_start = of_each(np.stack([full(lane, shape) for lane in threshold]) - start)
    return Lanes(from_start, of_each(weight), amounts, of_each([v_reset - start])[0], closed)


def _compact(values: Array) -> Array:
    """With 1 for each axis but the first along which all are alike."""
    for axis in range(1, values.ndim):
        first = values.take([0], axis)
        values = first if (values == first).all() else values
    return values
