"""Multi-level neurons as one LIF in the file, for platforms whose code takes a spike function of the user's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem, UnsupportedError
from nirbridge.expanding.fragment import Array, full, is_throughout
from nirbridge.expanding.lowering.wiring import with_node_before
from nirbridge.expanding.target import Lanes, Target
from nirbridge.ir import FlatGraph, MultiLevelLIF, infer_shapes, label

_SHORT = 2.0**-7
"""Steps of a time constant whose exponential is 0 in single precision: exp(-128)."""


def neurons_by_code(flat: FlatGraph, target: Target, dt: float) -> tuple[FlatGraph, dict[str, Lanes]]:
    r"""Every spiking node as a LIF, with the lanes that the code states.

    The platform computes :math:`v \leftarrow e^{-dt/\tau} v + x`, so :math:`\tau = -dt / \ln(decay)`, the gain is a
    Scale in front, and v_init is taken off all that is compared with the membrane, which decay 1 allows.

    Raises:
        UnsupportedError: lanes or decays differ between neurons of a node, or v_init decays.
    """
    shapes, _ = infer_shapes(flat)
    lanes: dict[str, Lanes] = {}
    problems: list[Problem] = []
    for name, node in tuple(flat.nodes.items()):
        found = _read(node, dt)
        if found is None:
            continue
        decay, gain, neuron_lanes, lacking = found
        if lacking:
            problems.append(Problem(label(name, node), lacking, "Run it with nirbridge", "code_states_it"))
            continue
        lanes[name] = neuron_lanes
        shape = shapes[name].input
        flat = replace(flat, nodes={**flat.nodes, name: _node(decay, shape, target, neuron_lanes)})
        if not is_throughout(gain, 1):
            flat = with_node_before(flat, name, "gain", nir.Scale(full(gain, shape)))
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


def _node(decay: Array, shape: tuple[int, ...], target: Target, lanes: Lanes) -> nir.LIF:
    """One number a channel: the importer asks each entry along the first axis whether it is 0."""
    shape = (shape[0], *(1,) * (len(shape) - 1))
    tau = full(decaying(full(decay, (1,)))[0], shape) * target.dt
    threshold = full(lanes.threshold[0], shape)
    return nir.LIF(tau, tau / target.dt, 0 * threshold, threshold, 0 * threshold)


def _read(node: Any, dt: float) -> tuple[Array, Any, Lanes, str] | None:
    """Decay, gain, lanes and what stands against them; None for a node that does not spike."""
    if type(node) is MultiLevelLIF:
        fields = [node.decay, node.v_init, node.v_reset, *node.lane_threshold, *node.lane_weight, *node.lane_reset]
        if not all(_is_even(field) for field in fields):
            return np.zeros(()), 1.0, _NONE, "has lanes or decays that differ between neurons"
        decay, start = _first(node.decay), float(_first(node.v_init))
        if start and decay != 1:
            return decay, 1.0, _NONE, "starts at a v_init that decays"
        reset = None if node.reset == "value" else tuple(float(_first(v)) for v in node.lane_reset)
        lanes = Lanes(
            tuple(float(_first(v)) - start for v in node.lane_threshold),
            tuple(float(_first(v)) for v in node.lane_weight),
            reset,
            float(_first(node.v_reset)) - start,
            node.boundary == ">=",
        )
        return decay, node.gain, lanes, ""
    if type(node) is nir.Threshold:
        even = "" if _is_even(node.threshold) else "has thresholds that differ between neurons"
        return np.zeros(()), 1.0, _binary(node.threshold, 0.0), even
    if type(node) in (nir.IF, nir.LIF):
        share = dt / np.asarray(node.tau) if type(node) is nir.LIF else np.zeros(())
        gain = node.r if type(node) is nir.IF else node.r * share
        same = all(map(_is_even, (share, node.v_threshold, node.v_reset)))
        lacking = "" if same else "has parameters that differ between neurons"
        if np.any(getattr(node, "v_leak", 0)) or _first(share) > 1:
            lacking = "has a v_leak, or a tau shorter than a step, which the platform's decay cannot say"
        return 1 - _first(share), gain, _binary(node.v_threshold, node.v_reset), lacking
    return None


def _binary(threshold: Any, v_reset: Any) -> Lanes:
    return Lanes((float(_first(threshold)),), (1.0,), None, float(_first(v_reset)), False)


_NONE = Lanes((), (), None, 0.0, False)


def _is_even(values: Any) -> bool:
    return np.unique(values).size == 1


def _first(values: Any) -> Array:
    return np.asarray(np.asarray(values).flat[0], dtype=np.float64)
