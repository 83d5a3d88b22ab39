"""Neurons in the form that a platform takes: its dt, its gain, its way to have no memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem
from nirbridge.expanding.fragment import Array, channel_map, full, is_throughout
from nirbridge.expanding.lowering.scales import added, of_channels
from nirbridge.expanding.lowering.wiring import mapped, with_node, with_node_before
from nirbridge.expanding.target import Target
from nirbridge.ir import FlatGraph, Shape, Shapes, infer_shapes, label

_LONG = 2.0**60
"""Steps of a time constant that no decay differs from 1 for, in double precision either."""


def without_memory(flat: FlatGraph, target: Target) -> FlatGraph:
    """A Threshold is a LIF whose membrane is its input: tau is one step."""

    def made(node: Any, shapes: Shapes) -> nir.NIRNode:
        if type(node) is not nir.Threshold:
            return node
        return _lif(target, target.memoryless * target.dt, full(node.threshold, shapes.input))

    return mapped(flat, made)


def with_one_threshold(flat: FlatGraph, target: Target) -> FlatGraph:
    """Thresholds that differ between places become a bias: [x > θ] is [x - θ > 0], of which no rounding changes the
    sign.  One whose thresholds differ within a channel, as no bias does, stays and is refused."""
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        if target.even and type(node) is nir.Threshold and np.unique(node.threshold).size > 1:
            less = added(-full(node.threshold, shapes[name].input))
            if less is not None:
                flat = with_node(flat, name, nir.Threshold(np.zeros(shapes[name].input)))
                flat = with_node_before(flat, name, "less", less)
    return flat


def with_even_neurons(flat: FlatGraph, target: Target) -> FlatGraph:
    """An IF or LIF whose neurons or channels have other thresholds or tau as one node for each kind of them.

    Weights of ones take what belongs to each, and put its spikes back to their places, where they meet.
    """
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        if target.even and type(node) in (nir.IF, nir.LIF):
            kinds = _kinds(node, shapes[name].input)
            flat = flat if kinds is None else _apart(flat, name, kinds, shapes[name].input)
    return flat


def _kinds(node: Any, shape: Shape) -> Array | None:
    """Which kind each neuron, or each channel, is of; None where there is one kind, or channels hold several."""
    values = [full(node.v_threshold, shape), full(getattr(node, "tau", 1.0), shape)]
    each = [value if len(shape) == 1 else of_channels(value) for value in values]
    if any(value is None for value in each):
        return None
    _, kinds = np.unique(np.stack([value for value in each if value is not None]), axis=1, return_inverse=True)
    return None if kinds.max(initial=0) == 0 else np.asarray(kinds)


def _apart(flat: FlatGraph, name: str, kinds: Array, shape: Shape) -> FlatGraph:
    node: Any = flat.nodes[name]
    flat = with_node_before(with_node(flat, name, nir.Scale(np.ones(shape))), name, "all", nir.Scale(np.ones(shape)))
    values = {key: full(value, shape) for key, value in vars(node).items() if isinstance(value, np.ndarray)}
    nodes, edges = dict(flat.nodes), [edge for edge in flat.edges if edge != (f"{name}/all", name)]
    for kind in range(int(kinds.max()) + 1):
        take = np.eye(len(kinds))[kinds == kind]
        taken, neuron, back = (f"{name}/{part}{kind}" for part in ("taken", "kind", "back"))
        nodes[taken], nodes[back] = (channel_map(weight, shape, "splits") for weight in (take, take.T))
        nodes[neuron] = type(node)(**{key: value[kinds == kind] for key, value in values.items()})
        edges += [(f"{name}/all", taken), (taken, neuron), (neuron, back), (back, name)]
    return replace(flat, nodes=nodes, edges=tuple(edges))


def in_its_terms(flat: FlatGraph, target: Target, dt: float) -> FlatGraph:
    r"""Neurons with the platform's dt and R; what R lacks becomes a Scale in front.

    With :math:`a = dt/\tau` a LIF adds :math:`a R x`.  A platform that takes R for 1 adds :math:`a x`, so the Scale is
    R; one that adds x whole has R = tau/dt, and the Scale is a R.  An IF adds R x; where there is none, a LIF whose
    tau is 2^60 steps keeps its membrane as well.
    """
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        shape = shapes[name].input
        if type(node) is nir.LIF:
            share = dt / full(node.tau, shape)
            made: Any = _lif(target, target.dt / share, full(node.v_threshold, shape))
            factor = full(node.r, shape) * (share if target.gain == "tau/dt" else 1.0)
        elif type(node) is nir.IF:
            threshold, factor = full(node.v_threshold, shape), full(node.r, shape)
            one = np.ones(shape)
            made = nir.IF(one, threshold, 0 * one) if target.takes_if else _lif(target, _LONG * target.dt, threshold)
        else:
            continue
        flat = with_node(flat, name, made)
        if not is_throughout(factor, 1):
            flat = with_node_before(flat, name, "gain", nir.Scale(factor))
    return flat


def neuron_problems(flat: FlatGraph, target: Target, dt: float) -> list[Problem]:
    """What the platform's neurons do not have, asked of the graph as it was."""
    problems = []
    for name, node in flat.nodes.items():
        if type(node) not in (nir.IF, nir.LIF, nir.Threshold):
            continue
        for found in _lacking(node, target, dt):
            step = "Train it without, or run it with nirbridge"
            problems.append(Problem(label(name, node), f"{found} in {target.version}", step, "target_takes_it"))
    return problems


def _lacking(node: Any, target: Target, dt: float) -> list[str]:
    threshold = node.threshold if type(node) is nir.Threshold else node.v_threshold
    found = []
    if target.even and any(np.unique(value).size > 1 for value in (threshold, getattr(node, "tau", 0))):
        found.append("has thresholds or tau that differ between neurons, which a node has one of")
    if not is_throughout(getattr(node, "v_reset", 0), 0):
        found.append("resets to another value than 0, the only one")
    if not is_throughout(getattr(node, "v_leak", 0), 0):
        found.append("has a v_leak, which there is none of")
    if np.any(np.asarray(getattr(node, "tau", dt)) < dt * (1 - 1e-9)):
        found.append("has a tau shorter than a step, so a decay below 0, which is cut off")
    return found


def _lif(target: Target, tau: Any, threshold: Array) -> nir.LIF:
    times = np.maximum(full(tau, threshold.shape), target.memoryless * target.dt)
    r = times / target.dt if target.gain == "tau/dt" else np.ones(threshold.shape)
    if target.closed:
        threshold = np.nextafter(threshold.astype(np.float32), np.float32(np.inf)).astype(np.float64)
    return nir.LIF(times, r, 0 * threshold, threshold, 0 * threshold)
