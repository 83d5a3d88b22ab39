"""Layers in the forms that importers take: matrices, convolutions of one group, a Flatten that leaves the batch."""

from __future__ import annotations

from copy import copy
from typing import Any

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, channel_map
from nirbridge.expanding.lowering.scales import of_channels, of_features
from nirbridge.expanding.lowering.wiring import mapped
from nirbridge.expanding.target import Target
from nirbridge.ir import FlatGraph, Shape
from nirbridge.primitives.convolution import conv_padding
from nirbridge.primitives.shaping import pairs


def pools_as_convolutions(flat: FlatGraph) -> FlatGraph:
    """SumPool2d and AvgPool2d as convolutions, which also have their padding; importers leave that out of pools."""
    pools = (nir.SumPool2d, nir.AvgPool2d)
    return mapped(flat, lambda node, shapes: _pool(node, shapes.input) if type(node) in pools else node)


def in_plain_forms(flat: FlatGraph, target: Target) -> FlatGraph:
    """What is left of Scales as diagonal weights; dense convolutions; an Affine for a Linear that is not taken.

    1. Scale: a convolution of width 1 where a channel has one number, a diagonal Linear where places along the last
       axis have.
    2. Conv2d of several groups: with zeros between them; importers take ``weight.shape[1]`` for all input channels.
    3. Padding in words as numbers, where both sides get the same.
    4. Flatten: axes counted from the end, since the others count the batch.
    """
    return mapped(flat, lambda node, shapes: _plain(node, shapes.input, target))


def _plain(node: Any, shape: Shape, target: Target) -> nir.NIRNode:
    node = _diagonal(node, shape, target) if type(node) is nir.Scale else node
    if type(node) is nir.Linear and nir.Linear not in target.layers:
        return nir.Affine(node.weight, np.zeros(len(node.weight)))
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
        return channel_map(np.diag(each), shape, "scales")
    if (each := of_features(node.scale)) is not None:
        return nir.Linear(np.diag(each))
    if nir.Conv1d in target.layers and (each := of_channels(node.scale, axes=2)) is not None:
        return channel_map(np.diag(each), shape, "scales")
    return node


def _pool(node: Any, shape: Shape) -> nir.Conv2d:
    channels = shape[0]
    kernel, stride, padding = (pairs(value, 2) for value in (node.kernel_size, node.stride, node.padding))
    share = 1.0 if type(node) is nir.SumPool2d else 1 / (kernel[0] * kernel[1])
    weight = np.zeros((channels, channels, *kernel))
    weight[np.arange(channels), np.arange(channels)] = share
    return nir.Conv2d(shape[1:], weight, stride, padding, 1, 1, np.zeros(channels))


def _padding(node: Any) -> Any:
    sides = conv_padding(node)
    if not isinstance(node.padding, str) or any(before != behind for before, behind in sides):
        return node.padding
    numbers = tuple(before for before, _ in sides)
    return numbers if len(numbers) > 1 else numbers[0]


def _ungrouped(weight: Array, groups: int) -> Array:
    outputs, each = weight.shape[:2]
    dense = np.zeros((outputs, each * groups, *weight.shape[2:]), dtype=weight.dtype)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        dense[rows, group * each : (group + 1) * each] = weight[rows]
    return dense
