"""Synapses and other stateless nodes, as pure functions of [N, *shape] arrays: float64, or int64 in precision "fixed".

A node's weight is a plain array of the same dtype.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.primitives.convolution import conv_padding
from nirbridge.primitives.shaping import convolved, pairs
from nirbridge.runtime import Array


def matrix(node: Any, x: Array) -> Array:
    """y[..., o] = Σ_i weight[..., o, i] x[..., i], plus the bias where the node has one."""
    y: Array = np.matmul(node.weight, x[..., None])[..., 0]
    return y + np.asarray(node.bias).astype(x.dtype, copy=False) if hasattr(node, "bias") else y


def threshold(node: nir.Threshold, x: Array) -> Array:
    """y = 1 where x > threshold."""
    return (x > node.threshold).astype(x.dtype)


def convolution(node: nir.Conv1d | nir.Conv2d, x: Array) -> Array:
    """y[o, p] = b[o] + Σ_{c, k} weight[o, c, k] x[c, p·stride + k·dilation - padding], group by group."""
    axes = node.weight.ndim - 2
    stride, dilation = pairs(node.stride, axes), pairs(node.dilation, axes)
    padding = conv_padding(node)
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    sizes = tuple(
        convolved(size, kernel, step, 0, 0, reach)
        for size, kernel, step, reach in zip(x.shape[2:], node.weight.shape[2:], stride, dilation, strict=True)
    )
    groups = int(node.groups)
    y = np.zeros((len(x), node.weight.shape[0], *sizes), dtype=x.dtype)
    for group, (w, out) in enumerate(zip(np.split(node.weight, groups), np.split(y, groups, axis=1), strict=True)):
        channels = slice(group * w.shape[1], (group + 1) * w.shape[1])
        for offset in np.ndindex(*w.shape[2:]):
            taken: tuple[slice, ...] = tuple(
                slice(k * reach, k * reach + (size - 1) * step + 1, step)
                for k, reach, size, step in zip(offset, dilation, sizes, stride, strict=True)
            )
            patch = x[(slice(None), channels) + taken]  # noqa: RUF005  the type checker reads a star here as 3.11
            kernel = w[(slice(None), slice(None)) + offset]  # noqa: RUF005
            out += np.moveaxis(np.tensordot(kernel, patch, axes=(1, 1)), 0, 1)
    return y + np.asarray(node.bias).astype(x.dtype, copy=False).reshape(-1, *(1,) * axes)


def scale(node: nir.Scale, x: Array) -> Array:
    """y = scale x."""
    return np.asarray(node.scale).astype(x.dtype, copy=False) * x


def flatten(node: nir.Flatten, x: Array) -> Array:
    """Merges the dimensions start_dim..end_dim, counted without time and batch."""
    axes = x.ndim - 1
    start, end = (int(d) % axes for d in (node.start_dim, node.end_dim))
    return x.reshape(*x.shape[: start + 1], -1, *x.shape[end + 2 :])


def aggregate(node: Any, x: Array) -> Array:
    """y[n, ...] = Σ_m weight[n, m] x[m, ...]."""
    return np.moveaxis(np.tensordot(node.weight, x, axes=(1, 1)), 0, 1)
