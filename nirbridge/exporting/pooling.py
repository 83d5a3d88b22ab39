"""Pooling over two axes, where a graph can say exactly the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
from torch import nn

from nirbridge.exporting.arrays import pair
from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.signal import RefusalError, Signal, require_batch, require_signal
from nirbridge.ir import MaxPool2d, Shape

Pair = tuple[int, int]
Pool = Callable[..., nir.NIRNode]


def max_pool2d(
    call: Call, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Signal:  # fmt: skip
    """The largest value of each window: MaxPool2d."""
    if return_indices:
        raise RefusalError("returns indices, which a graph does not carry", "Use return_indices=False")
    if pair(dilation) != (1, 1):
        raise RefusalError(f"dilation {pair(dilation)}; pooling in a graph has none", "Use dilation=1")
    return _pool(call, MaxPool2d, input, kernel_size, stride, padding, ceil_mode)


def avg_pool2d(
    call: Call, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Signal:  # fmt: skip
    """The mean of each window, padding counted as 0: AvgPool2d."""
    kernel = pair(kernel_size)
    if not count_include_pad and pair(padding) != (0, 0):
        found = f"count_include_pad=False with padding {pair(padding)}; averages in a graph count the padding"
        raise RefusalError(found, "Use count_include_pad=True or no padding")
    if divisor_override not in (None, kernel[0] * kernel[1]):
        found = f"divisor_override {divisor_override} is not the {kernel[0] * kernel[1]} places of the window"
        raise RefusalError(found, "Leave divisor_override away")
    return _pool(call, nir.AvgPool2d, input, kernel_size, stride, padding, ceil_mode)


def adaptive_avg_pool2d(call: Call, input: Any, output_size: Any) -> Signal:
    """Means over windows that divide the input evenly: AvgPool2d; copies of a single place: Conv2d."""
    return _adaptive(call, nir.AvgPool2d, input, output_size)


def adaptive_max_pool2d(call: Call, input: Any, output_size: Any, return_indices: bool = False) -> Signal:
    """Maxima over windows that divide the input evenly: MaxPool2d; copies of a single place: Conv2d."""
    if return_indices:
        raise RefusalError("returns indices, which a graph does not carry", "Use return_indices=False")
    return _adaptive(call, MaxPool2d, input, output_size)


def sum_pool2d(call: Call, input: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Signal:
    """The sum of each window: SumPool2d."""
    return _pool(call, nir.SumPool2d, input, kernel_size, stride, 0, ceil_mode)


def whole_window(call: Call, kind: Pool, signal: Signal) -> Signal:
    """One value per channel over all of (H, W), as (C, 1, 1)."""
    size = (signal.shape[1], signal.shape[2])
    return call.emit(_node(kind, size, size, (0, 0)), signal)


def _pool(call: Call, kind: Pool, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> Signal:
    signal = require_signal(input)
    require_batch(signal, (3,), "[N, C, H, W]")
    kernel = pair(kernel_size)
    step = kernel if stride is None or stride == () or stride == [] else pair(stride)
    edge = pair(padding)
    if ceil_mode:
        _refuse_partial_windows(signal, kernel, step, edge)
    return call.emit(_node(kind, kernel, step, edge), signal)


def _refuse_partial_windows(signal: Signal, kernel: Pair, stride: Pair, padding: Pair) -> None:
    """Ceil mode is exact where no window hangs over the edge."""
    for size, k, step, p in zip(signal.shape[1:], kernel, stride, padding, strict=True):
        if (size + 2 * p - k) % step:
            found = f"ceil_mode=True with a last window that hangs over: size {size}, kernel {k}, stride {step}"
            raise RefusalError(found, "Use ceil_mode=False or sizes that divide evenly")


def _adaptive(call: Call, kind: Pool, input: Any, output_size: Any) -> Signal:
    signal = require_signal(input)
    require_batch(signal, (3,), "[N, C, H, W]")
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    sizes = signal.shape[1:]
    goal = tuple(size if want is None else int(want) for want, size in zip(wanted, sizes, strict=True))
    if goal != sizes and all(size in (1, want) for size, want in zip(sizes, goal, strict=True)):
        return call.emit(copies(signal, goal, call.builder.dtype), signal)
    if any(size % want for size, want in zip(sizes, goal, strict=True)):
        found = f"pools {sizes} to {goal}, which does not divide evenly, so its windows differ in size"
        raise RefusalError(found, "Choose an output size that divides the input size")
    kernel = (sizes[0] // goal[0], sizes[1] // goal[1])
    return signal if kernel == (1, 1) else call.emit(_node(kind, kernel, kernel, (0, 0)), signal)


def copies(signal: Signal, goal: Shape, dtype: Any) -> nir.NIRNode:
    """One place to many, as VGG-16 does with pictures of 32 x 32: a convolution whose windows all hold that place."""
    channels, *sizes = signal.shape
    kernel = tuple(want if size == 1 else 1 for size, want in zip(sizes, goal, strict=True))
    edge = tuple(size - 1 for size in kernel)
    ones = np.ones((channels, 1, *kernel), dtype=dtype)
    return nir.Conv2d(tuple(sizes), ones, (1, 1), edge, 1, channels, np.zeros(channels, dtype=dtype))


def _node(kind: Pool, kernel: Pair, stride: Pair, padding: Pair) -> nir.NIRNode:
    return kind(
        kernel_size=np.array(kernel, dtype=np.int64),
        stride=np.array(stride, dtype=np.int64),
        padding=np.array(padding, dtype=np.int64),
    )


def _max_module(call: Call, m: nn.MaxPool2d, input: Any) -> Signal:
    return max_pool2d(call, input, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices)


def _avg_module(call: Call, m: nn.AvgPool2d, input: Any) -> Signal:
    return avg_pool2d(
        call, input, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override
    )


def _adaptive_avg_module(call: Call, module: nn.AdaptiveAvgPool2d, input: Any) -> Signal:
    return adaptive_avg_pool2d(call, input, module.output_size)


def _adaptive_max_module(call: Call, module: nn.AdaptiveMaxPool2d, input: Any) -> Signal:
    return adaptive_max_pool2d(call, input, module.output_size, module.return_indices)


MODULES: dict[type[nn.Module], Handler] = {
    nn.MaxPool2d: _max_module,
    nn.AvgPool2d: _avg_module,
    nn.AdaptiveAvgPool2d: _adaptive_avg_module,
    nn.AdaptiveMaxPool2d: _adaptive_max_module,
}
