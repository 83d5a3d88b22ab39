"""Every node without a state, as a function of flat vectors: x is (..., n), one vector per step and sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nirbridge.runtime import Array


class Convolve(NamedTuple):
    """A convolution over the axes behind the channels.

    Attributes:
        weight: (groups, channels out / groups, channels in / groups · points of the kernel).
        shape: of the input, channels first.
        kernel: points of the kernel along each axis.
        padding: (before, after) of each axis.
        stride: between output points.
        dilation: between kernel points.
    """

    weight: Array
    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]


class Product(NamedTuple):
    """W x over the last axis of an input of ``shape``; weight (..., rows, columns)."""

    weight: Array
    shape: tuple[int, ...]


def convolve(p: Convolve, x: Array) -> Array:
    """y[o, q] = Σ_{c, k} weight[o, c, k] x[c, q·stride + k·dilation - padding], group by group."""
    columns = convolution_columns(p, x)
    return np.matmul(p.weight, columns).reshape(*x.shape[:-1], -1)


def convolution_columns(p: Convolve, x: Array) -> Array:
    """What the weight meets at each output point: (N, groups, channels in / groups · points, points out)."""
    frames = x.reshape(-1, *p.shape)
    if any(map(any, p.padding)):
        frames = np.pad(frames, ((0, 0), (0, 0), *p.padding))
    axes = tuple(range(2, frames.ndim))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(p.dilation, p.kernel, strict=True))
    places = (slice(None), slice(None), *(slice(None, None, step) for step in (*p.stride, *p.dilation)))
    seen = sliding_window_view(frames, reach, axes)[places]  # type: ignore[call-overload]
    # Channels and kernel points forward, so that one product a group does the sum.
    behind = tuple(axis + len(axes) for axis in axes)
    return seen.transpose(0, 1, *behind, *axes).reshape(len(frames), len(p.weight), p.weight.shape[2], -1)


def framed(p: tuple[Callable[[Array], Array], tuple[int, ...]], x: Array) -> Array:
    """What a function of frames [N, *shape] makes of vectors."""
    function, shape = p
    return function(x.reshape(-1, *shape)).reshape(*x.shape[:-1], -1)


def product(p: Product, x: Array) -> Array:
    """y[..., o] = Σ_i weight[..., o, i] x[..., i].

    One matrix-vector product per vector, whatever stands before it: a product of matrices would round otherwise.
    """
    lead = x.shape[:-1]
    if x.size == p.weight.shape[-1]:
        return p.weight.dot(x.ravel()).reshape(*lead, -1)
    return np.matmul(p.weight, x.reshape(*lead, *p.shape)[..., None]).reshape(*lead, -1)


def aggregate(p: Product, x: Array) -> Array:
    """y[n, ...] = Σ_m weight[n, m] x[m, ...] over the first axis of ``shape``."""
    lead = x.shape[:-1]
    return np.matmul(p.weight, x.reshape(*lead, p.shape[0], -1)).reshape(*lead, -1)


def threshold(limit: Array, x: Array) -> Array:
    """y = 1 where x > limit."""
    return (x > limit).astype(x.dtype)


def put(p: tuple[slice, int], x: Array) -> Array:
    """x, or as much of it as fits, at a place of a longer vector whose other values are 0."""
    where, length = p
    y = np.zeros((*x.shape[:-1], length), dtype=x.dtype)
    y[..., where] = x[..., : where.stop - where.start]
    return y


def take(where: slice, x: Array) -> Array:
    """Some values of a longer vector."""
    return x[..., where]


def first(p: None, x: Array) -> Array:
    """One value, for what a message is needed and none is read."""
    return x[:1, :, :1]
