"""Networks of matrices alone, for platforms whose data are one row of numbers."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem, UnsupportedError
from nirbridge.expanding.fragment import Array, full
from nirbridge.ir import FlatGraph, Shape, Shapes, infer_shapes, label

_MOST_WEIGHTS = 2**26
"""Half a gigabyte in double precision."""


def in_one_row(flat: FlatGraph) -> FlatGraph:
    """All data flattened: convolutions and matrices that work along one of several axes as dense matrices, without
    Flatten.

    Raises:
        UnsupportedError: a matrix would have more than 2^26 entries.
    """
    shapes, _ = infer_shapes(flat)
    problems = [
        Problem(label(name, node), f"would be a matrix of {_entries(shapes[name]):,} weights", "Use another platform")
        for name, node in flat.nodes.items()
        if type(node) in _DENSE and _entries(shapes[name]) > _MOST_WEIGHTS
    ]
    if problems:
        raise UnsupportedError.from_problems(problems)
    return replace(flat, nodes={name: _flat(node, shapes[name]) for name, node in flat.nodes.items()})


def _entries(shapes: Shapes) -> int:
    return prod(shapes.input) * prod(shapes.output)


def _flat(node: Any, shapes: Shapes) -> nir.NIRNode:
    shape, out = shapes.input, shapes.output
    if type(node) in (nir.Input, nir.Output):
        return type(node)(np.array([prod(out)]))
    if type(node) is nir.Flatten:
        return nir.Scale(np.ones(prod(out)))
    if type(node) is nir.Scale:
        return nir.Scale(full(node.scale, shape).ravel())
    if type(node) in (nir.IF, nir.LIF):
        return type(node)(*(full(getattr(node, field), shape).ravel() for field in _FIELDS[type(node)]))
    if type(node) in _DENSE and len(shape) > 1:
        weight = _DENSE[type(node)](node, shape, out)
        bias = getattr(node, "bias", None)
        if bias is None or not np.any(bias):
            return nir.Linear(weight)
        along = bias if type(node) is nir.Affine else np.reshape(bias, (-1, *(1,) * (len(out) - 1)))
        return nir.Affine(weight, full(along, out).ravel())
    made: nir.NIRNode = node
    return made


def _along_last_axis(node: Any, shape: Shape, out: Shape) -> Array:
    return np.kron(np.eye(prod(shape[:-1])), node.weight)


def _convolution(node: Any, shape: Shape, out: Shape) -> Array:
    """Entry [o, i] is the weight from place i of the input to place o of the output, both counted in one row.

    Of a convolution of one group, with padding in numbers.
    """
    stride, padding, dilation = (np.broadcast_to(v, len(shape) - 1) for v in (node.stride, node.padding, node.dilation))
    dense, every = np.zeros((*out, *shape)), slice(None)
    places = np.array(list(np.ndindex(*out[1:])))
    for number, at in enumerate(np.ndindex(*node.weight.shape[2:])):
        reached = places * stride - padding + np.array(at) * dilation
        inside = ((reached >= 0) & (reached < shape[1:])).all(axis=1)
        to, come = (tuple(found[inside].T) for found in (places, reached))
        between: tuple[Any, ...] = (every, *to, every, *come)
        dense[between] += node.weight.reshape(out[0], shape[0], -1)[:, :, number]
    return dense.reshape(prod(out), prod(shape))


_FIELDS: dict[type[nir.NIRNode], tuple[str, ...]] = {
    nir.IF: ("r", "v_threshold", "v_reset"),
    nir.LIF: ("tau", "r", "v_leak", "v_threshold", "v_reset"),
}
_DENSE = {
    nir.Linear: _along_last_axis,
    nir.Affine: _along_last_axis,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
}
