"""What Conv1d and Conv2d share: shapes, bounds, synapses."""

from __future__ import annotations

from math import ceil, prod
from typing import Any

import nir
import numpy as np

from nirbridge.primitives.examples import Array, Dice, signed, weights, whole_numbers
from nirbridge.primitives.fields import Shape
from nirbridge.primitives.magnitudes import in_blocks, largest, least, product_bounds, row_sum
from nirbridge.primitives.matrix import bias_words
from nirbridge.primitives.shaping import ShapeMismatchError, convolved, pairs, positive, require_fit, require_window
from nirbridge.primitives.spec import (
    ANALOG,
    STATELESS,
    Bounds,
    Checks,
    Chip,
    Cost,
    Floats,
    Integers,
    Reach,
    Shown,
    Synapses,
    Wiring,
)

BY_HAND = "a convolution, which every library has a faster way for than one number after the other"


def conv_padding(node: nir.Conv1d | nir.Conv2d) -> tuple[tuple[int, int], ...]:
    """(before, after) of each spatial axis; "same" puts an odd remainder behind, as torch does."""
    axes = node.weight.ndim - 2
    if isinstance(node.padding, str):
        if node.padding == "valid":
            return ((0, 0),) * axes
        totals = [d * (k - 1) for d, k in zip(pairs(node.dilation, axes), node.weight.shape[2:], strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((p, p) for p in pairs(node.padding, axes))


def convolution(node: nir.Conv1d | nir.Conv2d, shape: Shape, kernel: Shape) -> Shape:
    """What a convolution makes of ``shape`` if its kernel is of this size."""
    axes = node.weight.ndim - 2
    require_window(node, axes)
    if len(shape) != axes + 1:
        raise ShapeMismatchError(
            f"input {shape} has {len(shape)} axes, expected (channels, {'x, y' if axes == 2 else 'x'})"
        )
    groups = pairs(node.groups, 1)[0]
    channels = node.weight.shape[1] * groups
    if shape[0] != channels:
        raise ShapeMismatchError(f"input {shape} has {shape[0]} channels, the weight takes {channels}")
    if node.weight.shape[0] % groups:
        raise ShapeMismatchError(f"{node.weight.shape[0]} output channels do not divide into {groups} groups")
    require_fit("bias", node.bias, node.weight.shape[:1])
    stride = pairs(node.stride, axes)
    if isinstance(node.padding, str) and node.padding == "same" and set(stride) != {1}:
        raise ShapeMismatchError(f"padding 'same' needs stride 1, found {stride}")
    sizes = tuple(
        convolved(size, reach, step, before, after, dilation)
        for size, reach, step, (before, after), dilation in zip(
            shape[1:], kernel, stride, conv_padding(node), pairs(node.dilation, axes), strict=True
        )
    )
    return positive((int(node.weight.shape[0]), *sizes), shape)


def conv_shape(node: nir.Conv1d | nir.Conv2d, shape: Shape) -> Shape:
    """(channels, ...) → (channels out, ...)."""
    return convolution(node, shape, node.weight.shape[2:])


def spatial_shape(node: nir.Conv1d | nir.Conv2d) -> Shape | None:
    """The spatial axes that it states, if any."""
    return None if node.input_shape is None else pairs(node.input_shape, node.weight.ndim - 2)


def taken_shape(node: nir.Conv1d | nir.Conv2d) -> Shape | None:
    """The input that it states."""
    spatial = spatial_shape(node)
    return None if spatial is None else (node.weight.shape[1] * pairs(node.groups, 1)[0], *spatial)


def zero_bias(node: Any) -> Array:
    """What torch's layer without a bias has: 0 for each output channel."""
    weight = np.asarray(node.weight)
    return np.zeros(weight.shape[:1], weight.dtype)


def conv_bounds(node: nir.Conv1d | nir.Conv2d, x: Bounds, shape: Shape) -> Bounds:
    """Channel by channel, as if every place of a channel had its extremes; padding brings 0."""
    groups, axes = int(node.groups), node.weight.ndim - 2
    padded = any(before or after for before, after in conv_padding(node))
    spatial = tuple(range(1, axes + 1))
    low, high = x.low.min(axis=spatial), x.high.max(axis=spatial)
    if padded:
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    kernel = tuple(range(2, axes + 2))
    sums = [
        [part(block, 0.0).sum(axis=kernel) for part in (np.maximum, np.minimum)] for block in in_blocks(node.weight)
    ]
    above, below = (
        np.concatenate(parts).reshape(groups, -1, node.weight.shape[1]) for parts in zip(*sums, strict=True)
    )
    ends = product_bounds(above, below, low.reshape(groups, -1), high.reshape(groups, -1))
    bias = np.asarray(node.bias, dtype=np.float64)
    column = (-1, *(1,) * axes)
    return Bounds(*(np.broadcast_to((end.ravel() + bias).reshape(column), shape) for end in ends))


def conv_synapses(node: Any, entering: Shape, leaving: Shape) -> Synapses:
    """C_in/groups · C_out · k² · H_o · W_o; an event meets C_out/groups · k² weights, ⌈k/s⌉² of which overlap it."""
    kernel = node.weight.shape[2:]
    stride = pairs(node.stride, len(kernel))
    channels = node.weight.shape[0] // int(node.groups)
    macs = prod(leaving) * prod(node.weight.shape[1:])
    return Synapses(
        macs=macs,
        inputs=prod(entering),
        outputs=prod(leaving),
        fan_out=channels * prod(kernel),
        fan_out_adds=channels * prod(-(-k // s) for k, s in zip(kernel, stride, strict=True)),
        weights=prod(node.weight.shape),
        bias=bias_words(node),
        input_reads=macs,
    )


def conv_wiring(node: Any) -> Wiring:
    """A kernel that all places share; one of two axes keeps rows."""
    used = int((np.asarray(node.weight) != 0).reshape(len(node.weight), -1).sum(axis=1).max(initial=1))
    axes, sizes = node.weight.ndim - 2, node.weight.shape[2:]
    stride, dilation = pairs(node.stride, axes), pairs(node.dilation, axes)
    reach = Reach(dilation[0] * (sizes[0] - 1) + 1, stride[0]) if axes == 2 else None
    seen = prod(
        ceil(size / step) if gap == 1 else size for size, step, gap in zip(sizes, stride, dilation, strict=True)
    )
    fan_out = len(node.weight) // int(node.groups) * seen
    return Wiring(node.weight, used, fan_out, int(np.count_nonzero(node.weight)), reach)


def draw(dice: Dice, shape: Shape) -> nir.NIRNode:
    """Any kernel of up to three points, dense or depthwise."""
    rng, axes = dice.rng, len(shape) - 1
    groups = shape[0] if rng.random() < 0.3 else 1
    outputs = groups * int(rng.integers(1, 3))
    kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
    weight = dice.number((outputs, shape[0] // groups, *kernel), -3, 5, 0.25)
    bias = dice.number((outputs,), -2, 3, 0.5)
    if axes == 1:
        return nir.Conv1d(shape[1], weight, int(rng.integers(1, 3)), int(rng.integers(0, 2)), 1, groups, bias)
    stride, padding = (tuple(int(v) for v in rng.integers(low, high, 2)) for low, high in ((1, 3), (0, 2)))
    return nir.Conv2d(shape[1:], weight, stride, padding, 1, groups, bias)


def example(cin: int, cout: int, kernel: tuple[int, ...], *args: Any, groups: int = 1, integers: bool = False) -> Any:
    """A layer for an example; ``args`` are stride, padding and dilation."""
    stride, padding, dilation = args or (1, 0, 1)
    kind = nir.Conv2d if len(kernel) == 2 else nir.Conv1d
    shape = (cout, cin // groups, *kernel)
    weight, bias = (whole_numbers(*shape), whole_numbers(cout, seed=3)) if integers else (weights(*shape), signed(cout))
    return kind(None, weight, stride, padding, dilation, groups, bias)


SHARED: dict[str, Any] = {
    **STATELESS,
    "none_means": {"bias": zero_bias},
    "shape": conv_shape,
    "states": taken_shape,
    "operation": "convolution",
    "by_hand": BY_HAND,
    "sends": ANALOG,
    "floats": Floats(least=lambda node, dt: least(node.weight, tuple(range(1, node.weight.ndim)))),
    "integers": Integers(
        fields=("weight", "bias"),
        grows=lambda node, x: row_sum(node.weight, tuple(range(1, node.weight.ndim))) * x + largest(node.bias),
        quantise="convolution",
    ),
    "cost": Cost(role="synapses", synapses=conv_synapses),
    "chip": Chip(place="wiring", wiring=conv_wiring),
    "shown": Shown(role="weights", fields=("weight", "stride", "padding", "dilation", "groups")),
    "checks": Checks(factors=("weight",), bounds=conv_bounds),
}
"""All fields of the two specs but the node, the draws and the examples."""
