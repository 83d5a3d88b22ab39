"""Weights on the grid of few bits, symmetric around 0, one step for each output channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.evaluate import Function, function, functions, values
from nirbridge.converting.markers import Array, channel_axis, operation_of
from nirbridge.converting.scaling import along
from nirbridge.ir import Aggregate, SparseMatrix, moves_values
from nirbridge.quantizing.gptq import gptq
from nirbridge.quantizing.patches import gram, patches, row_factors, weight_rows
from nirbridge.quantizing.scales import integers_of
from nirbridge.quantizing.steps import channel_steps

Steps = Callable[[Array, int], Array]
How = Callable[[Array, Array, "Array | None"], Array]
_MEMORY = 2**28
"""Bytes of the largest layer's values that are kept: so many samples GPTQ sees."""
_ROWS, _VALUES = 2**15, 2**26
"""Places of a layer that GPTQ sees, and values of all inputs there."""
_DAMPING = 0.05
"""Of few pictures, which say less of others than the text that GPTQ was made for."""


def rounded_weights(
    graph: AnalogGraph,
    inputs: list[Tensor],
    bits: int,
    rounding: str = "nearest",
    entering: Mapping[str, Array] | None = None,
    steps: Steps = channel_steps,
) -> AnalogGraph:
    """The network with the weights w f of all matrices and convolutions on grids s q, f being what enters them.

    A Scale has one weight a channel, which is its own step, and stays; so does what only moves values.

    Args:
        graph: the network.
        inputs: calibration data in batches.
        bits: of a weight, with its sign; 8 gives -127..127.
        rounding: "nearest", or "gptq", which rounds a layer by what enters it once those before it are rounded; a
            layer's bias takes up what the mean of its sums still moves.
        entering: f, the factor of what enters a layer, by its name, broadcastable to it; 1 where there is none.
        steps: weights [..., out, in] and bits → s; one for each output channel.
    """
    factors = entering or {}
    changed: dict[str, nir.NIRNode] = {}
    how = partial(_rounded, bits=bits, steps=steps)
    rules = {
        name: _RULES[kind]
        for name in graph.order
        if (kind := operation_of(graph.nodes[name])) in _RULES and not moves_values(graph.nodes[name])
    }

    def rounded(name: str, x: Array | None) -> nir.NIRNode:
        axes = len(graph.shapes[graph.incoming[name][0]])
        changed[name] = rules[name](graph.nodes[name], factors.get(name, np.ones(())), axes, x, how)
        changed[name].metadata = dict(graph.nodes[name].metadata)
        return changed[name]

    if rounding == "nearest":
        for name in rules:
            rounded(name, None)
        return graph.changed(changed)
    x = _samples(graph, inputs)

    def rounding_first(name: str) -> Function:
        def run_rounded(x: Tensor) -> Tensor:
            node = rounded(name, x.numpy())
            return function(node, x.dtype)(x)

        return run_rounded

    run = functions(graph, x.dtype) | {name: rounding_first(name) for name in rules}
    with torch.no_grad():
        for _ in values(graph, run, x):
            pass
    return graph.changed(changed)


def _samples(graph: AnalogGraph, inputs: list[Tensor]) -> Tensor:
    """As many of the samples, evenly spaced, as the memory allows for."""
    x = torch.cat(inputs)
    largest = max(prod(shape) for shape in graph.shapes.values()) * x.element_size()
    count = min(len(x), max(1, _MEMORY // largest))
    return x[np.linspace(0, len(x) - 1, count).round().astype(int)]


def _rounded(rows: Array, factors: Array, entering: Array | None, bits: int, steps: Steps) -> Array:
    """Weights [..., out, in] whose inputs [..., N, in] come by factors [..., in], each w f a multiple of its step."""
    scaled = rows.astype(np.float64) * factors[..., None, :]
    step = steps(scaled, bits)
    if entering is None:
        integers = integers_of(scaled / step, bits)
    else:
        hessian = gram(entering) / (factors[..., :, None] * factors[..., None, :])
        integers = gptq(scaled, hessian, step, bits, _DAMPING)
        if steps is channel_steps:
            step = _best_step(scaled, integers.astype(np.float64), hessian, step)
    return (integers * step / factors[..., None, :]).astype(rows.dtype)


def _best_step(rows: Array, integers: Array, hessian: Array, step: Array) -> Array:
    """The s of each row with the least (w - s q) H (w - s q)^T: w H q^T / q H q^T."""
    moved = integers @ hessian
    along_it, power = (rows * moved).sum(-1, keepdims=True), (integers * moved).sum(-1, keepdims=True)
    good = (along_it > 0) & (power > 0)
    return np.where(good, along_it / np.where(good, power, 1.0), step)


def _synapse(node: Any, factor: Array, axes: int, x: Array | None, how: How) -> Any:
    """A matrix or a convolution."""
    channels = along(factor, channel_axis(node, axes), axes)
    assert channels is not None, "a factor that a layer cannot take is never left before it"
    rows, new = weight_rows(node), copy(node)
    entering = None if x is None else patches(node, x, min(_ROWS, max(1, _VALUES // rows.shape[-1])))
    rounded = how(rows, row_factors(node, channels), entering)
    new.weight = rounded.reshape(node.weight.shape)
    if entering is not None and hasattr(node, "bias"):
        moved = (rows - rounded) @ entering.mean(axis=-2, dtype=np.float64)[..., None]
        new.bias = node.bias + moved.reshape(node.bias.shape).astype(node.bias.dtype)
    return new


def _aggregate(node: Aggregate, factor: Array, axes: int, x: Array | None, how: How) -> Aggregate:
    """One step for all, to the nearest: its rows are no channels."""
    stored = node.weight
    weight = stored.value if isinstance(stored, SparseMatrix) else stored
    rounded = how(weight.reshape(1, -1), np.ones(weight.size), None).reshape(weight.shape)
    return Aggregate(replace(stored, value=rounded) if isinstance(stored, SparseMatrix) else rounded)


_RULES: dict[str, Callable[..., nir.NIRNode]] = {
    "matrix": _synapse,
    "convolution": _synapse,
    "aggregate": _aggregate,
}
"""By operation of the primitive."""
