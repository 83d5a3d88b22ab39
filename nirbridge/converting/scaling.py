"""Factors of the phase code, taken into weights: w · factor_in / factor_out, without biases.

The spikes of a layer stand for values by a factor λ.  A layer with weights takes the factor of its input in and
divides by that of its output; where it cannot, as where a pool has no weights, the factor stays with the signal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import torch

from nirbridge.converting.evaluate import function
from nirbridge.converting.markers import Array, ChannelAffine, channel_axis, is_moving, operation_of
from nirbridge.ir import Aggregate, Shape, SparseMatrix
from nirbridge.quantizing.patches import row_factors, weight_rows

ONE = np.ones(())


def along(factor: Array, axis: int, axes: int) -> Array | None:
    """``factor`` as one number for each place of ``axis``, or one in all; None where it varies along other axes.

    Args:
        factor: broadcastable to features with ``axes`` axes.
        axis: counted from the front.
        axes: the number of feature axes.
    """
    full = factor.reshape((1,) * (axes - factor.ndim) + factor.shape)
    if any(size != 1 for place, size in enumerate(full.shape) if place != axis):
        return None
    return full.ravel()


def _synapse(node: Any, entering: Array, leaving: Array, axes: int) -> nir.NIRNode | None:
    """A matrix or a convolution."""
    axis = channel_axis(node, axes)
    given, sent = along(entering, axis, axes), along(leaving, axis, axes)
    if given is None or sent is None:
        return None
    rows = weight_rows(node).astype(np.float64) * row_factors(node, given)[..., None, :]
    if operation_of(node) == "matrix":
        return nir.Linear((rows / sent[:, None]).astype(node.weight.dtype))
    shape, dtype = node.weight.shape, node.weight.dtype
    weight = rows.reshape(shape) / sent.reshape(-1, *(1,) * (len(shape) - 1))
    return replace(node, weight=weight.astype(dtype), bias=np.zeros(len(weight), dtype), metadata={})


def _scale(node: nir.Scale | ChannelAffine, entering: Array, leaving: Array, axes: int) -> nir.NIRNode:
    factor = np.asarray(node.scale, dtype=np.float64) * entering / leaving
    return nir.Scale(factor.astype(node.scale.dtype))


def _aggregate(node: Aggregate, entering: Array, leaving: Array, axes: int) -> nir.NIRNode | None:
    if entering.size != 1 or leaving.size != 1:
        return None
    factor = entering.item() / leaving.item()
    if isinstance(node.weight, SparseMatrix):
        stored = node.weight
        return Aggregate(replace(stored, value=(stored.value * factor).astype(stored.dtype)))
    return Aggregate((node.weight * factor).astype(node.weight.dtype))


_RULES: dict[str, Callable[[Any, Array, Array, int], nir.NIRNode | None]] = {
    "matrix": _synapse,
    "convolution": _synapse,
    "scale": _scale,
    "aggregate": _aggregate,
}
"""By operation of the primitive."""


def takes_factors(node: nir.NIRNode) -> bool:
    """Whether a node has weights that factors can go into; where it moves values these go with them."""
    return type(node) is ChannelAffine or (operation_of(node) in _RULES and not is_moving(node))


def divides(node: nir.NIRNode, leaving: Array, axes: int) -> bool:
    """Whether a node that takes factors can give its output in units of ``leaving``."""
    if operation_of(node) in ("matrix", "convolution"):
        return along(leaving, channel_axis(node, axes), axes) is not None
    return operation_of(node) != "aggregate" or leaving.size == 1


def scaled(node: nir.NIRNode, entering: Array, leaving: Array, axes: int) -> nir.NIRNode | None:
    """The layer on signals in units of ``entering``, giving its output in units of ``leaving``, without bias.

    Args:
        node: a node of an analog graph that takes factors.
        entering: factor of its input, broadcastable to it.
        leaving: factor of its output, broadcastable to it.
        axes: the number of feature axes, which these nodes keep.

    Returns:
        None where the factors vary in a way that the weights cannot express.
    """
    rule = _scale if type(node) is ChannelAffine else _RULES[operation_of(node)]
    return rule(node, entering, leaving, axes)


def compact(value: Array) -> Array:
    """``value`` with every axis along which it is constant brought to size 1; one number without axes if all are.

    NaN stands for a factor of something that is always 0.  Along the first axis, where trains are placed side by side,
    it is kept as it is; along the others it is what the rest is.
    """
    for axis in range(value.ndim):
        if axis:
            first = np.fmax.reduce(value, axis=axis, keepdims=True)
            same = (value == first) | np.isnan(value)
        else:
            first = value[:1]
            same = (value == first) | (np.isnan(value) & np.isnan(first))
        if same.all():
            value = first
    return value.reshape(()) if value.size == 1 else value


def merged(factors: Sequence[Array]) -> Array | None:
    """The factor of a sum of trains that lie side by side, or have one factor; None where two differ at a place."""
    whole = factors[0]
    for factor in factors[1:]:
        if ((whole != factor) & ~np.isnan(whole) & ~np.isnan(factor)).any():
            return None
        whole = np.where(np.isnan(whole), factor, whole)
    return compact(whole)


def known(factor: Array) -> Array:
    """The factor with any number where there is nothing to multiply."""
    return np.where(np.isnan(factor), 1.0, factor)


def moved(node: nir.NIRNode, factor: Array, shape: Shape) -> Array:
    """The factor behind a node that moves values of ``shape``; NaN where it puts zeros."""
    if type(node) is nir.Flatten and factor.size == 1:
        return factor
    whole = torch.tensor(np.broadcast_to(np.nan_to_num(factor), shape))[None]
    taken = function(node, torch.float64)(whole)[0].numpy()
    return compact(np.where(taken == 0, np.nan, taken))
