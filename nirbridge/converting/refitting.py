"""Weights that make up for what the spikes before them lose, by ridge regression on what they really stand for."""

from __future__ import annotations

from copy import copy
from typing import Any

import nir
import numpy as np

from nirbridge.converting.markers import Array, is_moving, operation_of
from nirbridge.quantizing.patches import patches, thinned

FEWEST_SAMPLES = 256
"""Fewer samples say too little of others: weights fitted to 64 crops of photographs lost decisions."""
_ROWS_PER_INPUT = 64
"""Places that are looked at for each weight of a channel."""
_FEWEST_PER_INPUT = 8
_MOST_VALUES = 2**26
"""Of all inputs at these places: half a gigabyte.  Layers with more than about 2,900 inputs keep their weights."""
_RIDGE = 1e-2
"""Of the mean power of an input, by which changed weights are held back."""


def refits(node: nir.NIRNode, samples: int) -> bool:
    """Whether the weights of a node shall be fitted: they were learned, and enough samples are known."""
    plain_matrix = operation_of(node) == "matrix" and node.weight.ndim == 2
    learned = (plain_matrix or operation_of(node) == "convolution") and not is_moving(node)
    return samples >= FEWEST_SAMPLES and learned


def refitted(node: Any, entering: Array, wanted: Array) -> Any:
    r"""The node with weights that come closest to the wanted sums, none far from where it was.

    .. math::
        \min_{D, d} \sum |z - (W + D) x - b - d|^2 + \mu \bar{x^2} |D|^2

    Args:
        node: a matrix or convolution.
        entering: x, what the spikes stand for [N, *shape].
        wanted: z [N, *shape], the sums that it shall give.
    """
    groups = int(getattr(node, "groups", 1))
    old = node.weight.reshape(groups, len(node.weight) // groups, -1).astype(np.float64)
    inputs = old.shape[-1]
    most = min(_ROWS_PER_INPUT * inputs, _MOST_VALUES // (inputs * groups))
    if most < _FEWEST_PER_INPUT * inputs:
        return node
    rows = patches(node, entering, most).reshape(groups, -1, inputs).astype(np.float64)
    axis = 1 if operation_of(node) == "convolution" else wanted.ndim - 1
    sums = thinned(np.moveaxis(wanted, axis, -1).reshape(-1, groups, old.shape[1]), most)
    if rows.shape[1] < _FEWEST_PER_INPUT * inputs:
        return node
    bias = np.asarray(getattr(node, "bias", 0.0), np.float64) * np.ones(len(node.weight))
    missing = np.moveaxis(sums, 1, 0) - rows @ old.swapaxes(1, 2) - bias.reshape(groups, 1, -1)
    x, z = rows.mean(1, keepdims=True), missing.mean(1, keepdims=True)
    centred = rows - x
    power = centred.swapaxes(1, 2) @ centred
    held = _RIDGE * (rows**2).sum((1, 2)) / inputs
    held[held == 0] = 1.0  # nothing ever enters this group: its weights stay
    power += held[:, None, None] * np.eye(inputs)
    solved = np.linalg.solve(power, centred.swapaxes(1, 2) @ (missing - z))
    new = copy(node)
    new.weight = (old + solved.swapaxes(1, 2)).reshape(node.weight.shape).astype(node.weight.dtype)
    if hasattr(node, "bias"):
        new.bias = node.bias + (z - x @ solved).reshape(node.bias.shape).astype(node.bias.dtype)
    return new
