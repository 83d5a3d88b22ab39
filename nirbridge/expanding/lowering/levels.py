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
        decay, constant = _compact(full(found.decay, shape)[None])[0], full(found.bias, shape)
        bias = added(constant) if constant.any() else None
        lacking = _lacking(decay, said=bias is not None or not constant.any())
        if lacking:
            problems.append(Problem(label(name, node), lacking, "Run it with nirbridge", "code_states_it"))
            continue
        lanes[name], first = found.lanes, name
        flat = with_node(flat, name, _node(decay, shape, target, found.lanes))
        if bias is not None:
            flat, first = with_node_before(flat, name, "bias", bias), f"{name}/bias"
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


def _lacking(decay: Array, said: bool) -> str:
    """What no exponential says of a decay, or no bias of a constant, as ``said`` tells; empty where they do."""
    if not said:
        return "has a v_leak or v_init that differs within a channel"
    if not ((decay >= 0) & (decay <= 1)).all():
        worst = decay.min() if decay.min() < 0 else decay.max()
        return f"decays by {worst:g} a step, which the platform's exponential, within 0..1, cannot say"
    return "has decays that differ within a channel" if decay.size > len(decay) else ""


@dataclass(frozen=True)
class _Neuron:
    """v = decay·v + gain·x + bias, and its spikes."""

    decay: Any
    gain: Any
    bias: Any
    lanes: Lanes


def _read(node: Any, shape: Shape, dt: float) -> _Neuron | None:
    """None for a node without a membrane or spikes."""
    if type(node) is MultiLevelLIF:
        decay, start = np.asarray(node.decay, dtype=np.float64), np.asarray(node.v_init, dtype=np.float64)
        reset = None if node.reset == "value" else node.lane_reset
        lanes = _lanes(shape, node.lane_threshold, node.lane_weight, reset, node.v_reset, start, node.boundary == ">=")
        return _Neuron(decay, node.gain, (decay - 1) * start, lanes)
    if type(node) is nir.Threshold:
        return _Neuron(0.0, 1.0, 0.0, _binary(shape, node.threshold, 0.0))
    if type(node) not in (nir.IF, nir.LIF, nir.I, nir.LI):
        return None
    spikes = type(node) in (nir.IF, nir.LIF)
    lanes = _binary(shape, node.v_threshold, node.v_reset) if spikes else SENDS_MEMBRANE
    if type(node) in (nir.IF, nir.I):
        return _Neuron(1.0, node.r, 0.0, lanes)
    share = dt / np.asarray(node.tau)
    return _Neuron(1 - share, node.r * share, node.v_leak * share, lanes)


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
