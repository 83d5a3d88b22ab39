"""Every stateless node, as a function of one flat float64 vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]


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


class Pool(NamedTuple):
    """A pool over (C, H, W); ``fill`` is what padding counts as and ``reduce`` one of "sum", "mean", "max"."""

    reduce: str
    fill: float
    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    padding: tuple[int, ...]
    stride: tuple[int, ...]


class Product(NamedTuple):
    """W x over the last axis of an input of ``shape``; weight (..., rows, columns)."""

    weight: Array
    shape: tuple[int, ...]


def convolve(p: Convolve, x: Array) -> Array:
    """y[o, q] = Σ_{c, k} weight[o, c, k] x[c, q·stride + k·dilation - padding], group by group."""
    axes = tuple(range(1, len(p.shape)))
    x = np.pad(x.reshape(p.shape), ((0, 0), *p.padding))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(p.dilation, p.kernel, strict=True))
    places = (slice(None), *(slice(None, None, step) for step in (*p.stride, *p.dilation)))
    seen = _windows(x, reach, axes)[places]
    # Channels and kernel points forward, so that one product a group does the sum.
    behind = tuple(axis + len(axes) for axis in axes)
    columns = seen.transpose(0, *behind, *axes).reshape(len(p.weight), p.weight.shape[2], -1)
    return np.matmul(p.weight, columns).reshape(-1)


def _windows(x: Array, kernel: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    found: Array = sliding_window_view(x, kernel, axes)  # type: ignore[call-overload]
    return found


def pool(p: Pool, x: Array) -> Array:
    """The sum, mean or largest value of each spatial window."""
    (ph, pw), (sh, sw) = p.padding, p.stride
    padded = np.pad(x.reshape(p.shape), ((0, 0), (ph, ph), (pw, pw)), constant_values=p.fill)
    windows = _windows(padded, p.kernel, (1, 2))[:, ::sh, ::sw]
    return np.asarray(_REDUCE[p.reduce](windows, axis=(-2, -1))).reshape(-1)


_REDUCE: dict[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "max": np.max}


def product(p: Product, x: Array) -> Array:
    """y[..., o] = Σ_i weight[..., o, i] x[..., i]."""
    return np.matmul(p.weight, x.reshape(p.shape)[..., None]).reshape(-1)


def scale(factor: Array, x: Array) -> Array:
    """y = factor · x."""
    return factor * x


def threshold(limit: Array, x: Array) -> Array:
    """y = 1 where x > limit."""
    return (x > limit).astype(np.float64)
