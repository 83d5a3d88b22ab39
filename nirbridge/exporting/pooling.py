"""Averages, where a graph can say exactly the same.

1. Windows of one size, whole or with padding that counts: the pools of NIR.
2. Windows that hang over the edge, or do not count what is padded: a sum pool and a factor for each place.
3. Windows of several sizes: a matrix along each axis.
4. Along one axis: a convolution, or a matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nirbridge.errors import reason_of
from nirbridge.exporting import maxima
from nirbridge.exporting.along import along, convolution
from nirbridge.exporting.arrays import each
from nirbridge.exporting.call import Call, Handler, with_fields
from nirbridge.exporting.signal import RefusalError, Signal, require_batch, require_signal
from nirbridge.exporting.windowing import adaptive, padded, pool_node, pool_windows, stride_of


def avg_pool2d(
    call: Call, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Signal:  # fmt: skip
    """The mean of each window: AvgPool2d; SumPool2d and a factor for each place where their divisors differ."""
    signal, kernel, step, edge, over = pool_windows(input, kernel_size, stride, padding, ceil_mode)
    counted = count_include_pad or edge == (0, 0)
    if counted and not any(over) and divisor_override in (None, kernel[0] * kernel[1]):
        return call.emit(pool_node(nir.AvgPool2d, kernel, step, edge), signal)
    pooled = call.emit(pool_node(nir.SumPool2d, kernel, step, edge), padded(call, signal, over))
    ones = torch.ones(1, 1, *signal.shape[1:], dtype=torch.float64)
    sums = functional.avg_pool2d(functional.pad(ones, (0, over[1], 0, over[0])), kernel, step, edge, divisor_override=1)
    means = _run(
        lambda x: functional.avg_pool2d(x, kernel, step, edge, ceil_mode, count_include_pad, divisor_override), ones
    )
    factor = np.broadcast_to((means / sums)[0].numpy(), pooled.shape)
    return call.emit(nir.Scale(factor.astype(call.builder.dtype)), pooled, "mean")


def avg_pool1d(
    call: Call, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Signal:  # fmt: skip
    """The mean of each window along one axis: a convolution; a matrix where their divisors differ."""
    signal = require_signal(input)
    require_batch(signal, (2,), "[N, C, L]")
    sizes = (kernel_size, stride_of(stride, kernel_size), padding)
    (kernel,), (step,), (edge,) = (each(value, 1) for value in sizes)
    channels, length = signal.shape
    if not ceil_mode and (count_include_pad or not edge):
        weight = np.full((channels, 1, kernel), 1 / kernel, call.builder.dtype)
        return call.emit(convolution((length,), weight, (step,), (edge,), channels), signal)
    return _along_length(
        call, signal, lambda x: functional.avg_pool1d(x, kernel, step, edge, ceil_mode, count_include_pad)
    )


def adaptive_avg_pool1d(call: Call, input: Any, output_size: Any) -> Signal:
    """Means over windows that share an axis as evenly as they can: a convolution, or a matrix."""
    signal = require_signal(input)
    require_batch(signal, (2,), "[N, C, L]")
    (want,), length = each(output_size, 1), signal.shape[1]
    if want < 1:
        raise RefusalError(f"has output size {want}", "Give sizes from 1")
    if length % want:
        return _along_length(call, signal, lambda x: functional.adaptive_avg_pool1d(x, want))
    return signal if want == length else avg_pool1d(call, signal, length // want)


def _along_length(call: Call, signal: Signal, pool: Callable[[Tensor], Tensor]) -> Signal:
    (node,) = along(signal.shape, 1, _matrix(pool, signal.shape[1], call.builder.dtype))
    return call.emit(node, signal)


def _matrix(pool: Callable[[Tensor], Tensor], size: int, dtype: Any) -> Any:
    """The matrix of a linear pool along one axis: what it makes of each place alone."""
    means = _run(pool, torch.eye(size, dtype=torch.float64)[None])
    return np.ascontiguousarray(means[0].numpy().T.astype(dtype))


def _run(pool: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """What torch makes of windows that may not fit.

    Raises:
        RefusalError: they do not.
    """
    try:
        return pool(x)
    except RuntimeError as error:
        raise RefusalError(reason_of(error), "Check the input shape and the layers before") from None


def adaptive_avg_pool2d(call: Call, input: Any, output_size: Any) -> Signal:
    """Means over windows that share a picture: AvgPool2d; copies of a single place; a matrix along each axis."""
    signal, goal, pooled = adaptive(call, input, output_size, nir.AvgPool2d)
    if pooled is not None:
        return pooled
    for axis in (1, 2):
        want, size = goal[axis - 1], signal.shape[axis]
        if want != size:
            matrix = _matrix(partial(functional.adaptive_avg_pool1d, output_size=want), size, call.builder.dtype)
            for node in along(signal.shape, axis, matrix):
                signal = call.emit(node, signal)
    return signal


def sum_pool2d(call: Call, input: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Signal:
    """The sum of each window: SumPool2d."""
    signal, kernel, step, edge, over = pool_windows(input, kernel_size, stride, 0, ceil_mode)
    return call.emit(pool_node(nir.SumPool2d, kernel, step, edge), padded(call, signal, over))


def over_places(call: Call, signal: Signal, axes: tuple[int, ...], mean: bool) -> Signal:
    """One value for all places along ``axes`` of (C, L) or (C, H, W), which keep the size 1: their mean or sum."""
    if len(signal.shape) == 3 and axes == (1, 2):
        size = signal.shape[1:]
        return call.emit(pool_node(nir.AvgPool2d if mean else nir.SumPool2d, size, size, (0, 0)), signal)
    channels, *places = signal.shape
    window = [size if axis in axes else 1 for axis, size in enumerate(places, 1)]
    weight = np.full((channels, 1, *window), 1 / np.prod(window) if mean else 1, call.builder.dtype)
    return call.emit(convolution(tuple(places), weight, groups=channels), signal)


_FIELDS = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
MODULES: dict[type[nn.Module], Handler] = {
    **maxima.MODULES,
    nn.AvgPool1d: with_fields(avg_pool1d, *_FIELDS),
    nn.AvgPool2d: with_fields(avg_pool2d, *_FIELDS, "divisor_override"),
    nn.AdaptiveAvgPool1d: with_fields(adaptive_avg_pool1d, "output_size"),
    nn.AdaptiveAvgPool2d: with_fields(adaptive_avg_pool2d, "output_size"),
}
FUNCTIONS: dict[Any, Handler] = {
    **maxima.FUNCTIONS,
    functional.avg_pool1d: avg_pool1d,
    functional.avg_pool2d: avg_pool2d,
    functional.adaptive_avg_pool1d: adaptive_avg_pool1d,
    functional.adaptive_avg_pool2d: adaptive_avg_pool2d,
}
