"""Weights on the grid of few bits, symmetric around 0, one step for each output channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.converting.markers import Array
from nirbridge.ir import Aggregate, SparseMatrix


def rounded(weight: Array, bits: int, per_channel: bool = True) -> Array:
    """w → s round(w/s) with s = max|w| / (2^(bits-1) - 1), the maximum over all but axis 0.

    Args:
        weight: (out, ...).
        bits: 8 gives -127..127.
        per_channel: one step for each place of axis 0; else one in all.
    """
    axes = tuple(range(1, weight.ndim)) if per_channel else None
    step = np.abs(weight).max(axis=axes, keepdims=True).astype(np.float64) / (2 ** (bits - 1) - 1)
    whole = np.rint(np.divide(weight, step, out=np.zeros(weight.shape), where=step > 0))
    return (whole * step).astype(weight.dtype)


def round_weights(nodes: dict[str, nir.NIRNode], bits: int) -> dict[str, nir.NIRNode]:
    """The nodes with the weights of all layers rounded; a Scale has one weight a channel, which is its own step."""
    return {name: _ROUNDED.get(type(node), lambda node, bits: node)(node, bits) for name, node in nodes.items()}


def _linear(node: nir.Linear, bits: int) -> nir.Linear:
    return nir.Linear(rounded(node.weight, bits))


def _conv(node: Any, bits: int) -> Any:
    return type(node)(
        input_shape=node.input_shape,
        weight=rounded(node.weight, bits),
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
        bias=node.bias,
    )


def _aggregate(node: Aggregate, bits: int) -> Aggregate:
    if isinstance(node.weight, SparseMatrix):
        return Aggregate(replace(node.weight, value=rounded(node.weight.value, bits, per_channel=False)))
    return Aggregate(rounded(node.weight, bits, per_channel=False))


_ROUNDED: dict[type[nir.NIRNode], Any] = {
    nir.Linear: _linear,
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    Aggregate: _aggregate,
}
