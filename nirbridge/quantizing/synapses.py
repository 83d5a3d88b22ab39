"""Synapses: the scales of what enters go into the weights, which are rounded to a power of two 2^-e."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import Aggregate, Shape, SparseMatrix
from nirbridge.primitives.units import collapsed
from nirbridge.quantizing.refusals import RefusedError, TooFineError, excess_bits
from nirbridge.quantizing.report import LayerReport
from nirbridge.quantizing.scales import rounded_weight, weight_exponent

Array = NDArray[Any]
_BIAS_LIMIT = 2**30


@dataclass(frozen=True)
class Place:
    """Where a node stands and what enters it.

    Attributes:
        name: of the node.
        input_shape: shape of what enters.
        shape: shape of what leaves.
        scale: of what enters, broadcastable to ``input_shape``.
        weight_bits: bits of a weight.
        coarser: bits by which its weight scale is coarser than the finest.
        dt: seconds per step.
    """

    name: str
    input_shape: Shape
    shape: Shape
    scale: Array
    weight_bits: int
    coarser: int
    dt: float


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
        RefusedError: it differs along another axis, so it cannot go into the weights.
    """
    scale = collapsed(place.scale)
    if scale.ndim == 0:
        return scale
    moved = np.moveaxis(np.broadcast_to(scale, place.input_shape), axis, 0).reshape(place.input_shape[axis], -1)
    if (np.ptp(moved, axis=1) > 1e-12 * np.abs(moved).max()).any():
        raise RefusedError(place.name, node, "the neurons before it send values of different units within a channel")
    return moved[:, 0]


def matrix(node: nir.Affine | nir.Linear, place: Place) -> Quantised:
    """W[o, i]·s[i]; a weight with leading axes takes the scale of each place."""
    weight = np.asarray(node.weight, dtype=np.float64)
    if weight.ndim == 2:
        weight = weight * along(place, node, len(place.input_shape) - 1)
    else:
        weight = weight * (np.broadcast_to(place.scale, place.input_shape)[..., None, :])
    return _with_weight(node, place, weight)


def convolution(node: nir.Conv1d | nir.Conv2d, place: Place) -> Quantised:
    """w[o, c, ...]·s[channel]."""
    weight = np.asarray(node.weight, dtype=np.float64)
    scale = along(place, node, 0)
    if scale.ndim:
        groups = int(node.groups)
        by_group = np.repeat(scale.reshape(groups, -1), len(weight) // groups, axis=0)
        weight = weight * by_group.reshape(*by_group.shape, *(1,) * (weight.ndim - 2))
    else:
        weight = weight * scale
    return _with_weight(node, place, weight)


def scaling(node: nir.Scale, place: Place) -> Quantised:
    """scale·s, element by element."""
    real = np.asarray(node.scale, dtype=np.float64) * place.scale
    integers, exponent, layer = rounded_layer(node, place, real)
    return Quantised(nir.Scale(np.asarray(integers)), np.asarray(2.0**-exponent), layer)


def aggregation(node: Aggregate, place: Place) -> Quantised:
    """weight[n, m]·s[m]."""
    scale = along(place, node, 0)
    stored = node.weight
    if isinstance(stored, SparseMatrix):
        real = stored.value.astype(np.float64) * (scale[stored.column] if scale.ndim else scale)
        integers, exponent, layer = rounded_layer(node, place, real)
        new = Aggregate(replace(stored, value=integers))
    else:
        integers, exponent, layer = rounded_layer(node, place, np.asarray(stored, dtype=np.float64) * scale)
        new = Aggregate(integers)
    return Quantised(new, np.asarray(2.0**-exponent), layer)


def _with_weight(node: Any, place: Place, weight: Array) -> Quantised:
    integers, exponent, layer = rounded_layer(node, place, weight)
    new = copy(node)
    new.weight = integers
    if hasattr(node, "bias"):
        new.bias = _bias(place, np.asarray(node.bias, dtype=np.float64), exponent)
    return Quantised(new, np.asarray(2.0**-exponent), layer)


def _bias(place: Place, bias: Array, exponent: int) -> Array:
    scaled = np.rint(np.ldexp(bias, exponent))
    largest = float(np.abs(scaled).max()) if scaled.size else 0.0
    if largest > _BIAS_LIMIT:
        raise TooFineError(place.name, excess_bits(largest, _BIAS_LIMIT), "its bias exceeds 31 bits")
    return scaled.astype(np.int32)


def rounded_layer(node: nir.NIRNode, place: Place, real: Array) -> tuple[Array, int, LayerReport]:
    """(integers, e of their scale 2^-e, row of the report) of weights."""
    bits = place.weight_bits
    exponent = weight_exponent(real, bits) - place.coarser
    integers, cut = rounded_weight(real, exponent, bits)
    error = np.ldexp(integers.astype(np.float64), -exponent) - real
    size = float(np.sqrt(np.mean(real**2))) if real.size else 0.0
    layer = LayerReport(
        place.name,
        type(node).__name__,
        2.0**-exponent,
        weight_bits=bits,
        weight_error=float(np.sqrt(np.mean(error**2))) / size if size else 0.0,
        largest_weight_error=float(np.abs(error).max()) if real.size else 0.0,
        weights_cut=cut,
    )
    return integers, exponent, layer
