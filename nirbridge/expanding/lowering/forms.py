"""Layers in the forms that importers take: matrices, convolutions of one group, a Flatten that leaves the batch."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.expanding.fragment import Array
from nirbridge.expanding.lowering.scales import of_channels, of_features
from nirbridge.expanding.target import Target
from nirbridge.ir import FlatGraph, Shape, infer_shapes


def pools_as_convolutions(flat: FlatGraph) -> FlatGraph:
    """SumPool2d and AvgPool2d as convolutions, which also have their padding; importers leave that out of pools."""
    shapes, _ = infer_shapes(flat)
    nodes = dict(flat.nodes)
    for name, node in flat.nodes.items():
        if type(node) in (nir.SumPool2d, nir.AvgPool2d):
            nodes[name] = _pool(node, shapes[name].input)
    return replace(flat, nodes=nodes)


def in_plain_forms(flat: FlatGraph, target: Target) -> FlatGraph:
    """What is left of Scales as diagonal weights; dense convolutions; an Affine for a Linear that is not taken.

    1. Scale: a convolution of width 1 where a channel has one number, a diagonal Linear where places along the last
       axis have.
    2. Conv2d of several groups: with zeros between them; importers take ``weight.shape[1]`` for all input channels.
    3. Padding in words as numbers, where both sides get the same.
    4. Flatten: axes counted from the end, since the others count the batch.
    """
    shapes, _ = infer_shapes(flat)
    nodes = dict(flat.nodes)
    for name, node in flat.nodes.items():
        made = _plain(node, shapes[name].input, target)
        if type(made) is nir.Linear and nir.Linear not in target.layers:
            made = nir.Affine(made.weight, np.zeros(len(made.weight)))
        nodes[name] = made
    return replace(flat, nodes=nodes)


def _plain(node: Any, shape: Shape, target: Target) -> nir.NIRNode:
    if type(node) is nir.Scale:
        return _diagonal(node, shape, target)
    if type(node) in (nir.Conv1d, nir.Conv2d):
        return plain_convolution(node)
    if type(node) is nir.Flatten:
        axes = len(shape)
        start, end = (at if at < 0 else at - axes for at in (int(node.start_dim), int(node.end_dim)))
        return nir.Flatten({"input": np.array(shape)}, start, end)
    made: nir.NIRNode = node
    return made


def plain_convolution(node: Any) -> Any:
    """Of one group, with padding in numbers where both sides get the same."""
    changed = copy(node)
    changed.padding = _padding(node)
    if node.groups != 1:
        changed.weight, changed.groups = _ungrouped(node.weight, int(node.groups)), 1
    return changed


def _diagonal(node: nir.Scale, shape: Shape, target: Target) -> nir.NIRNode:
    """Weights with no other entries, or the Scale itself, which is refused."""
    if (each := of_channels(node.scale)) is not None:
        return nir.Conv2d(shape[1:], np.diag(each)[:, :, None, None], 1, 0, 1, 1, np.zeros(len(each)))
    if (each := of_features(node.scale)) is not None:
        return nir.Linear(np.diag(each))
    if nir.Conv1d in target.layers and (each := of_channels(node.scale, axes=2)) is not None:
        return nir.Conv1d(shape[1], np.diag(each)[:, :, None], 1, 0, 1, 1, np.zeros(len(each)))
    return node


def _pool(node: Any, shape: Shape) -> nir.Conv2d:
    channels = shape[0]
    kernel, stride, padding = (
        tuple(int(v) for v in np.broadcast_to(value, (2,))) for value in (node.kernel_size, node.stride, node.padding)
    )
    share = 1.0 if type(node) is nir.SumPool2d else 1 / (kernel[0] * kernel[1])
    weight = np.zeros((channels, channels, *kernel))
    weight[np.arange(channels), np.arange(channels)] = share
    return nir.Conv2d(shape[1:], weight, stride, padding, 1, 1, np.zeros(channels))


def _padding(node: Any) -> Any:
    if not isinstance(node.padding, str):
        return node.padding
    sizes = node.weight.shape[2:]
    dilation = np.broadcast_to(node.dilation, len(sizes))
    wide = [int(d) * (size - 1) * (node.padding == "same") for d, size in zip(dilation, sizes, strict=True)]
    if any(one % 2 for one in wide):
        return node.padding
    return tuple(one // 2 for one in wide) if len(wide) > 1 else wide[0] // 2


def _ungrouped(weight: Array, groups: int) -> Array:
    outputs, each = weight.shape[:2]
    dense = np.zeros((outputs, each * groups, *weight.shape[2:]), dtype=weight.dtype)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        dense[rows, group * each : (group + 1) * each] = weight[rows]
    return dense
