"""What the pools over (C, H, W) share."""

from __future__ import annotations

from math import ceil, prod
from typing import Any

import numpy as np

from nirbridge.primitives.examples import Array, Dice, Draw
from nirbridge.primitives.fields import Shape
from nirbridge.primitives.shaping import ShapeMismatchError, convolved, pairs, positive, require_window, stated
from nirbridge.primitives.spec import STATELESS, Checks, Chip, Floats, Reach, Shown, Wiring

_BY_HAND = "sums and maxima over windows of space, which every library has a faster way for"
MAXIMUM = "takes the largest of several messages, which a synapse adds; Use a SumPool2d"
Spans = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def pool_shape(node: Any, shape: Shape) -> Shape:
    """(C, H, W) → (C, ⌊(H + 2p - k)/stride⌋ + 1, ...)."""
    require_window(node, 2)
    if len(shape) != 3:
        raise ShapeMismatchError(f"input {shape} has {len(shape)} axes, expected (channels, x, y)")
    sizes = tuple(
        convolved(size, kernel, stride, padding, padding, 1)
        for size, kernel, stride, padding in zip(shape[1:], *spans(node), strict=True)
    )
    return positive((shape[0], *sizes), shape)


def spans(node: Any) -> Spans:
    """Kernel, stride and padding of a pool, each along rows and columns."""
    return pairs(node.kernel_size, 2), pairs(node.stride, 2), pairs(node.padding, 2)


def under(over: Spans, x: Array, fill: float) -> Array:
    """The values under each spatial window of [N, C, H, W]: [N, C, H', W', kernel rows, kernel columns]."""
    kernel, (down, along), (rows, columns) = over
    if rows or columns:
        x = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))[:, :, ::down, ::along]  # type: ignore[call-overload]


def sums(over: Spans, x: Array) -> Array:
    """The sum of each window; padding counts as 0."""
    return np.asarray(under(over, x, 0).sum(axis=(-2, -1)))


def means(over: Spans, x: Array) -> Array:
    """The mean of each window over all of its places; padding counts as 0."""
    return np.asarray(under(over, x, 0).mean(axis=(-2, -1)))


def whole_means(over: Spans, x: Array) -> Array:
    """The mean of integers, rounded toward zero."""
    total = sums(over, x)
    return np.asarray(np.sign(total) * (np.abs(total) // prod(over[0])))


def maxima(over: Spans, x: Array) -> Array:
    """The largest value of each window; padding never wins."""
    lowest = -np.inf if x.dtype.kind == "f" else int(np.iinfo(x.dtype).min)
    return np.asarray(under(over, x, lowest).max(axis=(-2, -1)))


def pool_grows(node: Any, x: int) -> int:
    """A sum over the window."""
    return prod(pairs(node.kernel_size, 2)) * x


def pool_wiring(node: Any) -> Wiring:
    """Weights of 1 in each channel."""
    kernel, stride, _ = spans(node)
    fan_out = prod(ceil(size / step) for size, step in zip(kernel, stride, strict=True))
    return Wiring(1, prod(kernel), fan_out, prod(kernel), Reach(kernel[0], stride[0]))


def channel_unit(node: Any, unit: Array, shape: Shape) -> Array:
    """The smallest of each channel; lanes differ between channels at most."""
    return np.broadcast_to(unit.min(axis=(1, 2), keepdims=True), shape)


def draw_of(kind: Any) -> Draw:
    """A pool over 2×1 or 2×2 places."""

    def make(dice: Dice, shape: Shape) -> Any:
        kernel, stride = np.array([2, int(dice.rng.integers(1, 3))]), dice.rng.integers(1, 3, 2)
        return kind(kernel, stride, np.array([int(dice.rng.integers(0, 2)), 0]))

    return Draw(make, axes=3)


def refused(reason: str) -> Chip:
    """No chip runs it."""
    return Chip(place="", refused=reason)


SHARED: dict[str, Any] = {
    **STATELESS,
    "shape": pool_shape,
    "states": stated,
    "by_hand": _BY_HAND,
    "floats": Floats(),
    "shown": Shown(role="reshape", fields=("kernel_size", "stride", "padding")),
    "checks": Checks(),
}
"""The fields that are those of every pool."""
