"""The other extension primitives in core NIR."""

from __future__ import annotations

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, CannotExpandError, Fragment, above, channel_map, full, one_node, scale
from nirbridge.ir import (
    Aggregate,
    EventInput,
    FlatGraph,
    MaxPool2d,
    MultiLevelLIF,
    Place,
    Shapes,
    TemporalMix,
    spec_of,
)
from nirbridge.primitives.sparse import dense

_TRANSPARENT = (MaxPool2d, Place)


def event_input(name: str, node: EventInput) -> Fragment:
    """The Input of its frames; how events become them is no part of core NIR."""
    return Fragment(name, {name: nir.Input(np.array(node.shape))})


def aggregate(name: str, node: Aggregate, shapes: Shapes) -> Fragment:
    """A sum over axis 0 is a convolution of width 1 whose channels are that axis; Linear where there is no other axis.

    Raises:
        CannotExpandError: the data have more than three axes.
    """
    return one_node(name, channel_map(dense(node.weight), shapes.input, "aggregates"))


def temporal_mix(name: str, node: TemporalMix, shapes: Shapes, constant: bool) -> Fragment:
    """A multiple of the identity is a Scale; so is any square weight whose rows have one sum, of ``constant`` input.

    Args:
        name: of the node.
        node: the node.
        shapes: what enters and leaves it.
        constant: whether its input may be taken for constant over each window.

    Raises:
        CannotExpandError: the weight mixes steps.
    """
    weight = np.asarray(node.weight, dtype=np.float64)
    if mixes_nothing(node):
        return one_node(name, scale(weight[0, 0], shapes.output))
    even = keeps_constants(node)
    if not (constant and even):
        later = " that come later" if np.triu(weight, 1).any() else ""
        found = f"mixes the {weight.shape[1]} steps of a window{later}, and core NIR has no windows"
        raise CannotExpandError(found, "Allow approximations" if even else "Run it with nirbridge")
    return one_node(name, scale(weight[0].sum(), shapes.output))


def mixes_nothing(node: TemporalMix) -> bool:
    """Whether its weight is a multiple of the identity."""
    weight = np.asarray(node.weight)
    steps, comes = weight.shape
    return steps == comes and np.array_equal(weight, weight[0, 0] * np.eye(steps))


def keeps_constants(node: TemporalMix) -> bool:
    """Whether it sends a constant for a constant: as many steps as come in, and rows of one sum."""
    sums = np.asarray(node.weight, dtype=np.float64).sum(axis=1)
    return node.weight.shape[0] == node.weight.shape[1] and bool(np.allclose(sums, sums[0]))


def max_pool(name: str, node: MaxPool2d, flat: FlatGraph, shapes: dict[str, Shapes]) -> Fragment:
    r"""Exact behind spikes: with levels :math:`0 < w_0 < w_1 < ..` the maximum of a window is
    :math:`\sum_s (w_s - w_{s-1}) [\text{any } x \ge w_s]`, and "any" is a SumPool2d with a Threshold behind it.

    Raises:
        CannotExpandError: what comes in is not spikes of levels known beforehand, the same for the whole layer.
    """
    levels = levels_entering(name, flat)
    if levels is None:
        found = "takes the maximum of values that are not spikes of known levels"
        raise CannotExpandError(found, "Pool behind the neuron, or average")
    fragment = Fragment(name)
    entering, leaving = shapes[name].input, shapes[name].output
    binary = len(levels) == 1
    taken = []
    for s, (low, high) in enumerate(zip(np.append(0.0, levels[:-1]), levels, strict=True)):
        lane = fragment.enter(f"lane{s}", above((low + high) / 2, entering))
        pool = nir.SumPool2d(*(np.asarray(value) for value in (node.kernel_size, node.stride, node.padding)))
        any_ = fragment.add(f"any{s}", above(0.5, leaving), fragment.add(f"sum{s}", pool, lane))
        taken.append(fragment.add("" if binary else f"send{s}", scale(high - low, leaving), any_))
    if not binary:
        fragment.add("", scale(1.0, leaving), *taken)
    return fragment


def levels_entering(name: str, flat: FlatGraph) -> Array | None:
    """The ascending values that may enter a node besides 0, None where they are not known."""
    sources = flat.sources(name)
    if len(sources) != 1:
        return None
    node = flat.nodes[sources[0]]
    if type(node) in _TRANSPARENT:
        return levels_entering(sources[0], flat)
    if spec_of(node).sends.kind == "binary":
        return np.ones(1)
    if type(node) is not MultiLevelLIF:
        return None
    weights = np.asarray(node.lane_weight, dtype=np.float64).reshape(node.lanes, -1)
    if not (weights == weights[:, :1]).all():
        return None
    levels = full(weights[:, 0], (node.lanes,))
    return levels if (np.diff(np.append(0.0, levels)) > 0).all() else None
