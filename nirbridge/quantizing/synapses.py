"""Synapses: the scales of what enters go into the weights, which are rounded to whole multiples of a step.

A layer has one step, a power of two 2^-e, or each of its output channels has its own.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.ir import Aggregate, Shape, SparseMatrix
from nirbridge.primitives.spec import Array
from nirbridge.primitives.units import collapsed
from nirbridge.quantizing.gptq import gptq
from nirbridge.quantizing.patches import row_factors, weight_rows
from nirbridge.quantizing.refusals import TooFineError, UnitsError, excess_by_place
from nirbridge.quantizing.report import LayerReport
from nirbridge.quantizing.scales import count_cut, integers_of, parts_of
from nirbridge.quantizing.steps import channel_steps, layer_step

_BIAS_LIMIT = 2**30


@dataclass(frozen=True)
class Grid:
    """What a layer's weights may become.

    Attributes:
        bits: of a weight, with its sign.
        coarser: bits by which its steps rise, one number or broadcastable to what leaves.
        per_channel: whether each output channel has a step.
        unit: of which every channel's step must be a power of two, broadcastable to what leaves; None for any.
        hessian: H of what enters, for rounding by GPTQ; None for rounding to nearest.
    """

    bits: int = 8
    coarser: int | Array = 0
    per_channel: bool = False
    unit: Array | None = None
    hessian: Array | None = None


@dataclass(frozen=True)
class Place:
    """Where a node stands and what enters it.

    Attributes:
        name: of the node.
        input_shape: shape of what enters.
        shape: shape of what leaves.
        scale: of what enters, broadcastable to ``input_shape``.
        dt: seconds per step.
        grid: of its weights.
    """

    name: str
    input_shape: Shape
    shape: Shape
    scale: Array
    dt: float
    grid: Grid


@dataclass(frozen=True)
class Quantised:
    """A node in integers.

    Attributes:
        node: the new primitive.
        scale: what the integer 1 stands for in what it sends.
        layer: its row of the report; None for a node that only passes things on.
        amplify: bits by which what enters must be finer still, where the node itself has no integer gain.
    """

    node: nir.NIRNode
    scale: Array
    layer: LayerReport | None = None
    amplify: int = 0


def along(place: Place, node: nir.NIRNode, axis: int) -> Array:
    """The scale of what enters as a vector along one axis of the input; one number where it is the same everywhere.

    Raises:
        UnitsError: it differs along another axis, so it cannot go into the weights.
    """
    scale = collapsed(place.scale)
    if scale.ndim == 0:
        return scale
    moved = np.moveaxis(np.broadcast_to(scale, place.input_shape), axis, 0).reshape(place.input_shape[axis], -1)
    if (np.ptp(moved, axis=1) > 1e-12 * np.abs(moved).max()).any():
        raise UnitsError(place.name, node, "the neurons before it send values of different units within a channel")
    return moved[:, 0]


def matrix(node: nir.Affine | nir.Linear, place: Place) -> Quantised:
    """W[o, i]·s[i]; a weight with leading axes takes the scale of each place."""
    if np.ndim(node.weight) > 2:
        return _with_weight(node, place, np.broadcast_to(place.scale, place.input_shape), per_channel=False)
    factors = row_factors(node, along(place, node, len(place.input_shape) - 1))
    return _with_weight(node, place, factors, place.grid.per_channel)


def convolution(node: nir.Conv1d | nir.Conv2d, place: Place) -> Quantised:
    """w[o, c, ...]·s[channel]."""
    return _with_weight(node, place, row_factors(node, along(place, node, 0)), place.grid.per_channel)


def scaling(node: nir.Scale, place: Place) -> Quantised:
    """scale·s, element by element; a channel of one weight may be its own step, so that nothing of it is lost."""
    real = np.asarray(node.scale, dtype=np.float64) * place.scale
    axes = len(place.shape)
    if not place.grid.per_channel or real.ndim not in (0, axes):
        integers, step, layer = rounded_layer(node, place, real)
        return Quantised(nir.Scale(np.asarray(integers)), step, layer)
    if place.grid.unit is not None:
        real = real * np.ones(place.grid.unit.shape)
    rows = real.reshape(real.shape[0] if axes and real.ndim else 1, -1)
    if place.grid.unit is None and rows.shape[1] == 1 and not np.any(place.grid.coarser):
        step = np.where(rows != 0, np.abs(rows), np.abs(rows).max() or 1.0)
    else:
        step = _channel_steps(place, rows)
    integers, layer = _rounded(node, place, rows, step)
    unit = step.reshape(()) if not real.ndim else step.reshape(-1, *(1,) * (axes - 1))
    return Quantised(nir.Scale(integers.reshape(real.shape)), unit, layer)


def aggregation(node: Aggregate, place: Place) -> Quantised:
    """weight[n, m]·s[m]; units of features, the same at all nodes, stay with them."""
    entering = collapsed(place.scale)
    by_feature = entering.ndim > 0 and np.broadcast_to(entering, place.input_shape).strides[0] == 0
    scale = np.ones(()) if by_feature else along(place, node, 0)
    stored = node.weight
    if isinstance(stored, SparseMatrix):
        real = stored.value.astype(np.float64) * (scale[stored.column] if scale.ndim else scale)
        integers, step, layer = rounded_layer(node, place, real)
        new = Aggregate(replace(stored, value=integers))
    else:
        integers, step, layer = rounded_layer(node, place, np.asarray(stored, dtype=np.float64) * scale)
        new = Aggregate(integers)
    return Quantised(new, step * entering if by_feature else step, layer)


def _with_weight(node: Any, place: Place, factors: Array, per_channel: bool) -> Quantised:
    """Weights [..., out, in] times the scales [..., in] of what enters, and the bias, as integers."""
    rows = weight_rows(node).astype(np.float64) * factors[..., None, :]
    step = _channel_steps(place, rows) if per_channel else layer_step(rows, place.grid.bits, place.grid.coarser)
    integers, layer = _rounded(node, place, rows, step, factors)
    each = step.reshape(-1) if per_channel else step
    places = (1,) * (np.ndim(node.weight) - 2)
    new = copy(node)
    new.weight = integers.reshape(np.shape(node.weight))
    if hasattr(node, "bias"):
        new.bias = _bias(place, np.asarray(node.bias, dtype=np.float64) / each)
    return Quantised(new, collapsed(each.reshape(-1, *places) if per_channel else step), layer)


def _bias(place: Place, scaled: Array) -> Array:
    whole = np.rint(scaled)
    if (bits := excess_by_place([whole], _BIAS_LIMIT)).any():
        raise TooFineError(place.name, bits, "its bias exceeds 31 bits")
    return whole.astype(np.int32)


def rounded_layer(node: nir.NIRNode, place: Place, real: Array) -> tuple[Array, Array, LayerReport]:
    """(integers, the step of them all, row of the report) of weights, each rounded to the nearest."""
    step = layer_step(real, place.grid.bits, place.grid.coarser)
    integers, layer = _rounded(node, place, real, step)
    return integers, step, layer


def _channel_steps(place: Place, rows: Array) -> Array:
    """[..., out, 1] for rows [..., out, in]."""

    def by_row(value: Any) -> Array:
        each = np.ravel(value)
        each = each if each.size == rows[..., 0].size else each.max()
        return np.broadcast_to(each, (rows[..., 0].size,)).reshape(*rows.shape[:-1], 1)

    unit = None if place.grid.unit is None else by_row(place.grid.unit)
    return channel_steps(rows, place.grid.bits, unit) * 2.0 ** by_row(place.grid.coarser)


def _rounded(
    node: nir.NIRNode, place: Place, real: Array, step: Array, factors: Array | None = None
) -> tuple[Array, LayerReport]:
    """(integers, row of the report); with ``factors`` of what enters, by GPTQ where the grid has a Hessian."""
    bits, hessian = place.grid.bits, place.grid.hessian
    rows = real.reshape(prod(real.shape[:-1]), real.shape[-1] if real.ndim else 1)
    steps = np.broadcast_to(step, (*real.shape[:-1], 1)).reshape(-1, 1)
    if by_gptq := hessian is not None and factors is not None:
        integers = gptq(real, hessian / (factors[..., :, None] * factors[..., None, :]), step, bits).reshape(rows.shape)
    else:
        integers = np.empty(rows.shape, np.int8)
    sizes, errors, largest, cut = np.zeros(len(rows)), np.zeros(len(rows)), 0.0, 0
    for part in parts_of(rows):
        scaled = rows[part] / steps[part]
        if not by_gptq:
            integers[part] = integers_of(scaled, bits)
        error = integers[part] * steps[part] - rows[part]
        sizes[part], errors[part] = (np.square(value).sum(axis=1) for value in (rows[part], error))
        largest, cut = max(largest, float(np.abs(error).max(initial=0.0))), cut + count_cut(scaled, bits)
    channels, lost = _lost(sizes, errors) if factors is not None and np.size(step) == 1 else (0, 0)
    layer = LayerReport(
        place.name,
        type(node).__name__,
        float(np.min(step)),
        weight_bits=bits,
        weight_error=float(np.sqrt(errors.sum() / sizes.sum())) if sizes.any() else 0.0,
        largest_weight_error=largest,
        channels=channels,
        channels_lost=lost,
        weights_cut=cut,
    )
    return integers.reshape(real.shape), layer


_MUCH, _LITTLE = 1 / 4, 1 / 16


def _lost(sizes: Array, errors: Array) -> tuple[int, int]:
    """Of sums of squares by channel: those that weigh anything, and those that the error changes much beside all."""
    lost = errors > _MUCH**2 * sizes
    whole = errors.sum() < _LITTLE**2 * sizes.sum()
    return int((sizes > 0).sum()), int((lost & (sizes > 0)).sum()) if whole else 0
