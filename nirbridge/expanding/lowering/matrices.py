"""Networks of matrices alone, for platforms whose data are one row of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.errors import UnsupportedError
from nirbridge.expanding.fragment import Array, full
from nirbridge.expanding.lowering.forms import plain_convolution, pools_as_convolutions
from nirbridge.expanding.lowering.wiring import mapped
from nirbridge.ir import FlatGraph, MultiLevelLIF, Shape, Shapes, infer_shapes, label, spec_of
from nirbridge.primitives.convolution import conv_padding

MOST_WEIGHTS = 2**26
"""Half a gigabyte in double precision."""


def in_one_row(flat: FlatGraph) -> FlatGraph:
    """All data flattened: convolutions, pools and matrices along one of several axes as dense matrices, no Flatten.

    Raises:
        UnsupportedError: the matrices that it makes would have more than 2^26 entries.
    """
    flat = pools_as_convolutions(flat)
    shapes, _ = infer_shapes(flat)
    sizes = {
        name: prod(shapes[name].input) * prod(shapes[name].output)
        for name, node in flat.nodes.items()
        if spec_of(node).operation in _DENSE and len(shapes[name].input) > 1
    }
    if sum(sizes.values()) > MOST_WEIGHTS:
        name = max(sizes, key=sizes.__getitem__)
        found = f"would be a matrix of {sizes[name]:,} weights, and all matrices hold {sum(sizes.values()):,}"
        raise UnsupportedError(label(name, flat.nodes[name]), found, "Use another platform of docs/reach.md")
    return mapped(flat, _flat)


def _flat(node: Any, shapes: Shapes) -> nir.NIRNode:
    operation = spec_of(node).operation
    if operation == "identity":
        return type(node)(np.array([prod(shapes.output)]))
    if operation == "flatten":
        return nir.Scale(np.ones(prod(shapes.output)))
    if operation == "lanes":
        return _flat_levels(node, shapes.input)
    if operation in _DENSE:
        return _dense(node, _DENSE[operation], shapes) if len(shapes.input) > 1 else node
    values = {field.name: getattr(node, field.name) for field in fields(node)}
    each = {name: full(v, shapes.input).ravel() for name, v in values.items() if isinstance(v, np.ndarray)}
    made: nir.NIRNode = type(node)(**each)
    return made


def _dense(node: Any, to_matrix: Callable[[Any, Shape, Shape], Array], shapes: Shapes) -> nir.NIRNode:
    weight, bias = to_matrix(node, shapes.input, shapes.output), getattr(node, "bias", None)
    if bias is None or not np.any(bias):
        return nir.Linear(weight)
    channels = spec_of(node).operation == "convolution"
    along = np.reshape(bias, (-1, *(1,) * (len(shapes.output) - 1))) if channels else bias
    return nir.Affine(weight, full(along, shapes.output).ravel())


def _flat_levels(node: MultiLevelLIF, shape: Shape) -> MultiLevelLIF:
    one = {name: full(getattr(node, name), shape).ravel() for name in ("decay", "gain", "v_init", "v_reset")}
    lanes = {
        name: np.stack([full(lane, shape).ravel() for lane in getattr(node, name)])
        for name in ("lane_threshold", "lane_weight", "lane_reset")
    }
    return MultiLevelLIF(shape=(prod(shape),), reset=node.reset, boundary=node.boundary, **one, **lanes)


def _along_last_axis(node: Any, shape: Shape, out: Shape) -> Array:
    """One block for each place of the axes before; a weight with axes of its own in front has several."""
    weight = np.broadcast_to(node.weight, (*shape[:-1], *node.weight.shape[-2:])).reshape(-1, *node.weight.shape[-2:])
    places = np.arange(len(weight))
    dense = np.zeros((len(weight), out[-1], len(weight), shape[-1]))
    dense[places, :, places] = weight
    return dense.reshape(prod(out), prod(shape))


def _convolution(node: Any, shape: Shape, out: Shape) -> Array:
    """Entry [o, i] is the weight from place i of the input to place o of the output, both counted in one row."""
    node = plain_convolution(node)
    stride, dilation = (np.broadcast_to(v, len(shape) - 1) for v in (node.stride, node.dilation))
    padding = [before for before, _ in conv_padding(node)]
    dense, every = np.zeros((*out, *shape)), slice(None)
    places = np.array(list(np.ndindex(*out[1:])))
    for number, at in enumerate(np.ndindex(*node.weight.shape[2:])):
        reached = places * stride - padding + np.array(at) * dilation
        inside = ((reached >= 0) & (reached < shape[1:])).all(axis=1)
        to, come = (tuple(found[inside].T) for found in (places, reached))
        between: tuple[Any, ...] = (every, *to, every, *come)
        dense[between] += node.weight.reshape(out[0], shape[0], -1)[:, :, number]
    return dense.reshape(prod(out), prod(shape))


_DENSE = {"matrix": _along_last_axis, "convolution": _convolution}
