"""What every product with a matrix shares: W x over the last axis of the input."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from nirbridge.primitives.fields import Shape
from nirbridge.primitives.magnitudes import in_blocks, largest, least, product_bounds, row_sum
from nirbridge.primitives.shaping import ShapeMismatchError, require_fit
from nirbridge.primitives.spec import ANALOG, STATELESS, Bounds, Checks, Chip, Cost, Floats, Shown, Synapses, Wiring

BY_HAND = "a product of matrices, which every library has a faster way for than one number after the other"


def matrix_shape(node: Any, shape: Shape) -> Shape:
    """(..., columns) → (..., rows)."""
    *outer, rows, columns = node.weight.shape
    if not shape or shape[-1] != columns:
        raise ShapeMismatchError(f"input {shape} does not end with the {columns} columns of the weight")
    if outer and tuple(outer) != shape[:-1]:
        raise ShapeMismatchError(f"input {shape} does not fit the weight {node.weight.shape}")
    output = (*shape[:-1], int(rows))
    if hasattr(node, "bias"):
        require_fit("bias", node.bias, output)
    return output


def taken_shape(node: Any) -> Shape:
    """The input that the weight states."""
    return (*node.weight.shape[:-2], *node.weight.shape[-1:])


def matrix_bounds(node: Any, x: Bounds, shape: Shape) -> Bounds:
    """Row by row, each input at the end that counts."""
    blocks = (np.moveaxis(block, 0, -2) for block in in_blocks(np.moveaxis(node.weight, -2, 0)))
    ends = [product_bounds(np.maximum(block, 0.0), np.minimum(block, 0.0), *x) for block in blocks]
    bias = np.asarray(getattr(node, "bias", 0.0))
    return Bounds(*(np.concatenate(parts, axis=-1) + bias for parts in zip(*ends, strict=True)))


def matrix_grows(node: Any, x: int) -> int:
    """The largest row of magnitudes, and the bias."""
    return row_sum(node.weight, (-1,)) * x + largest(getattr(node, "bias", 0))


def bias_words(node: Any) -> int:
    """Words of the bias memory; zeros are no bias."""
    bias = np.asarray(getattr(node, "bias", 0.0))
    return int(bias.size) if bias.any() else 0


def matrix_synapses(node: Any, entering: Shape, leaving: Shape) -> Synapses:
    """N_in · N_out, for each position of the axes before the last."""
    rows, columns = node.weight.shape[-2:]
    return Synapses(
        macs=prod(leaving) * columns,
        inputs=prod(entering),
        outputs=prod(leaving),
        fan_out=rows,
        fan_out_adds=rows,
        weights=prod(node.weight.shape),
        bias=bias_words(node),
        input_reads=prod(entering),
    )


def matrix_wiring(node: Any) -> Wiring:
    """Weights that are not 0."""
    used = np.asarray(node.weight) != 0
    return Wiring(node.weight, int(used.sum(axis=-1).max(initial=1)), int(used.sum(axis=-2).max(initial=1)))


FLOATS = Floats(least=lambda node, dt: least(node.weight, -1))
SHARED: dict[str, Any] = {
    **STATELESS,
    "shape": matrix_shape,
    "states": taken_shape,
    "operation": "matrix",
    "by_hand": BY_HAND,
    "sends": ANALOG,
    "floats": FLOATS,
    "cost": Cost(role="synapses", synapses=matrix_synapses),
    "chip": Chip(place="wiring", wiring=matrix_wiring),
    "shown": Shown(role="weights", fields=("weight",)),
    "checks": Checks(factors=("weight",), bounds=matrix_bounds),
}
"""All fields of Linear and Affine but the node, integers, draws and examples."""
