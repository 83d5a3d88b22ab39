"""The weights of a layer as rows, and the inputs that they meet, one row for each output place."""

from __future__ import annotations

from math import gcd, prod
from typing import Any

import nir
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nirbridge.ir import spec_of
from nirbridge.primitives.convolution import conv_padding
from nirbridge.primitives.shaping import pairs
from nirbridge.primitives.spec import Array


def weight_rows(node: Any) -> Array:
    """The weights of a matrix as they are, [..., out, in], those of a convolution with G groups as [G, out/G, in]."""
    weight = np.asarray(node.weight)
    if spec_of(node).operation == "matrix":
        return weight
    groups = int(node.groups)
    return weight.reshape(groups, len(weight) // groups, -1)


def row_factors(node: Any, channels: Array) -> Array:
    """For each weight of a row the factor of what enters there, [in] or [G, in].

    Args:
        node: a matrix or a convolution.
        channels: one for each column or channel that enters, or one for all.
    """
    if spec_of(node).operation == "matrix":
        return np.broadcast_to(channels, np.shape(node.weight)[-1:])
    groups, (inner, *kernel) = int(node.groups), np.shape(node.weight)[1:]
    return np.repeat(np.broadcast_to(channels, (groups * inner,)).reshape(groups, inner), prod(kernel), axis=-1)


def patches(node: nir.NIRNode, x: Array, most: int) -> Array:
    """Rows of X, so that a layer's outputs are rows · weight^T, group by group.

    Args:
        node: a matrix or a convolution.
        x: what enters it, [N, *shape].
        most: about so many rows are taken, evenly spaced; all of them where there are fewer.

    Returns:
        [G, rows, in]: G groups of a convolution, in = channels of a group times kernel; of a matrix [rows, in], with
        the leading axes of its weight before them.
    """
    return _ROWS[spec_of(node).operation](node, x, most)


def gram(rows: Array) -> Array:
    """H = 2 X X^T [..., in, in] of rows [..., N, in], summed in single precision: GPTQ adds a hundredth to it."""
    single = rows.astype(np.float32, copy=False)
    found: Array = 2.0 * (np.swapaxes(single, -1, -2) @ single).astype(np.float64)
    return found


def _matrix(node: nir.Affine | nir.Linear, x: Array, most: int) -> Array:
    lead = np.ndim(node.weight) - 2
    if not lead:
        return thinned(x.reshape(-1, x.shape[-1]), most)
    samples = thinned(x.reshape(-1, *x.shape[-1 - lead :]), most)
    return np.moveaxis(samples, 0, -2)


def _convolution(node: nir.Conv1d | nir.Conv2d, x: Array, most: int) -> Array:
    axes = np.ndim(node.weight) - 2
    kernel, dilation, stride = np.shape(node.weight)[2:], pairs(node.dilation, axes), pairs(node.stride, axes)
    padded = np.pad(x, ((0, 0), (0, 0), *conv_padding(node)))
    reach = tuple((size - 1) * gap + 1 for size, gap in zip(kernel, dilation, strict=True))
    windows: Array = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + axes)))  # type: ignore[call-overload]
    whole = (slice(None), slice(None))
    windows = windows[whole + tuple(slice(None, None, by) for by in (*stride, *dilation))]
    windows = np.moveaxis(windows, 1, 1 + axes)  # [N, *places, C, *kernel]
    count = windows.shape[: 1 + axes]
    chosen = np.unravel_index(thinned(np.arange(int(np.prod(count))), most), count)
    rows = windows[chosen]
    return np.moveaxis(rows.reshape(len(rows), int(node.groups), -1), 0, 1)


def thinned(rows: Array, most: int) -> Array:
    """Every n-th of them, where n shares no factor with their number: else it met the same column of every picture."""
    step = -(-len(rows) // max(most, 1))
    while step > 1 and gcd(step, len(rows)) > 1:
        step += 1
    return rows[::step] if step > 1 else rows


_ROWS: dict[str, Any] = {"matrix": _matrix, "convolution": _convolution}
"""By operation of the primitive."""
