"""The other extension primitives in core NIR."""

from __future__ import annotations

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, CannotExpandError, Fragment, above, full, scale
from nirbridge.ir import Aggregate, EventInput, FlatGraph, MaxPool2d, MultiLevelLIF, Shapes, TemporalMix

_BINARY = (nir.IF, nir.LIF, nir.CubaLIF, nir.Threshold)
_TRANSPARENT = (MaxPool2d,)


def event_input(name: str, node: EventInput) -> Fragment:
    """The Input of its frames; how events become them is no part of core NIR."""
    fragment = Fragment(name)
    fragment.add("", nir.Input(np.array(node.shape)))
    return fragment


def aggregate(name: str, node: Aggregate, shapes: Shapes) -> Fragment:
    """A sum over axis 0 is a convolution of width 1 whose channels are that axis; Linear where there is no other axis.

    Raises:
        CannotExpandError: the data have more than three axes.
    """
    fragment = Fragment(name)
    weight = np.asarray(node.dense_weight())
    others = len(shapes.input) - 1
    if others > 2:
        raise CannotExpandError(f"aggregates data of {others + 1} axes, NIR convolves 3 at most", "Flatten them first")
    kinds = {1: nir.Conv1d, 2: nir.Conv2d}
    if others == 0:
        fragment.add("", nir.Linear(weight))
    else:
        kernel = weight.reshape(*weight.shape, *(1,) * others)
        sizes = shapes.input[1] if others == 1 else shapes.input[1:]
        fragment.add("", kinds[others](sizes, kernel, 1, 0, 1, 1, np.zeros(len(weight), dtype=weight.dtype)))
    fragment.entries.append(name)
    return fragment


def temporal_mix(name: str, node: TemporalMix, shapes: Shapes, approximate: bool) -> Fragment:
    """A multiple of the identity is a Scale; with ``approximate`` any weight whose rows have one sum.

    The latter is exact where the input is constant over each window.

    Raises:
        CannotExpandError: the weight mixes steps.
    """
    weight = np.asarray(node.weight, dtype=np.float64)
    square = weight.shape[0] == weight.shape[1]
    factor = float(weight[0, 0]) if square else 0.0
    fragment = Fragment(name)
    fragment.entries.append(name)
    if square and np.array_equal(weight, factor * np.eye(len(weight))):
        fragment.add("", scale(factor, shapes.output))
        return fragment
    sums = weight.sum(axis=1)
    mixed = f"mixes the {weight.shape[1]} steps of a window, and core NIR has no windows"
    if not (approximate and square and np.allclose(sums, sums[0])):
        further = "Allow approximations" if square and np.allclose(sums, sums[0]) else "Run it with nirbridge"
        raise CannotExpandError(mixed, further)
    fragment.add("", scale(sums[0], shapes.output))
    fragment.approximation = "takes the input of each step for the whole window's"
    return fragment


def max_pool(name: str, node: MaxPool2d, flat: FlatGraph, shapes: dict[str, Shapes]) -> Fragment:
    r"""Exact behind spikes: with levels :math:`0 < w_0 < w_1 < ..` the maximum of a window is
    :math:`\sum_s (w_s - w_{s-1}) [\text{any } x \ge w_s]`, and "any" is a SumPool2d with a Threshold behind it.

    Raises:
        CannotExpandError: what comes in is not spikes of levels known beforehand, the same for the whole layer.
    """
    levels = _levels(name, flat)
    if levels is None:
        found = "takes the maximum of values that are not spikes of known levels"
        raise CannotExpandError(found, "Pool behind the neuron, or average")
    fragment = Fragment(name)
    entering, leaving = shapes[name].input, shapes[name].output
    binary = len(levels) == 1
    taken = []
    for s, (low, high) in enumerate(zip(np.append(0.0, levels[:-1]), levels, strict=True)):
        lane = fragment.add(f"lane{s}", above((low + high) / 2, entering))
        fragment.entries.append(lane)
        pool = nir.SumPool2d(*(np.asarray(value) for value in (node.kernel_size, node.stride, node.padding)))
        any_ = fragment.add(f"any{s}", above(0.5, leaving), fragment.add(f"sum{s}", pool, lane))
        taken.append(fragment.add("" if binary else f"send{s}", scale(high - low, leaving), any_))
    if not binary:
        fragment.add("", scale(1.0, leaving), *taken)
    return fragment


def _levels(name: str, flat: FlatGraph) -> Array | None:
    """The ascending values that may enter a pool besides 0, None where they are not known."""
    sources = [source for source, target in flat.edges if target == name]
    if len(sources) != 1:
        return None
    node = flat.nodes[sources[0]]
    if type(node) in _TRANSPARENT:
        return _levels(sources[0], flat)
    if type(node) in _BINARY:
        return np.ones(1)
    if type(node) is not MultiLevelLIF:
        return None
    weights = np.asarray(node.lane_weight, dtype=np.float64).reshape(node.lanes, -1)
    if not (weights == weights[:, :1]).all():
        return None
    levels = full(weights[:, 0], (node.lanes,))
    return levels if (np.diff(np.append(0.0, levels)) > 0).all() else None
