"""Warnings about thresholds that no input can reach, by bounds on what every node can send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import Problem
from nirbridge.ir import EventInput, FlatGraph, MultiLevelLIF, Place, Product, Quantize, infer_shapes, label
from nirbridge.ir.inference import Shapes
from nirbridge.ir.shapes import conv_padding

Array = NDArray[Any]


class Bounds(NamedTuple):
    """The least and the largest value that each output of a node can have."""

    low: Array
    high: Array


def thresholds_can_be_reached(flat: FlatGraph) -> list[Problem]:
    """No neuron has a threshold above all that its inputs can bring.

    Values from outside are unbounded, save those of an EventInput; a spiking node sends 0 or its levels.  Bounds
    follow the edges; where no rule knows better they are infinite, so that a warning is never wrong for Euler steps
    with dt <= tau.
    """
    shapes, shape_problems = infer_shapes(flat)
    if shape_problems:
        return []
    with np.errstate(all="ignore"):  # bounds may be infinite, and files hold any number
        return _unreachable(flat, shapes)


def _unreachable(flat: FlatGraph, shapes: dict[str, Shapes]) -> list[Problem]:
    bounds: dict[str, Bounds] = {}
    problems = []
    for name in flat.topology.order:
        node = flat.nodes[name]
        if name not in shapes:
            continue
        senders = flat.sources(name)
        incoming = _sum([bounds.get(sender) or _sent(flat, sender, shapes) for sender in senders], shapes[name])
        rule = _PASSED.get(type(node))
        bounds[name] = rule(node, incoming, shapes[name]) if rule else _sent(flat, name, shapes)
        limit = _REACHED.get(type(node))
        if limit is not None:
            lost = ~np.broadcast_to(limit(node, incoming), shapes[name].output)
            if lost.any():
                found = f"{int(lost.sum())} of {lost.size} neurons cannot reach their threshold with any input"
                problems.append(Problem(label(name, node), found, "Lower the threshold, or compare weights and units"))
    return problems


def _sum(parts: list[Bounds], shapes: Shapes) -> Bounds:
    if not parts:
        return Bounds(np.full(shapes.input, -np.inf), np.full(shapes.input, np.inf))
    return Bounds(np.sum([part.low for part in parts], axis=0), np.sum([part.high for part in parts], axis=0))


def _sent(flat: FlatGraph, name: str, shapes: dict[str, Shapes]) -> Bounds:
    """What a node of this type can send whatever comes in."""
    node, shape = flat.nodes[name], shapes[name].output
    low, high = _LEVELS[type(node)](node) if type(node) in _LEVELS else (-np.inf, np.inf)
    return Bounds(np.full(shape, low), np.full(shape, high))


_BINARY: Callable[[Any], tuple[float, float]] = lambda node: (0.0, 1.0)  # noqa: E731
_LEVELS: dict[type[nir.NIRNode], Callable[[Any], tuple[float, float]]] = {
    nir.Threshold: _BINARY,
    nir.IF: _BINARY,
    nir.LIF: _BINARY,
    nir.CubaLIF: _BINARY,
    MultiLevelLIF: lambda node: (min(0.0, float(node.lane_weight.min())), max(0.0, float(node.lane_weight.max()))),
    EventInput: lambda node: (
        0.0,
        {"binary": 1.0, "one-hot": 2.0 ** min(node.lanes - 1, 1023)}.get(node.coding, np.inf),
    ),
}


def _times(factor: Any, x: Bounds) -> Bounds:
    """Bounds of factor·x, where 0 times infinity is 0: the factor is known."""
    a, b = (
        np.where(np.asarray(factor) == 0, 0.0, np.nan_to_num(factor * end, nan=0.0, posinf=np.inf, neginf=-np.inf))
        for end in x
    )
    return Bounds(np.minimum(a, b), np.maximum(a, b))


def _matrix(node: nir.Affine | nir.Linear, x: Bounds, shapes: Shapes) -> Bounds:
    with np.errstate(invalid="ignore"):
        terms = _times(np.asarray(node.weight, dtype=np.float64), Bounds(x.low[..., None, :], x.high[..., None, :]))
    bias = getattr(node, "bias", 0.0)
    return Bounds(terms.low.sum(axis=-1) + bias, terms.high.sum(axis=-1) + bias)


def _convolution(node: nir.Conv1d | nir.Conv2d, x: Bounds, shapes: Shapes) -> Bounds:
    """Channel by channel, as if every place of a channel had its extremes; padding brings 0."""
    groups, axes = int(node.groups), node.weight.ndim - 2
    padded = any(before or after for before, after in conv_padding(node))
    spatial = tuple(range(1, axes + 1))
    low, high = x.low.min(axis=spatial), x.high.max(axis=spatial)
    if padded:
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    weight = np.asarray(node.weight, dtype=np.float64)
    outputs = weight.shape[0] // groups
    wide = [
        np.repeat(end.reshape(groups, -1), outputs, axis=0).reshape(*weight.shape[:2], *(1,) * axes)
        for end in (low, high)
    ]
    with np.errstate(invalid="ignore"):
        terms = _times(weight, Bounds(*wide))
    inner = tuple(range(1, axes + 2))
    bias = np.asarray(node.bias, dtype=np.float64)
    shape = (-1, *(1,) * axes)
    return Bounds(*(np.broadcast_to((end.sum(axis=inner) + bias).reshape(shape), shapes.output) for end in terms))


def _reshape(node: nir.NIRNode, x: Bounds, shapes: Shapes) -> Bounds:
    return Bounds(x.low.reshape(shapes.output), x.high.reshape(shapes.output))


def _scale(node: nir.Scale, x: Bounds, shapes: Shapes) -> Bounds:
    with np.errstate(invalid="ignore"):
        return _times(node.scale, x)


def _place(node: Place, x: Bounds, shapes: Shapes) -> Bounds:
    def placed(end: Array) -> Array:
        wide = np.zeros(shapes.output)
        wide[node.start : node.stop] = end
        return wide

    return Bounds(placed(x.low), placed(x.high))


def _product(node: Product, x: Bounds, shapes: Shapes) -> Bounds:
    """The extremes of a product lie at the ends of its factors; 0 times infinity is 0: a bound is reached or not."""
    low, high = (np.split(end, node.factors) for end in x)
    found = Bounds(low[0], high[0])
    for factor in zip(low[1:], high[1:], strict=True):
        ends = np.stack([np.nan_to_num(a * b, nan=0.0, posinf=np.inf, neginf=-np.inf) for a in found for b in factor])
        found = Bounds(ends.min(axis=0), ends.max(axis=0))
    return found


def _quantize(node: Quantize, x: Bounds, shapes: Shapes) -> Bounds:
    """Rounding keeps the order, so ends go to ends."""
    ends = (np.clip(np.rint(end / node.step), node.low, node.high) for end in x)
    return Bounds(*(np.broadcast_to(end, shapes.output) for end in ends))


_PASSED: dict[type[nir.NIRNode], Callable[[Any, Bounds, Shapes], Bounds]] = {
    nir.Affine: _matrix,
    nir.Linear: _matrix,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    nir.Scale: _scale,
    nir.Flatten: _reshape,
    nir.Output: _reshape,
    Place: _place,
    Product: _product,
    Quantize: _quantize,
}


def _settled(factor: Any, x: Bounds) -> Array:
    with np.errstate(invalid="ignore"):
        return _times(factor, x).high


def _multi_level_reach(node: MultiLevelLIF, x: Bounds) -> Array:
    """u <= decay v + gain x with v at most the larger of its start and what u can grow to without a spike."""
    decay, drive = np.asarray(node.decay, dtype=np.float64), _settled(node.gain, x)
    first, lowest = node.lane_threshold[0], np.asarray(node.v_init, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        growing = np.where(drive > 0, np.inf, lowest + drive)
        settled = np.where(np.abs(decay) < 1, np.maximum(drive, 0.0) / (1 - np.abs(decay)), growing)
    reach = np.maximum(settled, np.maximum(np.abs(decay) * np.maximum(lowest, 0.0) + drive, drive))
    free = (node.lane_reset < 0).any() or (node.reset == "value" and np.any(node.v_reset)) or np.any(decay < 0)
    return (reach >= first) | free | np.isinf(drive)


_REACHED: dict[type[nir.NIRNode], Callable[[Any, Bounds], Array]] = {
    nir.Threshold: lambda node, x: x.high > node.threshold,
    nir.IF: lambda node, x: (_settled(node.r, x) > 0) | (np.asarray(node.v_threshold) < 0),
    nir.LIF: lambda node, x: np.maximum(node.v_leak + _settled(node.r, x), 0.0) > node.v_threshold,
    nir.CubaLIF: lambda node, x: (
        np.maximum(node.v_leak + _settled(node.r, Bounds(*map(np.asarray, _current(node, x)))), 0.0) > node.v_threshold
    ),
    MultiLevelLIF: _multi_level_reach,
}


def _current(node: nir.CubaLIF, x: Bounds) -> Bounds:
    with np.errstate(invalid="ignore"):
        current = _times(node.w_in, x)
    return Bounds(np.minimum(current.low, 0.0), np.maximum(current.high, 0.0))


REACHABILITY_RULES = (thresholds_can_be_reached,)
